"""Messages and attempts as stored: the intent before anything is sent, the outcome after."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from monitoring.alerts_records import ALERTS_TABLE, EVENTS_TABLE, Event, History, level, read_histories, sent_write
from warehouse.warehouse import ReadConnection, Write

DELIVERIES_TABLE = "tradehits.alert_deliveries"
ATTEMPTS_TABLE = "tradehits.alert_attempts"
Outcome = Literal["SENT", "FAILED", "UNKNOWN", "WITHDRAWN"]


@dataclass(frozen=True)
class Delivery:
    """One row of `tradehits.alert_deliveries`; `items` is JSON: alert_id, what, severity of each."""

    delivery_id: str
    channel: str
    scope: str
    severity: str | None
    title: str
    body: str
    items: str
    message_key: str
    status: Literal["PLANNED", "SENT", "WITHDRAWN"]
    detail: str | None
    planned_at: datetime
    settled_at: datetime | None

    @property
    def told(self) -> list[dict[str, Any]]:
        """Its items."""
        return json.loads(self.items)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Attempt:
    """One row of `tradehits.alert_attempts`; `outcome` None: under way, or its process was killed."""

    attempt_id: str
    delivery_id: str
    started_at: datetime
    finished_at: datetime | None
    outcome: Outcome | None
    detail: str | None


@dataclass(frozen=True)
class Outbox:
    """What a delivery run looks at, out of one read.

    Attributes:
        planned: Messages on their way, oldest first.
        attempts: Of each of them, oldest first.
        histories: Open alerts, and resolved ones that some channel was told of and not that they are over.
        told: (alert id, channel) → highest level told, or in a planned message.
        numbers: (channel, scope) → messages so far.
    """

    planned: tuple[Delivery, ...]
    attempts: Mapping[str, tuple[Attempt, ...]]
    histories: tuple[History, ...]
    told: Mapping[tuple[str, str], int]
    numbers: Mapping[tuple[str, str], int]


def read_outbox(read: ReadConnection) -> Outbox:
    """Everything that decides what goes out, in one state of the tables."""
    names = ", ".join(Delivery.__dataclass_fields__)
    planned = tuple(
        Delivery(**row)
        for row in read.query(
            f"SELECT {names} FROM `{DELIVERIES_TABLE}` WHERE status = 'PLANNED' ORDER BY planned_at, delivery_id"
        ).to_pylist()
    )
    told, over = _told(read), set[tuple[str, str]]()
    for delivery in planned:
        for item in delivery.told:
            if item["what"] == "RESOLVED":
                over.add((item["alert_id"], delivery.channel))
            else:
                key = (item["alert_id"], delivery.channel)
                told[key] = max(told.get(key, 0), level(item["severity"]))
    known = {key: reached for key, reached in told.items() if key not in over}
    counted = read.query(
        f"SELECT channel, scope, COUNT(*) AS messages FROM `{DELIVERIES_TABLE}` GROUP BY channel, scope"
    ).to_pylist()
    condition = "NOT alert.is_resolved OR alert.alert_id IN UNNEST(@told)"
    histories = read_histories(read, condition, {"told": sorted({alert_id for alert_id, _ in known})})
    return Outbox(
        planned=planned,
        attempts=_attempts(read) if planned else {},
        histories=tuple(histories),
        told=known,
        numbers={(row["channel"], row["scope"]): row["messages"] for row in counted},
    )


def deliveries_write(deliveries: Sequence[Delivery], *, are_new: bool) -> Write:
    """New messages, refused when their number is taken; or the new status of stored ones."""
    return Write(DELIVERIES_TABLE, rows=_rows(Delivery, deliveries), mode="append" if are_new else "merge")


def attempts_write(attempts: Sequence[Attempt], *, are_new: bool) -> Write:
    """Claims of an attempt, refused when another run has it; or their outcomes."""
    return Write(ATTEMPTS_TABLE, rows=_rows(Attempt, attempts), mode="append" if are_new else "merge")


def sent_events(delivery: Delivery, at: datetime) -> Write:
    """One SENT event per alert that the message told about."""
    return sent_write(
        [
            Event(
                event_id=f"{item['alert_id']}:{delivery.delivery_id}",
                alert_id=item["alert_id"],
                event_at=at,
                event_type="SENT",
                severity=item["severity"],
                channel=delivery.channel,
                actor="monitoring",
                detail=item["what"],
                judged_date=None,
                recorded_at=at,
            )
            for item in delivery.told
        ]
    )


def _told(read: ReadConnection) -> dict[tuple[str, str], int]:
    """What channels were told of alerts, those left out whose end they know."""
    rows = read.query(
        f"""
SELECT
  event.alert_id,
  event.channel,
  LOGICAL_OR(event.severity = 'CRITICAL') AS is_critical
FROM `{EVENTS_TABLE}` AS event
INNER JOIN `{ALERTS_TABLE}` AS alert ON event.alert_id = alert.alert_id
WHERE event.event_type = 'SENT'
GROUP BY event.alert_id, event.channel
HAVING NOT LOGICAL_OR(event.detail = 'RESOLVED')
"""
    ).to_pylist()
    return {(row["alert_id"], row["channel"]): 2 if row["is_critical"] else 1 for row in rows}


def _attempts(read: ReadConnection) -> dict[str, tuple[Attempt, ...]]:
    names = ", ".join(f"attempt.{name}" for name in Attempt.__dataclass_fields__)
    rows = read.query(
        f"SELECT {names} FROM `{ATTEMPTS_TABLE}` AS attempt INNER JOIN `{DELIVERIES_TABLE}` AS delivery "
        "ON attempt.delivery_id = delivery.delivery_id WHERE delivery.status = 'PLANNED' ORDER BY attempt.attempt_id"
    ).to_pylist()
    found: dict[str, tuple[Attempt, ...]] = {}
    for row in rows:
        found[row["delivery_id"]] = (*found.get(row["delivery_id"], ()), Attempt(**row))
    return found


def _rows(kind: type[Delivery] | type[Attempt], records: Sequence[Delivery] | Sequence[Attempt]) -> pa.Table:
    stamp = pa.timestamp("us", tz="UTC")
    schema = pa.schema([(n, stamp if n.endswith("_at") else pa.string()) for n in kind.__dataclass_fields__])
    return pa.Table.from_pylist([asdict(record) for record in records], schema=schema)

"""Alerts and their events as stored: an event is written in the transaction that changes its alert."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal

import pyarrow as pa

from market.assets import AssetType
from warehouse.warehouse import ReadConnection, Write

ALERTS_TABLE = "ml_models.model_drift_alerts"
EVENTS_TABLE = "tradehits.alert_events"
MONITORING = "monitoring"
"""Who resolves an alert whose condition cleared."""

EventType = Literal["OPENED", "ESCALATED", "UPDATED", "ACKNOWLEDGED", "RESOLVED", "SENT"]
_LEVELS = {"WARNING": 1, "CRITICAL": 2}


def level(severity: str | None) -> int:
    """0 for none, 1 WARNING, 2 CRITICAL; an unknown word, as older systems may have left it, counts as WARNING."""
    return 0 if severity is None else _LEVELS.get(severity, 1)


@dataclass(frozen=True)
class Alert:
    """One row of `ml_models.model_drift_alerts`.

    `severity` is the highest since it was opened; values and message are the newest judgement's. Times are UTC: those
    of alert and resolution by the class's clock, `created_at` by the wall's.
    """

    alert_id: str
    alert_time: datetime
    asset_type: AssetType
    alert_type: str
    severity: str
    metric_name: str
    current_value: float | None
    threshold_value: float | None
    baseline_value: float | None
    message: str | None
    is_resolved: bool
    resolved_at: datetime | None
    resolved_by: str | None
    created_at: datetime

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from the other open alerts of its class."""
        return self.alert_type, self.metric_name


@dataclass(frozen=True)
class Event:
    """One row of `tradehits.alert_events`; `detail` is JSON or empty."""

    event_id: str
    alert_id: str
    event_at: datetime
    event_type: EventType
    severity: str | None
    channel: str | None
    actor: str | None
    detail: str | None
    judged_date: date | None
    recorded_at: datetime | None


@dataclass(frozen=True)
class History:
    """An alert and what happened to it, oldest first; deliveries left out."""

    alert: Alert
    events: tuple[Event, ...]

    @property
    def acknowledged(self) -> Event | None:
        """The acknowledgement in force: none after it escalated."""
        decisive = [e for e in self.events if e.event_type in ("OPENED", "ESCALATED", "ACKNOWLEDGED")]
        return decisive[-1] if decisive and decisive[-1].event_type == "ACKNOWLEDGED" else None

    @property
    def raised(self) -> Event | None:
        """When it got its present severity."""
        return next((e for e in reversed(self.events) if e.event_type in ("OPENED", "ESCALATED")), None)

    @property
    def judged(self) -> Mapping[str, Any]:
        """What the newest judgement that changed it said beside the row: `remedy`, `features`."""
        said = (e.detail for e in reversed(self.events) if e.event_type in ("OPENED", "ESCALATED", "UPDATED"))
        return json.loads(next(said, None) or "{}")  # type: ignore[no-any-return]

    @property
    def judged_severity(self) -> str:
        """Severity of the newest judgement that changed it: lower than the alert's own where it eased."""
        said = (e.severity for e in reversed(self.events) if e.event_type in ("OPENED", "ESCALATED", "UPDATED"))
        return next(said, None) or self.alert.severity

    def next_event(self, event_type: EventType, at: datetime, recorded_at: datetime, **values: Any) -> Event:
        """The event that comes next; two writers of the same one clash on its id, and one of them looks again."""
        empty = {"severity": None, "channel": None, "actor": None, "detail": None, "judged_date": None}
        number = len(self.events) + 1
        return Event(
            event_id=f"{self.alert.alert_id}:{number:05d}",
            alert_id=self.alert.alert_id,
            event_at=at,
            event_type=event_type,
            recorded_at=recorded_at,
            **(empty | values),
        )


def read_histories(read: ReadConnection, condition: str, parameters: Mapping[str, Any] | None = None) -> list[History]:
    """Alerts that a GoogleSQL condition on `alert` selects, with their events; newest alert first."""
    columns = ", ".join(f"alert.{name}" for name in Alert.__dataclass_fields__)
    rows = read.query(
        f"SELECT {columns} FROM `{ALERTS_TABLE}` AS alert WHERE {condition} "
        "ORDER BY alert.alert_time DESC, alert.alert_type, alert.metric_name, alert.alert_id",
        parameters,
    ).to_pylist()
    names = ", ".join(f"event.{name}" for name in Event.__dataclass_fields__)
    events: dict[str, list[Event]] = {row["alert_id"]: [] for row in rows}
    if rows:
        found = read.query(
            f"SELECT {names} FROM `{EVENTS_TABLE}` AS event INNER JOIN `{ALERTS_TABLE}` AS alert "
            f"ON event.alert_id = alert.alert_id WHERE event.event_type != 'SENT' AND ({condition}) "
            "ORDER BY event.event_id",
            parameters,
        ).to_pylist()
        for row in found:
            events[row["alert_id"]].append(Event(**row))
    return [History(Alert(**row), tuple(events[row["alert_id"]])) for row in rows]


def alert_writes(alerts: Sequence[Alert], events: Sequence[Event]) -> list[Write]:
    """Rows of one transaction: alerts as they are now, and the events that made them so."""
    writes = []
    if alerts:
        writes.append(Write(ALERTS_TABLE, rows=_rows(Alert, alerts), mode="merge"))
    if events:
        writes.append(Write(EVENTS_TABLE, rows=_rows(Event, events), mode="append"))
    return writes


def sent_write(events: Sequence[Event]) -> Write:
    """Events of deliveries: they change no alert, and writing them twice leaves them once."""
    return Write(EVENTS_TABLE, rows=_rows(Event, events), mode="append", skip_existing=True)


_FLOATS = frozenset({"current_value", "threshold_value", "baseline_value"})
_BOOLS = frozenset({"is_resolved"})


def _arrow_type(name: str) -> pa.DataType:
    if name in _FLOATS:
        return pa.float64()
    if name in _BOOLS:
        return pa.bool_()
    if name.endswith("_date"):
        return pa.date32()
    return pa.timestamp("us", tz="UTC") if name.endswith(("_at", "_time")) else pa.string()


def _rows(kind: type[Alert] | type[Event], records: Iterable[Alert] | Iterable[Event]) -> pa.Table:
    schema = pa.schema([(name, _arrow_type(name)) for name in kind.__dataclass_fields__])
    return pa.Table.from_pylist([asdict(record) for record in records], schema=schema)

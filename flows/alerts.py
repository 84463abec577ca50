"""`tradehits alerts`: what people do with alerts, and what they see of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from configs.settings import Settings
from flows.observing import observed_task
from market.assets import ASSET_TYPES, AssetType
from market.errors import AlertError
from monitoring import alerts
from monitoring.alerts_records import Event, History
from warehouse.engines import open_warehouse

if TYPE_CHECKING:
    from warehouse.warehouse import Warehouse


def list_alerts(settings: Settings, output: str, *, asset_types: Sequence[AssetType] = (), everything: bool) -> str:
    """Open alerts, or all, newest first; `output` is table or json."""
    warehouse = _open(settings)
    found = alerts.listed(warehouse, asset_types, resolved_too=everything)
    if output == "json":
        sent = _sent(warehouse)
        return json.dumps([as_object(one, sent.get(one.alert.alert_id, ())) for one in found], indent=2)
    from flows.alerts_show import alerts_table

    return alerts_table(found, everything=everything)


def acknowledge(settings: Settings, alert_id: str, by: str, note: str) -> str:
    """Take an alert on."""
    done = alerts.acknowledge(_open(settings), alert_id, by=by, note=note)
    return f"{_named(done)} is {done.events[-1].actor}'s: it is sent no more until it escalates"


def resolve(settings: Settings, alert_id: str, by: str, note: str) -> str:
    """Close an alert."""
    done = alerts.resolve(_open(settings), alert_id, by=by, note=note)
    return f"{_named(done)} is resolved; raised again on a later day, it opens as a new alert"


def show_alert(settings: Settings, alert_id: str, output: str) -> str:
    """One alert with everything that happened to it, deliveries included."""
    warehouse = _open(settings)
    with warehouse.read() as read:
        history = alerts.find(read, alert_id)
        names = ", ".join(Event.__dataclass_fields__)
        rows = read.query(
            f"SELECT {names} FROM `tradehits.alert_events` WHERE alert_id = @alert_id ORDER BY recorded_at, event_id",
            {"alert_id": history.alert.alert_id},
        ).to_pylist()
    events = [Event(**row) for row in rows]
    if output == "json":
        sent = sorted({str(event.channel) for event in events if event.event_type == "SENT"})
        told = [_json({name: getattr(event, name) for name in Event.__dataclass_fields__}) for event in events]
        return json.dumps(as_object(history, sent) | {"events": told}, indent=2)
    from flows.alerts_show import alert_page

    return alert_page(history, events)


def deliver(settings: Settings) -> str:
    """Send what waits: messages that failed, digests that are due, what quiet hours held back."""
    from monitoring.conditions import Moment
    from monitoring.delivery import deliver as deliver_all
    from warehouse.clock import newest_known_at, now_of

    warehouse = _open(settings)
    with warehouse.read() as read:
        newest = newest_known_at(read)
    instants = {name: now_of(name, settings, newest[name]) for name in ASSET_TYPES}
    moments = [Moment(name, at.date(), at) for name, at in instants.items()]
    done = observed_task("deliver")(deliver_all)(warehouse, settings, moments)
    lines = [f"{done.sent} sent, {done.failed} failed, {done.waiting} waiting", *done.notes]
    return "\n".join(lines)


def test_channel(settings: Settings, channel: str) -> str:
    """Send a channel a harmless message.

    Raises:
        AlertError: It was not taken.
    """
    from monitoring.delivery import send_test

    answer = send_test(settings, channel)
    if answer.outcome != "SENT":
        raise AlertError(
            f"channel {channel}: {answer.detail}",
            remedy="check the URL with the apprise documentation of the service; docs/alerts.md has examples",
        )
    return f"channel {channel} took the message; look whether it arrived"


def as_object(history: History, sent_to: Sequence[str]) -> dict[str, Any]:
    """An alert as JSON: the table's columns, who takes care of it, and whom it reached."""
    acknowledged, judged = history.acknowledged, history.judged
    row = {name: getattr(history.alert, name) for name in history.alert.__dataclass_fields__}
    return _json(
        row
        | {
            "acknowledged_at": acknowledged.event_at if acknowledged else None,
            "acknowledged_by": acknowledged.actor if acknowledged else None,
            "judged_severity": history.judged_severity,
            "features": list(judged.get("features") or ()),
            "remedy": judged.get("remedy") or "",
            "sent_to": list(sent_to),
        }
    )


def _sent(warehouse: Warehouse) -> dict[str, list[str]]:
    rows = warehouse.query(
        "SELECT DISTINCT alert_id, channel FROM `tradehits.alert_events` WHERE event_type = 'SENT' ORDER BY channel"
    ).to_pylist()
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["alert_id"], []).append(row["channel"])
    return found


def _named(history: History) -> str:
    alert = history.alert
    return f"{alert.alert_id[:8]} ({alert.severity} {alert.asset_type} {alert.alert_type} {alert.metric_name})"


def _json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}


def _open(settings: Settings) -> Warehouse:
    """No turn in the pipeline is needed: an acknowledgement must not wait for a training run."""
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    return warehouse

"""Alerts on the command line."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitoring.alerts_records import Event, History, level

WIDTH = 132
_STYLES = {"CRITICAL": "bold red", "WARNING": "yellow"}


def alerts_table(histories: Sequence[History], *, everything: bool) -> str:
    """Alerts a person can read, newest first."""
    if not histories:
        return "No alert was ever opened." if everything else "No alert is open."
    table = Table(box=None, pad_edge=False)
    for name in ("id", "since", "class", "severity", "type", "metric", "state"):
        table.add_column(name, no_wrap=name != "metric", overflow="fold")
    table.add_column("message", overflow="fold", ratio=1)
    for history in histories:
        alert = history.alert
        table.add_row(
            alert.alert_id[:8],
            f"{alert.alert_time:%Y-%m-%d}",
            alert.asset_type,
            Text(alert.severity, style=_STYLES.get(alert.severity, "")),
            alert.alert_type,
            alert.metric_name,
            _state(history),
            Text(alert.message or ""),
        )
    return _drawn(table)


def alert_page(history: History, events: Sequence[Event]) -> str:
    """One alert and its events, oldest first."""
    alert, judged = history.alert, history.judged
    lines = [
        f"{alert.alert_id}  {alert.severity} {alert.asset_type} {alert.alert_type} {alert.metric_name}",
        f"  since {alert.alert_time:%Y-%m-%d}, {_state(history)}",
        f"  {alert.message or ''}",
        f"  now {_figure(alert.current_value)}, limit {_figure(alert.threshold_value)}, normally "
        f"{_figure(alert.baseline_value)}",
    ]
    if judged.get("features"):
        lines.append(f"  features: {', '.join(judged['features'])}")
    if judged.get("remedy"):
        lines.append(f"  what to do: {judged['remedy']}")
    table = Table(box=None, pad_edge=False)
    for name in ("recorded (UTC)", "event", "severity", "day judged", "by", "what"):
        table.add_column(name, overflow="fold")
    for event in events:
        table.add_row(
            f"{event.recorded_at:%Y-%m-%d %H:%M:%S}" if event.recorded_at else "",
            event.event_type,
            event.severity or "",
            f"{event.judged_date}" if event.judged_date else "",
            f"to {event.channel}" if event.event_type == "SENT" else event.actor or "",
            Text(_what(event)),
        )
    return "\n".join([*lines, "", _drawn(table)])


def _what(event: Event) -> str:
    if event.event_type == "SENT":
        return event.detail or ""
    said = json.loads(event.detail or "{}")
    return str(said.get("message") or said.get("note") or "")


def _state(history: History) -> str:
    alert, acknowledged = history.alert, history.acknowledged
    if alert.is_resolved:
        return f"resolved by {alert.resolved_by}"
    eased = ", eased" if level(history.judged_severity) < level(alert.severity) else ""
    return f"{acknowledged.actor}'s{eased}" if acknowledged is not None else f"open{eased}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _drawn(table: Table) -> str:
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())

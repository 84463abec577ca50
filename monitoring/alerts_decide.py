"""What a judgement does to a class's alerts: a pure function of what is open, what was judged, and when.

Rules, per (alert type, metric):

- raised, nothing open: a new alert, unless a person resolved the last one after a judgement of this day or a later one
  and it is no worse than then: a day that a person closed is not opened again by running it again;
- raised and worse than the alert: escalated in place, which also ends an acknowledgement;
- raised at the alert's severity or below: figures and message follow, the severity stays (an alert never de-escalates:
  around an edge it would page every other day);
- judged and clear: resolved;
- not judged: as it was.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from monitoring.alerts_records import MONITORING, Alert, Event, History, level
from monitoring.conditions import Condition, Moment

Name = tuple[str, str]


@dataclass(frozen=True)
class ClassState:
    """What a decision looks at.

    Attributes:
        open: Open alerts of the class.
        so_far: How many alerts each (alert type, metric) ever had.
        closed_by_people: Highest level that a person resolved after a judgement of the moment's day or a later one.
    """

    open: tuple[History, ...] = ()
    so_far: Mapping[Name, int] = field(default_factory=dict)
    closed_by_people: Mapping[Name, int] = field(default_factory=dict)


@dataclass(frozen=True)
class AlertChanges:
    """What a judgement did; `note` says why an older day did nothing."""

    opened: tuple[Alert, ...] = ()
    escalated: tuple[Alert, ...] = ()
    resolved: tuple[Alert, ...] = ()
    unchanged: tuple[Alert, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Decision:
    """The changes, and the rows that carry them out."""

    changes: AlertChanges
    alerts: tuple[Alert, ...]
    events: tuple[Event, ...]


def decide(state: ClassState, moment: Moment, conditions: Sequence[Condition], recorded_at: datetime) -> Decision:
    """Apply the rules to one class at one moment.

    Args:
        state: The class's alerts as stored.
        moment: When; older days than the newest judged one must not come here.
        conditions: What was judged; of two about the same thing the more severe one counts.
        recorded_at: The wall clock's instant, UTC.
    """
    open_alerts = newest_by_name(state.open)
    opened: list[Alert] = []
    escalated: list[Alert] = []
    resolved: list[Alert] = []
    unchanged: list[Alert] = []
    rows: list[Alert] = []
    events: list[Event] = []

    def keep(alert: Alert, event: Event, where: list[Alert]) -> None:
        rows.append(alert)
        events.append(event)
        where.append(alert)

    judged = _worst(conditions)
    for name, condition in judged.items():
        history = open_alerts.get(name)
        if condition.severity is None:
            continue
        if history is None:
            if level(condition.severity) > state.closed_by_people.get(name, 0):
                alert = _opened(condition, moment, state.so_far.get(name, 0) + 1, recorded_at)
                keep(alert, _told(History(alert, ()), "OPENED", condition, moment, recorded_at), opened)
            continue
        if level(condition.severity) > level(history.alert.severity):
            alert = _with_figures(replace(history.alert, severity=condition.severity), condition)
            keep(alert, _told(history, "ESCALATED", condition, moment, recorded_at), escalated)
        elif _says_the_same(history, condition):
            unchanged.append(history.alert)
        else:
            alert = _with_figures(history.alert, condition)
            keep(alert, _told(history, "UPDATED", condition, moment, recorded_at), unchanged)
    for history in state.open:
        one = judged.get(history.alert.name)
        is_copy = history is not open_alerts[history.alert.name]
        if is_copy or (one is not None and one.severity is None):
            alert = replace(
                history.alert,
                is_resolved=True,
                resolved_at=max(moment.now, history.alert.alert_time),
                resolved_by=MONITORING,
            )
            why = "another open alert is about the same" if is_copy else one.message if one else ""
            event = history.next_event(
                "RESOLVED",
                moment.now,
                recorded_at,
                actor=MONITORING,
                judged_date=moment.date,
                detail=json.dumps({"note": why}),
            )
            keep(alert, event, resolved)
        elif one is None:
            unchanged.append(history.alert)
    changes = AlertChanges(tuple(opened), tuple(escalated), tuple(resolved), tuple(unchanged))
    return Decision(changes, tuple(rows), tuple(events))


def conditions_hash(conditions: Iterable[Condition]) -> str:
    """The same for the same conditions in any order."""
    told = sorted(json.dumps([c.alert_type, c.metric_name, c.severity, said(c)], sort_keys=True) for c in conditions)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]


def newest_by_name(histories: Iterable[History]) -> dict[Name, History]:
    """The newest open alert of each name: older systems may have left several."""
    found: dict[Name, History] = {}
    for history in sorted(histories, key=lambda one: (one.alert.alert_time, one.alert.alert_id)):
        found[history.alert.name] = history
    return found


def said(condition: Condition) -> dict[str, object]:
    """What an event keeps of a condition; figures without a value are NULL."""
    return {
        "current_value": finite(condition.current_value),
        "threshold_value": finite(condition.threshold_value),
        "baseline_value": finite(condition.baseline_value),
        "message": condition.message,
        "remedy": condition.remedy,
        "features": list(condition.features),
    }


def finite(value: float | None) -> float | None:
    """NaN and infinity are no figures."""
    return float(value) if value is not None and math.isfinite(value) else None


def _worst(conditions: Iterable[Condition]) -> dict[Name, Condition]:
    found: dict[Name, Condition] = {}
    for condition in conditions:
        name = (condition.alert_type, condition.metric_name)
        if name not in found or level(condition.severity) > level(found[name].severity):
            found[name] = condition
    return found


def _opened(condition: Condition, moment: Moment, number: int, recorded_at: datetime) -> Alert:
    text = "\n".join((moment.asset_type, condition.alert_type, condition.metric_name, str(number)))
    alert = Alert(
        alert_id=hashlib.sha256(text.encode()).hexdigest()[:16],
        alert_time=moment.now,
        asset_type=moment.asset_type,
        alert_type=condition.alert_type,
        severity=str(condition.severity),
        metric_name=condition.metric_name,
        current_value=None,
        threshold_value=None,
        baseline_value=None,
        message=None,
        is_resolved=False,
        resolved_at=None,
        resolved_by=None,
        created_at=recorded_at,
    )
    return _with_figures(alert, condition)


def _with_figures(alert: Alert, condition: Condition) -> Alert:
    return replace(
        alert,
        current_value=finite(condition.current_value),
        threshold_value=finite(condition.threshold_value),
        baseline_value=finite(condition.baseline_value),
        message=condition.message,
    )


def _told(history: History, event_type: str, condition: Condition, moment: Moment, recorded_at: datetime) -> Event:
    return history.next_event(
        event_type,  # type: ignore[arg-type]
        moment.now,
        recorded_at,
        severity=condition.severity,
        actor=MONITORING,
        judged_date=moment.date,
        detail=json.dumps(said(condition)),
    )


def _says_the_same(history: History, condition: Condition) -> bool:
    return dict(history.judged) == said(condition) and history.judged_severity == condition.severity

"""Alerts: opened, escalated and resolved by judgements, acknowledged and resolved by people.

Every change of an alert is a numbered event, inserted in the transaction that changes the alert's row; every judgement
is a numbered row of its class. Of two changes at once one therefore finds its number taken, and looks again: no lock is
held, on no engine, and an acknowledgement never waits for a training run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TypeVar

import pyarrow as pa

from configs.settings import Settings
from market.assets import AssetType
from market.errors import AlertError, DuplicateKeyError
from monitoring.alerts_decide import AlertChanges, ClassState, conditions_hash, decide
from monitoring.alerts_records import (
    ALERTS_TABLE,
    EVENTS_TABLE,
    MONITORING,
    History,
    alert_writes,
    read_histories,
)
from monitoring.conditions import Condition, Moment
from warehouse.clock import wall_clock
from warehouse.warehouse import ReadConnection, Warehouse, Write

__all__ = ["AlertChanges", "acknowledge", "apply", "listed", "newest_judged", "resolve"]

JUDGEMENTS_TABLE = "tradehits.alert_judgements"
_TRIES = 12
T = TypeVar("T")


def apply(warehouse: Warehouse, settings: Settings, moment: Moment, conditions: Sequence[Condition]) -> AlertChanges:
    """Let the alerts of a class follow what was judged at a moment, in one transaction.

    Alerts follow the newest judged day of their class: a day before it changes nothing, and the note says so. The same
    day again is judged again (late labels); with the same conditions nothing is written.

    Args:
        warehouse: Keeps alerts, events and judgements.
        settings: The profile.
        moment: Class, day and instant.
        conditions: What was judged, raised or clear; other classes' conditions are an error.

    Raises:
        AlertError: A condition is of another class than the moment.
    """
    strangers = [c.metric_name for c in conditions if c.asset_type != moment.asset_type]
    if strangers:
        raise AlertError(f"{', '.join(strangers)}: judged for another class than {moment.asset_type}")

    def change() -> AlertChanges:
        with warehouse.read() as read:
            number, newest, digest = _last_judgement(read, moment.asset_type)
            if newest is not None and moment.date < newest:
                return AlertChanges(
                    unchanged=tuple(h.alert for h in _open(read, moment.asset_type)),
                    note=f"alerts of {moment.asset_type} follow {newest}, the newest day judged: {moment.date} "
                    "opened, escalated and resolved none",
                )
            state = _class_state(read, moment)
        decision = decide(state, moment, conditions, wall_clock())
        told = conditions_hash(conditions)
        if decision.events or (newest, digest) != (moment.date, told):
            judgement = _judgement(moment, conditions, told, number + 1)
            warehouse.write([judgement, *alert_writes(decision.alerts, decision.events)])
        return decision.changes

    return _until_alone(change)


def acknowledge(warehouse: Warehouse, alert_id: str, *, by: str, note: str = "") -> History:
    """Take an alert on: it stays open, and is sent no more until it escalates.

    Args:
        warehouse: Keeps it.
        alert_id: Its id, or the beginning of it.
        by: Who takes it on.
        note: What for.

    Raises:
        AlertError: No alert or several begin so, it is resolved, or somebody acknowledged it before.
    """
    return _by_person(warehouse, alert_id, by, note, is_resolution=False)


def resolve(warehouse: Warehouse, alert_id: str, *, by: str, note: str = "") -> History:
    """Close an alert; its condition, still raised on a later day, opens a new one.

    Raises:
        AlertError: No alert or several begin so, or it is resolved.
    """
    return _by_person(warehouse, alert_id, by, note, is_resolution=True)


def listed(warehouse: Warehouse, asset_types: Sequence[AssetType] = (), *, resolved_too: bool = False) -> list[History]:
    """Open alerts, or all, newest first; of some classes, or all."""
    condition = "TRUE" if resolved_too else "NOT alert.is_resolved"
    with warehouse.read() as read:
        found = read_histories(read, condition)
    return [one for one in found if not asset_types or one.alert.asset_type in asset_types]


def newest_judged(read: ReadConnection, asset_type: AssetType) -> date | None:
    """The newest judged day of a class that is not after its today; None before the first judgement."""
    return newest_judged_days(read).get(asset_type)


def newest_judged_days(read: ReadConnection) -> dict[AssetType, date]:
    """`newest_judged` of every class that was judged."""
    rows = read.query(
        f"SELECT judged.asset_type, MAX(judged.judged_date) AS newest FROM `{JUDGEMENTS_TABLE}` AS judged "
        "INNER JOIN `tradehits.v_today` AS asset ON judged.asset_type = asset.asset_type "
        "WHERE judged.judged_date <= asset.today GROUP BY judged.asset_type"
    ).to_pylist()
    return {row["asset_type"]: row["newest"] for row in rows}


def find(read: ReadConnection, alert_id: str) -> History:
    """The one alert whose id is this one, or else begins so; ids of older systems may be the beginning of others.

    Raises:
        AlertError: There is none, or several.
    """
    wanted = alert_id.strip().lower()
    condition = "STARTS_WITH(LOWER(alert.alert_id), @wanted)"
    found = read_histories(read, condition, {"wanted": wanted}) if wanted else []
    found = [one for one in found if one.alert.alert_id.lower() == wanted] or found
    if len(found) != 1:
        raise AlertError(
            f"{len(found) or 'no'} alerts begin with '{alert_id}'",
            remedy="`tradehits alerts list --all` shows their ids",
        )
    return found[0]


def _until_alone(change: Callable[[], T]) -> T:
    """Decide and write again while others' changes come in between."""
    for _ in range(_TRIES - 1):
        try:
            return change()
        except DuplicateKeyError:
            continue
    return change()


def _open(read: ReadConnection, asset_type: AssetType) -> list[History]:
    condition = "NOT alert.is_resolved AND alert.asset_type = @asset_type"
    return read_histories(read, condition, {"asset_type": asset_type})


def _last_judgement(read: ReadConnection, asset_type: AssetType) -> tuple[int, date | None, str]:
    """How many there were; day and hash of the newest one of the newest day up to today.

    A clock that was set back has days that no class's today reaches yet: they wait.
    """
    rows = read.query(
        f"""
WITH numbered AS (
  SELECT
    judged.judgement_id,
    judged.judged_date,
    judged.conditions_hash,
    judged.judged_date <= asset.today AS has_come,
    COUNT(*) OVER () AS judgements
  FROM `{JUDGEMENTS_TABLE}` AS judged
  INNER JOIN `tradehits.v_today` AS asset ON judged.asset_type = asset.asset_type
  WHERE judged.asset_type = @asset_type
)

SELECT judged_date, conditions_hash, has_come, judgements
FROM numbered
ORDER BY has_come DESC, judged_date DESC, judgement_id DESC
LIMIT 1
""",
        {"asset_type": asset_type},
    ).to_pylist()
    if not rows:
        return 0, None, ""
    [row] = rows
    return row["judgements"], row["judged_date"] if row["has_come"] else None, row["conditions_hash"]


def _class_state(read: ReadConnection, moment: Moment) -> ClassState:
    rows = read.query(
        f"""
WITH closed AS (
  SELECT DISTINCT alert_id
  FROM `{EVENTS_TABLE}`
  WHERE event_type = 'RESOLVED' AND actor != @monitoring AND judged_date >= @day
)

SELECT
  alert.alert_type,
  alert.metric_name,
  COUNT(*) AS alerts,
  MAX(CASE WHEN closed.alert_id IS NULL THEN 0 WHEN alert.severity = 'CRITICAL' THEN 2 ELSE 1 END) AS closed_level
FROM `{ALERTS_TABLE}` AS alert
LEFT JOIN closed ON alert.alert_id = closed.alert_id
WHERE alert.asset_type = @asset_type
GROUP BY alert.alert_type, alert.metric_name
""",
        {"asset_type": moment.asset_type, "monitoring": MONITORING, "day": moment.date},
    ).to_pylist()
    names = {(row["alert_type"], row["metric_name"]): row for row in rows}
    return ClassState(
        open=tuple(_open(read, moment.asset_type)) if rows else (),
        so_far={name: row["alerts"] for name, row in names.items()},
        closed_by_people={name: row["closed_level"] for name, row in names.items()},
    )


def _judgement(moment: Moment, conditions: Sequence[Condition], told: str, number: int) -> Write:
    stamp = pa.timestamp("us", tz="UTC")
    row = {
        "judgement_id": f"{moment.asset_type}:{number:06d}",
        "asset_type": moment.asset_type,
        "judged_date": moment.date,
        "judged_at": moment.now,
        "recorded_at": wall_clock(),
        "conditions": len(conditions),
        "raised": sum(condition.severity is not None for condition in conditions),
        "conditions_hash": told,
    }
    types = {"judged_date": pa.date32(), "judged_at": stamp, "recorded_at": stamp}
    types |= {"conditions": pa.int64(), "raised": pa.int64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in row])
    return Write(JUDGEMENTS_TABLE, rows=pa.Table.from_pylist([row], schema=schema), mode="append")


def _by_person(warehouse: Warehouse, alert_id: str, by: str, note: str, *, is_resolution: bool) -> History:
    name = " ".join(by.split())
    if not name or name.lower() == MONITORING:
        raise AlertError("--by names no person", remedy="say who: --by NAME")

    def change() -> History:
        with warehouse.read() as read:
            history = find(read, alert_id)
            now = _now(read, history.alert.asset_type)
            judged = newest_judged(read, history.alert.asset_type)
        _refuse_settled(history, is_resolution)
        alert, at = history.alert, max(now, history.alert.alert_time)
        if is_resolution:
            alert = replace(alert, is_resolved=True, resolved_at=at, resolved_by=name)
        event = history.next_event(
            "RESOLVED" if is_resolution else "ACKNOWLEDGED",
            at,
            wall_clock(),
            severity=alert.severity,
            actor=name,
            judged_date=judged,
            detail=json.dumps({"note": note.strip()}),
        )
        warehouse.write(alert_writes([alert] if is_resolution else [], [event]))
        return History(alert, (*history.events, event))

    return _until_alone(change)


def _refuse_settled(history: History, is_resolution: bool) -> None:
    alert, acknowledged = history.alert, history.acknowledged
    if alert.is_resolved:
        raise AlertError(f"{alert.resolved_by} resolved {alert.alert_id} on {alert.resolved_at:%Y-%m-%d %H:%M} UTC")
    if acknowledged is not None and not is_resolution:
        raise AlertError(
            f"{acknowledged.actor} acknowledged {alert.alert_id} on {acknowledged.event_at:%Y-%m-%d %H:%M} UTC",
            remedy="resolve it, or leave it: it is sent again when it escalates",
        )


def _now(read: ReadConnection, asset_type: AssetType) -> datetime:
    [row] = read.query(
        "SELECT now_at FROM `tradehits.v_today` WHERE asset_type = @asset_type", {"asset_type": asset_type}
    ).to_pylist()
    return row["now_at"]  # type: ignore[no-any-return]

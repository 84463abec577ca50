"""Advice to retrain: a CRITICAL alert that nobody has taken on proposes it, or triggers it where configured.

Once per cool-down and class, by the class's clock. CRITICAL FEATURE_DRIFT is a fault of the data (missing, stuck,
another unit): it advises no training, and while it is open none is triggered: a model must not learn broken bars.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

import pyarrow as pa

from configs.settings import Settings
from market.assets import AssetType
from market.errors import DuplicateKeyError
from monitoring.alerts import newest_judged
from monitoring.alerts_records import level, read_histories
from monitoring.conditions import Moment
from warehouse.champions import published_champions
from warehouse.clock import wall_clock
from warehouse.warehouse import ReadConnection, Warehouse, Write

ADVICE_TABLE = "tradehits.retrain_advice"
_FAULT = "FEATURE_DRIFT"
_ANEW = timedelta(days=1)


@dataclass(frozen=True)
class Advice:
    """One row of `tradehits.retrain_advice`; `alert_ids` is a JSON array."""

    advice_id: str
    asset_type: AssetType
    advised_date: date
    advised_at: datetime
    recorded_at: datetime
    action: Literal["propose", "trigger"]
    reason: str
    alert_ids: str
    model_version: str | None
    outcome: str | None
    concluded_at: datetime | None

    @property
    def sentence(self) -> str:
        """What a person reads."""
        said = "is started" if self.action == "trigger" else f"proposed: tradehits train --asset-type {self.asset_type}"
        return f"{said}; {self.reason}"


def advise(warehouse: Warehouse, settings: Settings, moment: Moment) -> Advice | None:
    """Decide at a moment whether its class should be retrained, and record the advice.

    Returns:
        The advice given now, or again when the training that it triggered was cut off; None when there is none to give:
        `alerts.retrain` is off, no CRITICAL alert is open that nobody has acknowledged and that new training could
        help, the last advice is younger than the cool-down, or the moment is not the newest judged day.
    """
    if settings.alerts.retrain == "off":
        return None
    with warehouse.read() as read:
        if newest_judged(read, moment.asset_type) not in (None, moment.date):
            return None
        number, last = _last(read, moment)
        condition = "NOT alert.is_resolved AND alert.asset_type = @asset_type"
        found = read_histories(read, condition, {"asset_type": moment.asset_type})
        champion = published_champions(read).get(moment.asset_type)
    critical = [h for h in found if level(h.alert.severity) > 1]
    causes = [h for h in critical if h.alert.alert_type != _FAULT and h.acknowledged is None]
    if not causes:
        return None
    faults = [h.alert.metric_name for h in critical if h.alert.alert_type == _FAULT]
    action, reason = _decided(settings.alerts.retrain, [h.alert.metric_name for h in causes], faults)
    cooldown = timedelta(days=settings.alerts.retrain_cooldown_days)
    if last is not None and moment.date - last.advised_date < cooldown:
        return last if action == "trigger" and _was_cut_off(last, moment) else None
    advice = Advice(
        advice_id=f"{moment.asset_type}:{number + 1:05d}",
        asset_type=moment.asset_type,
        advised_date=moment.date,
        advised_at=moment.now,
        recorded_at=wall_clock(),
        action=action,
        reason=reason,
        alert_ids=json.dumps([h.alert.alert_id for h in causes]),
        model_version=champion.model_version if champion else None,
        outcome=None,
        concluded_at=None,
    )
    try:
        warehouse.write([_write(advice, is_new=True)])
    except DuplicateKeyError:
        return None  # another run gave it at this instant, and the cool-down holds for both
    return advice


def conclude(warehouse: Warehouse, advice: Advice, outcome: str) -> Advice:
    """Record what became of a triggered training, such as `champion v3` or `failed: NotEnoughDataError`."""
    done = replace(advice, outcome=outcome, concluded_at=wall_clock())
    warehouse.write([_write(done, is_new=False)])
    return done


def newest_advice(read: ReadConnection) -> dict[AssetType, Advice]:
    """The last advice about every class that had any."""
    names = ", ".join(Advice.__dataclass_fields__)
    rows = read.query(
        f"SELECT {names} FROM `{ADVICE_TABLE}` WHERE TRUE "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY asset_type ORDER BY advice_id DESC) = 1"
    ).to_pylist()
    return {row["asset_type"]: Advice(**row) for row in rows}


def _decided(mode: str, causes: list[str], faults: list[str]) -> tuple[Literal["propose", "trigger"], str]:
    reason = f"CRITICAL: {', '.join(causes)}"
    if faults:
        return "propose", f"{reason}; but repair the data first ({', '.join(faults)}): a model would learn the fault"
    return ("trigger", reason) if mode == "trigger" else ("propose", reason)


def _last(read: ReadConnection, moment: Moment) -> tuple[int, Advice | None]:
    """How much advice a class ever got, and the newest that is not of a later day: a clock may have been set back."""
    names = ", ".join(Advice.__dataclass_fields__)
    rows = read.query(
        f"SELECT {names}, COUNT(*) OVER () AS given FROM `{ADVICE_TABLE}` WHERE asset_type = @asset_type "
        "ORDER BY advised_date > @day, advice_id DESC LIMIT 1",
        {"asset_type": moment.asset_type, "day": moment.date},
    ).to_pylist()
    if not rows:
        return 0, None
    given, last = rows[0].pop("given"), Advice(**rows[0])
    return given, last if last.advised_date <= moment.date else None


def _was_cut_off(last: Advice, moment: Moment) -> bool:
    """Whether a training that was to start has no end: its process was killed before, or the training broke.

    It is started anew on its day and the next one, not for ever: a training that kills its process would come daily.
    """
    is_young = moment.date - last.advised_date <= _ANEW
    return last.action == "trigger" and last.outcome is None and is_young


def _write(advice: Advice, *, is_new: bool) -> Write:
    stamp = pa.timestamp("us", tz="UTC")
    schema = pa.schema(
        [
            (n, pa.date32() if n == "advised_date" else stamp if n.endswith("_at") else pa.string())
            for n in Advice.__dataclass_fields__
        ]
    )
    return Write(
        ADVICE_TABLE, rows=pa.Table.from_pylist([asdict(advice)], schema=schema), mode="append" if is_new else "merge"
    )

"""The sequential tests of a class's days, told as conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from configs.detectors import DetectorSettings
from market.sequential import DaySums, Worse, day_deviations, watch
from monitoring.conditions import Condition, Moment, Severity
from monitoring.detectors_read import Record, hits, misses, picks

REMEDY: Final = (
    "compare the edge over the base rate and look for features that moved; if it is gone, "
    "`tradehits train --asset-type {asset_type}`: a new champion starts with a clear sheet"
)

_SURE: Final = 1.645
"""Standard errors of a one-sided 95% bound: days on which an alarm begins are worse than those that follow."""


@dataclass(frozen=True)
class Test:
    """One measure that is watched day by day.

    Attributes:
        metric_name: Of the condition.
        name: For a reader.
        values: Its values of a day.
        worse: Which side is worse.
        chance: What predictions without any skill score, in the unit of the values.
        scale: From that unit to the condition's.
        shown: Format of the condition's value.
    """

    metric_name: str
    name: str
    values: Callable[[pl.DataFrame], DaySums]
    worse: Worse
    chance: float
    scale: float
    shown: str

    def critical_level(self, baseline: float, edge_loss: float) -> float:
        """The level at which the share `edge_loss` of the baseline's distance from chance is gone.

        A baseline no better than chance has nothing to lose: chance itself is the level.
        """
        edge = baseline - self.chance
        is_skilled = edge > 0 if self.worse == "low" else edge < 0
        return self.chance + (1 - edge_loss) * (edge if is_skilled else 0.0)

    def is_as_bad(self, value: float, level: float) -> bool:
        """Whether a value reaches a level from the better side."""
        return value <= level if self.worse == "low" else value >= level

    def text(self, value: float) -> str:
        """A value for a reader."""
        return self.shown.format(self.scale * value)


TESTS: Final = (
    Test("accuracy_sequential", "accuracy", hits, "low", 0.5, 100, "{:.1f}%"),
    Test("selection_sequential", "accuracy beyond the day's market", picks, "low", 0.0, 100, "{:+.1f} points"),
    Test("brier_sequential", "Brier score", misses, "high", 0.25, 1, "{:.4f}"),
)


@dataclass(frozen=True)
class _Found:
    """Where a test stands; levels in the unit of its values, `first` the position of the day they are measured from."""

    severity: Severity | None
    level: float | None
    baseline: float
    critical: float
    first: int


def sequential(test: Test, record: Record, rule: DetectorSettings, moment: Moment) -> Condition:
    """The condition of one test at a moment."""
    days = record.judged_days
    values = test.values(days)
    found = _found(test, values, record.baseline.height, rule)
    return Condition(
        asset_type=moment.asset_type,
        alert_type="ACCURACY_DRIFT",
        metric_name=test.metric_name,
        severity=found.severity,
        current_value=None if found.level is None else test.scale * found.level,
        threshold_value=test.scale * found.critical,
        baseline_value=test.scale * found.baseline,
        message=_message(test, found, days[found.first :], record, rule, moment),
        remedy=REMEDY.format(asset_type=moment.asset_type) if found.severity else "",
    )


def _found(test: Test, values: DaySums, start: int, rule: DetectorSettings) -> _Found:
    baseline = _pooled(values, 0, start)
    critical = test.critical_level(baseline, rule.critical_edge_loss)
    if values.rows.size == start:
        return _Found(None, None, baseline, critical, start)
    seen = watch(values, start, threshold=rule.days_between_false_alarms, worse=test.worse)
    if not seen.raised[-1] or values.rows[start:].sum() < rule.min_predictions:
        return _Found(None, _pooled(values, start, None), baseline, critical, start)
    first = int(seen.changed[-1])
    level = _pooled(values, first, None)
    margin = _SURE * _standard_error(values, start, first)
    is_critical = test.is_as_bad(level + (margin if test.worse == "low" else -margin), critical)
    return _Found("CRITICAL" if is_critical else "WARNING", level, baseline, critical, first)


def _standard_error(values: DaySums, start: int, first: int) -> float:
    """Of the pooled level of the days from `first` on, days being as different as those of the baseline."""
    rows, deviation = values.rows[first:], day_deviations(values, start)[first:]
    return float(np.sqrt(np.square(rows * deviation).sum()) / rows.sum())


def _pooled(values: DaySums, first: int, end: int | None) -> float:
    return float(values.total[first:end].sum() / values.rows[first:end].sum())


def _message(
    test: Test, found: _Found, days: pl.DataFrame, record: Record, rule: DetectorSettings, moment: Moment
) -> str:
    against = f"{test.text(found.baseline)} in the {record.baseline.height} days of record before the model's own"
    if found.level is None:
        return f"{moment.asset_type}: no outcome of the new model is known yet; {test.name} is compared with {against}"
    rows = int(days["predictions"].sum())
    measured = f"{test.text(found.level)} in {days.height} days since {days['date'][0]} ({rows:,} predictions)"
    if found.severity is None:
        return f"{moment.asset_type}: no lasting change of {test.name}: {measured} against {against}"
    lost = f"{100 * rule.critical_edge_loss:.0f}% of its lead over chance or more is gone"
    sure = f"{lost}, by the better end of a 95% bound" if found.severity == "CRITICAL" else f"that {lost} is not sure"
    return (
        f"{moment.asset_type}: {test.name} became worse and stayed so: {measured} against {against}; {sure}. By chance "
        f"such an alarm comes at most once in {rule.days_between_false_alarms:,.0f} days"
    )

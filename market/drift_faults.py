"""Faults of data that have a name: missing values, a stuck value, another unit, values outside the possible range."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from market.drift import Floats, Summary
from market.drift_grid import Ruler
from market.drift_weeks import Weeks

Kind = Literal[
    "missing values", "stuck value", "unit change", "out of range", "shift", "scale", "scatter", "distribution"
]

_HUNDRED = (0.0, 100.0)
_FLAG = (0.0, 1.0)
BOUNDS = MappingProxyType(
    {
        **dict.fromkeys(("rsi", "mfi", "stoch_k", "stoch_d", "adx", "plus_di", "minus_di", "growth_score"), _HUNDRED),
        **dict.fromkeys(("rsi_overbought", "rsi_oversold", "macd_rising", "macd_cross_up", "pivot_high_flag"), _FLAG),
        **dict.fromkeys(("pivot_low_flag", "in_rise_cycle", "rise_cycle_start", "golden_cross", "death_cross"), _FLAG),
        "macd_cross": (-1.0, 1.0),
        "williams_r": (-100.0, 0.0),
        "cmf": (-1.0, 1.0),
        "atr_pct": (0.0, np.inf),
        "volume_ratio": (0.0, np.inf),
        "rsi_volume_interaction": (0.0, np.inf),
        "adx_trend_interaction": (-100.0, 100.0),
    }
)
"""Values that a feature can have by its definition."""

MISSING_POINTS = 0.05
"""Share of missing values above the worst week of training."""
REPEATED_POINTS = 0.25
"""Share of unchanged values above the worst week of training."""
UNIT_DECADES = 0.8
"""Powers of ten from the baseline's median magnitude, at least ..."""
UNIT_MARGIN_DECADES = 0.5
"""... and so many beyond the furthest week of training."""
RANGE_SHARE = 0.005
"""Share of values more than half the baseline's range outside it."""
EXPECTED_OTHERS = 10.0
"""A flag that did not change is stuck only if so many changes were to be expected."""

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Fault:
    """One fault of one feature: the figure, the limit it broke, what is usual, and a sentence that tells them."""

    kind: Kind
    value: float
    limit: float
    usual: float
    detail: str


@dataclass(frozen=True)
class Judged:
    """What is known of one feature when it is judged.

    Attributes:
        name: The feature.
        values: Known values of the newest week, sorted; not empty unless all are missing.
        current: Their summary.
        baseline: Summary of the training rows.
        ruler: Of the training rows.
        modal: Share of the newest week's most common value.
        repeated: Share of its values that are exactly their symbol's value before; NaN where none has one.
        missing: Share of its bars without a value.
        usual: Figures of weeks of training, as `Weeks`.
        column: Position of the feature in them.
    """

    name: str
    values: Floats
    current: Summary
    baseline: Summary
    ruler: Ruler
    modal: float
    repeated: float
    missing: float
    usual: Weeks
    column: int

    def weeks(self, figure: str) -> Floats:
        """The figure of every week of training that has it."""
        values: Floats = getattr(self.usual, figure)[:, self.column]
        return values[~np.isnan(values)]


def find_faults(given: Judged) -> list[Fault]:
    """Every fault of a feature, the gravest first."""
    stuck = _stuck_value(given)
    # a value that does not move has no typical size
    unit = None if stuck is not None else _unit_change(given)
    return [fault for fault in (stuck, unit, _missing_values(given), _out_of_range(given)) if fault is not None]


def _unit_change(given: Judged) -> Fault | None:
    weeks = given.weeks("magnitude")
    weeks = weeks[weeks > 0]
    if given.ruler.is_discrete or not weeks.size or not given.values.size:
        return None
    usual, now = float(np.median(weeks)), float(np.median(np.abs(given.values)))
    if now <= 0:
        return None
    furthest = float(np.abs(np.log10(weeks / usual)).max())
    decades, limit = float(np.log10(now / usual)), max(UNIT_DECADES, furthest + UNIT_MARGIN_DECADES)
    if abs(decades) < limit:
        return None
    return Fault(
        "unit change",
        now,
        usual * 10 ** float(np.copysign(limit, decades)),
        usual,
        f"unit change: the typical size is {now:.4g} where {usual:.4g} is usual, about x{10.0 ** round(decades):g}",
    )


def _stuck_value(given: Judged) -> Fault | None:
    if given.ruler.is_constant:
        return None
    if given.ruler.is_discrete:
        return _stuck_flag(given)
    for figure, now, what in (
        ("modal", given.modal, "have one and the same value"),
        ("repeated", given.repeated, "repeat their symbol's value before"),
    ):
        weeks = given.weeks(figure)
        usual = float(np.median(weeks)) if weeks.size else 0.0
        limit = min(0.99, (float(weeks.max()) if weeks.size else 0.0) + REPEATED_POINTS)
        if now >= limit:
            return Fault(
                "stuck value", now, limit, usual, f"stuck value: {now:.0%} of the bars {what}, {usual:.0%} is usual"
            )
    return None


def _stuck_flag(given: Judged) -> Fault | None:
    weeks, now = given.weeks("modal"), given.modal
    if not now >= 1 or not weeks.size or not given.values.size:
        return None
    share = given.ruler.share(float(given.values[0]))
    if share == 0:
        return None  # a value that training does not know is out of range
    limit = 1 - (1 - share) / 4
    # symbols move together: nearly all of them had this value in a week of training, and nothing was wrong
    had_it = given.weeks("magnitude") == abs(given.values[0])
    if weeks[had_it].max(initial=0.0) > limit or given.current.rows * (1 - share) < EXPECTED_OTHERS:
        return None
    return Fault(
        "stuck value",
        now,
        limit,
        share,
        f"stuck value: every bar has {given.values[0]:g}, which {share:.0%} have usually",
    )


def _missing_values(given: Judged) -> Fault | None:
    weeks, now = given.weeks("missing"), given.missing
    usual = float(np.median(weeks)) if weeks.size else given.baseline.missing_share
    limit = (float(weeks.max()) if weeks.size else usual) + MISSING_POINTS
    if now < limit:
        return None
    return Fault(
        "missing values",
        now,
        limit,
        usual,
        f"missing values: {now:.1%} of the bars with a full history have none, {usual:.1%} is usual",
    )


def _out_of_range(given: Judged) -> Fault | None:
    values, knots = given.values, given.ruler.knots
    if not values.size:
        return None
    low, high, share = float(knots[0]), float(knots[-1]), 0.0
    if given.name in BOUNDS:
        low, high = BOUNDS[given.name][0] - _ROUNDING, BOUNDS[given.name][1] + _ROUNDING
    elif not given.ruler.is_discrete:
        half = (high - low) / 2
        low, high, share = low - half, high + half, RANGE_SHARE
    outside = (values < low) | (values > high)
    if given.ruler.is_discrete:
        outside |= ~np.isin(values, knots)
    if not outside.any() or outside.mean() < share:
        return None
    middle = (knots[0] + knots[-1]) / 2
    worst = float(values[outside][np.argmax(np.abs(values[outside] - middle))])
    return Fault(
        "out of range",
        worst,
        high if worst > middle else low,
        float(middle),
        f"out of range: {outside.sum()} of {values.size} values lie where none may, such as {worst:.4g}",
    )

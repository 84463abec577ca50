"""Has the market itself changed: its volatility and trend state, and what features say about the next bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from market.drift import Floats


@dataclass(frozen=True)
class RegimeShift:
    """One figure of the newest week against weeks of training.

    Attributes:
        now: The newest week's.
        usual: Median of the weeks.
        limit: What it may not pass, on the side where it lies.
        is_shift: It does.
    """

    now: float
    usual: float
    limit: float
    is_shift: bool


def volatility_shift(now_pct: float, weeks_pct: Floats, margin: float) -> RegimeShift:
    """Compare the class's typical volatility with that of weeks of training, as a factor.

    Args:
        now_pct: Median of the newest week, percent, positive.
        weeks_pct: Medians of at least one week of training, positive, NaN where unknown.
        margin: The furthest week may be exceeded by this share of its logarithmic distance.
    """
    logs = np.log(weeks_pct[weeks_pct > 0])
    usual = float(np.median(logs))
    distance = np.log(now_pct) - usual
    above = logs.max() - usual if distance >= 0 else usual - logs.min()
    reach = float(above) * (1 + margin)
    limit = float(np.exp(usual + np.copysign(reach, distance)))
    return RegimeShift(now_pct, float(np.exp(usual)), limit, bool(abs(distance) > reach))


def trend_shift(now: Floats, weeks: Floats, margin: float) -> RegimeShift:
    """Compare the shares of trend states with those of weeks of training, as half the sum of absolute differences.

    Args:
        now: Shares of the newest week, shape (states,).
        weeks: Shares of w > 1 weeks of training, shape (w, states).
        margin: The furthest week may be exceeded by this share.
    """
    typical = weeks.mean(axis=0)
    distances = np.abs(weeks - typical).sum(axis=1) / 2
    distance = float(np.abs(now - typical).sum() / 2)
    limit = min(1.0, float(distances.max()) * (1 + margin))
    return RegimeShift(distance, float(np.median(distances)), limit, distance > limit)


@dataclass(frozen=True)
class RelationChange:
    """What p features said about the next bar lately, against weeks of training; (p,) each, NaN where not judged.

    Attributes:
        recent: Mean product of normal score and direction.
        usual: The same in training.
        reach: So far `recent` may lie from `usual`.
        p_value: Of a two-sided test, before correction.
        changed: Significant after Holm's correction, and large enough to matter.
    """

    recent: Floats
    usual: Floats
    reach: Floats
    p_value: Floats
    changed: npt.NDArray[np.bool_]


def relation_changes(
    recent: Floats, usual: Floats, block: npt.NDArray[np.intp], *, rate: float, least: float
) -> RelationChange:
    """Test whether features relate to the next direction as they did.

    Weeks follow each other with their regime, so means of blocks of as many neighbouring weeks are what the mean of the
    recent weeks is compared with: t = (recent - usual) / (s sqrt(1 + 1/b)) with b - 1 degrees of freedom, where s is
    the deviation of b block means.

    Args:
        recent: Relation of each recent week, NaN without outcomes, shape (r, p).
        usual: Of weeks of training, shape (w, p); blocks of r weeks.
        block: Number of each week's block, shape (w,).
        rate: Chance of any false alarm among the p features (Holm, 1979).
        least: Smallest change that matters.
    """
    features = recent.shape[1]
    numbers = np.unique(block)
    means = np.array([_mean(usual[block == number]) for number in numbers]).reshape(-1, features)
    now, base = _mean(recent), _mean(means)
    known = np.isfinite(now) & (np.isfinite(means).sum(axis=0) >= 3)
    count = np.isfinite(means).sum(axis=0)
    deviation = np.full(features, np.nan)
    deviation[known] = np.nanstd(means[:, known], axis=0, ddof=1) * np.sqrt(1 + 1 / count[known])
    known &= deviation > 0
    p_value, reach = np.full(features, np.nan), np.full(features, np.nan)
    p_value[known] = 2 * student.sf(np.abs(now - base)[known] / deviation[known], count[known] - 1)
    reach[known] = np.maximum(least, deviation[known] * student.isf(rate / (2 * max(1, known.sum())), count[known] - 1))
    significant = _holm(p_value, rate) & (np.abs(now - base) >= least)
    return RelationChange(now, base, reach, p_value, significant)


def _holm(p_values: Floats, rate: float) -> npt.NDArray[np.bool_]:
    """Hypotheses that Holm's step-down procedure rejects; NaN is none."""
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    passed = p_values[order] <= rate / np.arange(order.size, 0, -1)
    rejected = np.zeros(p_values.size, bool)
    rejected[order[: np.argmin(np.append(passed, False))]] = True
    return rejected


def _mean(values: Floats) -> Floats:
    """Mean over the first axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    sums = np.where(known, values, 0.0).sum(axis=0)
    mean: Floats = np.divide(sums, count, out=np.full(sums.shape, np.nan), where=count > 0)
    return mean

"""How sure a number is: intervals and standard errors for outcomes that share their dates.

Symbols move together, so the outcomes of one date are no independent draws, and neither are neighbouring dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from market.errors import MetricError


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in the unit of what it is about."""

    low: float
    high: float


def block_bootstrap_accuracy_ci(
    correct: npt.NDArray[Any],
    dates: npt.NDArray[Any],
    *,
    samples: int,
    block_days: int,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of an accuracy (percent) by the circular block bootstrap over dates.

    Blocks of `block_days` consecutive dates with all their outcomes are drawn with replacement until as many dates are
    drawn as there are; a sample's accuracy is its pooled share of correct outcomes. (Politis and Romano, 1992.)

    Args:
        correct: Whether each prediction was right, bool or 0/1, shape (n,), n > 0, in any order.
        dates: The date of each prediction, any sortable type without missing values, shape (n,).
        samples: Bootstrap samples.
        block_days: Dates in a block; at most half of the dates present, or there would be nothing to resample.
        seed: Seed of the random generator; the same seed gives the same interval.
        level: Coverage, in (0, 1).

    Returns:
        The interval in percent; the whole range 0-100 when all outcomes fall on one date, which tells nothing about
        another.

    Raises:
        MetricError: Empty, missing or ill-shaped input, or a parameter out of range.
    """
    hits, groups, date_count = _by_date(correct, dates)
    if not 0 < level < 1 or samples < 1 or block_days < 1:
        raise MetricError(f"level {level}, samples {samples}, block_days {block_days} are out of range")
    if date_count == 1:
        return Interval(0.0, 100.0)
    block = min(block_days, date_count // 2)
    block_count = -(-date_count // block)
    starts = np.random.default_rng(seed).integers(0, date_count, size=(samples, block_count))
    lengths = np.full(block_count, block)
    lengths[-1] = date_count - block * (block_count - 1)
    drawn_hits = _circular_sums(np.bincount(groups, hits), starts, lengths)
    drawn_rows = _circular_sums(np.bincount(groups), starts, lengths)
    low, high = np.quantile(100.0 * drawn_hits / drawn_rows, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _circular_sums(
    per_date: npt.NDArray[Any], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Sum over the drawn blocks of each sample; a block that reaches the last date goes on at the first."""
    until = np.concatenate(([0.0], np.cumsum(np.tile(per_date, 2))))
    sums: npt.NDArray[np.float64] = (until[starts + lengths] - until[starts]).sum(axis=1)
    return sums


def clustered_standard_error(values: npt.NDArray[Any], dates: npt.NDArray[Any]) -> float:
    """Standard error of the mean of `values` when values of one date move together, in the unit of `values`.

    The sandwich estimator clustered by date with the correction G / (G - 1): sqrt(G / (G - 1) x sum over dates of
    (sum of residuals)^2) / n. (Liang and Zeger, 1986.)

    Args:
        values: Finite numbers or booleans, shape (n,), n > 0.
        dates: The date of each value, shape (n,).

    Returns:
        The standard error; infinity with one date only, from which it cannot be estimated.

    Raises:
        MetricError: Empty, missing or ill-shaped input.
    """
    numbers, groups, date_count = _by_date(values, dates)
    if date_count == 1:
        return float("inf")
    residuals = np.bincount(groups, numbers - numbers.mean())
    return float(np.sqrt(date_count / (date_count - 1) * np.square(residuals).sum()) / numbers.size)


def wilson_interval(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (0-1) from independent trials.

    Raises:
        MetricError: Not 0 <= successes <= trials, no trial, or a level outside (0, 1).
    """
    if not 0 <= successes <= trials or trials < 1 or not 0 < level < 1:
        raise MetricError(f"{successes} successes of {trials} trials at level {level} have no Wilson interval")
    z = float(ndtri((1 + level) / 2))
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half_width = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # at 0 and all successes the bound is exact; rounding must not push it outside
    low = 0.0 if successes == 0 else float((centre - half_width) / scale)
    high = 1.0 if successes == trials else float((centre + half_width) / scale)
    return Interval(low, high)


def _by_date(
    values: npt.NDArray[Any], dates: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp], int]:
    """Values as floats, the rank of each one's date among the distinct dates, and how many of those there are."""
    numbers = np.asarray(values, dtype=np.float64)
    stamps = np.asarray(dates)
    if numbers.ndim != 1 or numbers.shape != stamps.shape or not numbers.size:
        raise MetricError(f"values {numbers.shape} and dates {stamps.shape} must be of one length and not empty")
    if not np.isfinite(numbers).all() or (stamps.dtype.kind == "M" and np.isnat(stamps).any()):
        raise MetricError("values and dates must not be missing", remedy="drop rows whose outcome is not known yet")
    distinct, groups = np.unique(stamps, return_inverse=True)
    return numbers, groups, distinct.size

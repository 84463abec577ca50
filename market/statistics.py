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
    hits, _, date_count = _by_date(correct, dates)
    if date_count == 1:
        _checked_level(level)
        return Interval(0.0, 100.0)
    means = block_bootstrap_means(100.0 * hits, dates, samples=samples, block_days=block_days, seed=seed)
    return percentile_interval(means, level)


def block_bootstrap_means(
    values: npt.NDArray[Any], dates: npt.NDArray[Any], *, samples: int, block_days: int, seed: int
) -> npt.NDArray[np.float64]:
    """Means of `values` in circular block bootstrap samples over dates, pooled by rows.

    Blocks of `block_days` consecutive dates with all their values are drawn with replacement until as many dates are
    drawn as there are. (Politis and Romano, 1992.)

    Args:
        values: Finite numbers or booleans, shape (n,), n > 0, in any order.
        dates: The date of each value, any sortable type without missing values, shape (n,); at least two distinct ones.
        samples: Bootstrap samples.
        block_days: Dates in a block; at most half of the dates present, or there would be nothing to resample.
        seed: Seed of the random generator; the same seed gives the same samples.

    Returns:
        Shape (samples,), in the unit of `values`.

    Raises:
        MetricError: Empty, missing or ill-shaped input, one date only, or a parameter out of range.
    """
    numbers, groups, date_count = _by_date(values, dates)
    if samples < 1 or block_days < 1:
        raise MetricError(f"samples {samples} and block_days {block_days} must be positive")
    if date_count < 2:
        raise MetricError("one date cannot be resampled", remedy="give values of at least two dates")
    return block_bootstrap_ratios(
        np.bincount(groups, numbers), np.bincount(groups), samples=samples, block_days=block_days, seed=seed
    )


def block_bootstrap_ratios(
    sums: npt.NDArray[Any], counts: npt.NDArray[Any], *, samples: int, block_days: int, seed: int
) -> npt.NDArray[np.float64]:
    """What `block_bootstrap_means` gives, from what is known of each date: the sum of its values and their number.

    Args:
        sums: Sum of the values of each date, dates ascending, shape (dates,), at least two.
        counts: Number of values of each date, positive, shape (dates,).
        samples: Bootstrap samples.
        block_days: Dates in a block.
        seed: Seed of the random generator.

    Returns:
        Shape (samples,), in the unit of `sums`.

    Raises:
        MetricError: Ill-shaped input, one date only, a date without values, or a parameter out of range.
    """
    date_count = len(counts)
    if np.shape(sums) != np.shape(counts) or date_count < 2 or not np.min(counts) > 0:
        raise MetricError("sums and counts of at least two dates are needed, each with values")
    if samples < 1 or block_days < 1:
        raise MetricError(f"samples {samples} and block_days {block_days} must be positive")
    block = min(block_days, date_count // 2)
    block_count = -(-date_count // block)
    starts = np.random.default_rng(seed).integers(0, date_count, size=(samples, block_count))
    lengths = np.full(block_count, block)
    lengths[-1] = date_count - block * (block_count - 1)
    means: npt.NDArray[np.float64] = _circular_sums(sums, starts, lengths) / _circular_sums(counts, starts, lengths)
    return means


def percentile_interval(means: npt.NDArray[np.float64], level: float) -> Interval:
    """The central share `level` of bootstrap means.

    Raises:
        MetricError: `level` is not in (0, 1).
    """
    _checked_level(level)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def hit_rate_interval(
    correct: npt.NDArray[Any],
    dates: npt.NDArray[Any],
    *,
    samples: int,
    block_days: int,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Interval of a hit rate (percent) that holds for few rows and for rows that share dates.

    The outer bounds of Wilson's interval and of the block bootstrap by date: Wilson's takes rows for independent, the
    bootstrap knows nothing where every row was right.

    Args:
        correct: Whether each prediction was right, bool or 0/1, shape (n,), n > 0.
        dates: The date of each prediction, shape (n,).
        samples: Bootstrap samples.
        block_days: Dates in a block.
        seed: Seed of the bootstrap.
        level: Coverage, in (0, 1).

    Raises:
        MetricError: As `block_bootstrap_accuracy_ci`.
    """
    blocks = block_bootstrap_accuracy_ci(correct, dates, samples=samples, block_days=block_days, seed=seed, level=level)
    hits = np.asarray(correct)
    wilson = wilson_interval(int(hits.sum()), hits.size, level=level)
    return Interval(min(blocks.low, 100 * wilson.low), max(blocks.high, 100 * wilson.high))


def _circular_sums(
    per_date: npt.NDArray[Any], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Sum over the drawn blocks of each sample; a block that reaches the last date goes on at the first."""
    until = np.concatenate(([0.0], np.cumsum(np.tile(per_date, 2))))
    sums: npt.NDArray[np.float64] = (until[starts + lengths] - until[starts]).sum(axis=1)
    return sums


def _checked_level(level: float) -> None:
    if not 0 < level < 1:
        raise MetricError(f"level {level} must lie in (0, 1)")


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

"""Whether one model's predictions are better than another's on the same bars.

Both tests work on paired differences of a loss, row by row: what both models find hard cancels out. Symbols of one date
move together, so the bootstrap draws dates, and the panel form of the Diebold-Mariano test averages each date first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from market.errors import MetricError
from market.statistics import Interval, block_bootstrap_means, percentile_interval


@dataclass(frozen=True)
class DieboldMariano:
    """The test that two forecasts are equally good.

    Attributes:
        statistic: Student's t with `periods` - 1 degrees of freedom; positive when the second forecast lost less.
        p_value: Two-sided.
        mean_difference: Mean of first loss - second loss, in the unit of the loss.
        periods: Number of differences (dates in the panel form).
    """

    statistic: float
    p_value: float
    mean_difference: float
    periods: int


def paired_bootstrap(
    differences: npt.NDArray[Any],
    dates: npt.NDArray[Any],
    *,
    samples: int,
    block_days: int,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of the mean of paired differences by the circular block bootstrap over dates.

    Args:
        differences: A loss (or gain) of one model minus the other's on the same row, shape (n,), n > 0; finite.
        dates: The date of each row, any sortable type without missing values, shape (n,).
        samples: Bootstrap samples.
        block_days: Dates in a block; at most half of the dates present.
        seed: Seed of the random generator.
        level: Coverage, in (0, 1).

    Returns:
        The interval of the mean over rows, in the unit of the differences; from minus to plus infinity when all rows
        fall on one date, which tells nothing about another.

    Raises:
        MetricError: Empty, missing or ill-shaped input, or a parameter out of range.
    """
    if np.asarray(dates).size and np.unique(dates).size == 1 and np.isfinite(differences).all():
        return Interval(float("-inf"), float("inf"))
    means = block_bootstrap_means(differences, dates, samples=samples, block_days=block_days, seed=seed)
    return percentile_interval(means, level)


def diebold_mariano(loss_a: npt.NDArray[Any], loss_b: npt.NDArray[Any], *, horizon: int = 1) -> DieboldMariano:
    """The Diebold-Mariano test with the small-sample correction of Harvey, Leybourne and Newbold.

    With d the T differences and g_k their autocovariance at lag k (divisor T), the variance of the mean is
    (g_0 + 2 x sum of g_k for 0 < k < horizon) / T; the statistic mean / sqrt(variance) is multiplied by
    sqrt((T + 1 - 2h + h(h - 1) / T) / T) and compared with Student's t of T - 1 degrees of freedom. Where the sum is
    not positive (the rectangular window allows that) lag 0 alone is used. (Diebold and Mariano, 1995; Harvey,
    Leybourne and Newbold, 1997.)

    Args:
        loss_a: Loss of the first forecast, shape (T,), in time order, one value a period; finite.
        loss_b: Loss of the second forecast for the same periods.
        horizon: Steps ahead that were forecast, h >= 1; a next-bar forecast has 1.

    Returns:
        The statistic; 0 with p-value 1 for losses that are equal everywhere.

    Raises:
        MetricError: Fewer than two periods or not more than `horizon`, missing or ill-shaped input, or a constant
            difference other than 0, which no test can judge.
    """
    differences = _differences(loss_a, loss_b)
    periods = differences.size
    if horizon < 1 or periods < 2 or periods <= horizon:
        raise MetricError(
            f"{periods} periods at horizon {horizon} cannot be compared",
            remedy="give at least two periods, and more than the horizon",
        )
    mean = float(differences.mean())
    variance = _variance_of_mean(differences, horizon)
    if variance <= 0:
        if np.any(differences != 0):
            raise MetricError(
                f"the losses differ by the constant {mean:g}", remedy="compare losses that vary from period to period"
            )
        return DieboldMariano(0.0, 1.0, 0.0, periods)
    correction = (periods + 1 - 2 * horizon + horizon * (horizon - 1) / periods) / periods
    statistic = mean / np.sqrt(variance) * np.sqrt(correction)
    p_value = 2 * float(stdtr(periods - 1, -abs(statistic)))
    return DieboldMariano(float(statistic), p_value, mean, periods)


def panel_diebold_mariano(
    loss_a: npt.NDArray[Any], loss_b: npt.NDArray[Any], dates: npt.NDArray[Any], *, horizon: int = 1
) -> DieboldMariano:
    """The same test for many symbols: the differences of each date are averaged first, then dates are the periods.

    Args:
        loss_a: Loss of the first model on each row, shape (n,), in any order; finite.
        loss_b: Loss of the second model on the same rows.
        dates: The date of each row, shape (n,). Every date weighs the same, however many rows it has.
        horizon: In dates.

    Returns:
        As `diebold_mariano`; `mean_difference` is the mean over dates.

    Raises:
        MetricError: As `diebold_mariano`, or `dates` of another length or missing.
    """
    differences = _differences(loss_a, loss_b)
    stamps = np.asarray(dates)
    if stamps.shape != differences.shape or (stamps.dtype.kind == "M" and np.isnat(stamps).any()):
        raise MetricError(f"dates {stamps.shape} must be known for each of {differences.size} rows")
    distinct, groups = np.unique(stamps, return_inverse=True)
    by_date = np.bincount(groups, differences, minlength=distinct.size) / np.bincount(groups, minlength=distinct.size)
    return diebold_mariano(by_date, np.zeros(distinct.size), horizon=horizon)


def _differences(loss_a: npt.NDArray[Any], loss_b: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    first, second = np.asarray(loss_a, dtype=np.float64), np.asarray(loss_b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise MetricError(f"losses {first.shape} and {second.shape} must be one-dimensional and of one length")
    differences: npt.NDArray[np.float64] = first - second
    if not np.isfinite(differences).all():
        raise MetricError("losses must be finite", remedy="drop rows whose outcome is not known yet")
    return differences


def _variance_of_mean(differences: npt.NDArray[np.float64], horizon: int) -> float:
    """Long-run variance of the mean with a rectangular window; lag 0 alone where that is not positive."""
    centred = differences - differences.mean()
    # a constant series leaves rounding, which is no variance
    if np.abs(centred).max() <= 1e-12 * max(np.abs(differences).max(), np.finfo(np.float64).tiny):
        return 0.0
    own = float(centred @ centred)
    lagged = sum(float(centred[lag:] @ centred[:-lag]) for lag in range(1, horizon))
    total = own + 2 * lagged
    return (total if total > 0 else own) / differences.size**2

"""How far a sample lies from its baseline: moments, quantiles, Kolmogorov-Smirnov, population stability.

Arrays are float64, sorted ascending, without missing values; the missing ones are counted apart.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp, kstwo

from market.errors import MetricError

Floats = npt.NDArray[np.float64]

PSI_BINS = 10
PSI_FLOOR = 1e-4
"""Share that stands for an empty bin, whose logarithm would be infinite."""

_EXACT_ROWS = 10_000
"""scipy counts lattice paths up to so many rows in the larger sample and uses the limit law above."""


@dataclass(frozen=True)
class Summary:
    """What a sample looks like; None where it has too few values.

    Attributes:
        rows: Values that are known.
        missing: Values that are not.
        mean: Arithmetic mean.
        std: Sample deviation (ddof 1); None for a single value.
        low: Smallest value.
        high: Largest value.
        quartiles: Quantiles 0.25, 0.5, 0.75, linear between neighbours (`PERCENTILE_CONT`).
    """

    rows: int
    missing: int
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    quartiles: tuple[float, float, float] | None = None

    @property
    def missing_share(self) -> float:
        """Missing values among all, 0-1; 0 of an empty sample."""
        return self.missing / max(1, self.rows + self.missing)


@dataclass(frozen=True)
class KolmogorovSmirnov:
    """Two-sided two-sample statistic (0-1), and its p-value for independent rows."""

    statistic: float
    p_value: float


def summarize(values: Floats, missing: int = 0) -> Summary:
    """Describe a sorted sample.

    Args:
        values: Sorted, finite, shape (n,); may be empty.
        missing: Rows without a value.

    Raises:
        MetricError: NaN or an infinite value at either end, which is where sorting puts them.
    """
    if values.size == 0:
        return Summary(0, missing)
    if not np.isfinite(values[[0, -1]]).all():
        raise MetricError("a sample holds infinite or missing values", remedy="count what is missing apart")
    mean = float(values.mean())
    # centred: the sum of squares of prices near 50,000 has no digits left for their deviation
    deviation = values - mean
    std = float(np.sqrt(np.dot(deviation, deviation) / (values.size - 1))) if values.size > 1 else None
    low, middle, high = (float(one) for one in sorted_quantiles(values, np.array([0.25, 0.5, 0.75])))
    return Summary(values.size, missing, mean, std, float(values[0]), float(values[-1]), (low, middle, high))


def sorted_quantiles(values: Floats, levels: Floats) -> Floats:
    """Quantiles of a sorted sample, linear between neighbours (Hyndman and Fan's type 7); shape of `levels`."""
    position = levels * (values.size - 1)
    left = np.floor(position).astype(np.intp)
    right = np.minimum(left + 1, values.size - 1)
    part = position - left
    found: Floats = values[left] * (1 - part) + values[right] * part
    # between equal neighbours rounding must not leave their value
    return np.clip(found, values[left], values[right])


def kolmogorov_smirnov(baseline: Floats, current: Floats) -> KolmogorovSmirnov:
    """`scipy.stats.ks_2samp(baseline, current)` in time that hardly depends on the baseline's size.

    Between two neighbouring values of `current` its distribution function is flat and the baseline's rises, so the
    largest distance lies at a value of `current` or just below one: only there the baseline is looked up.

    Args:
        baseline: Sorted, shape (m,), m > 0; may be a memory map.
        current: Sorted, shape (n,), n > 0.

    Returns:
        Statistic and p-value as scipy gives them (exact up to 10,000 rows, asymptotic above). The p-value supposes
        independent rows; bars of one day are not, so no verdict rests on it.

    Raises:
        MetricError: Either is empty.
    """
    if not baseline.size or not current.size:
        raise MetricError("a Kolmogorov-Smirnov statistic needs values on both sides")
    if max(baseline.size, current.size) <= _EXACT_ROWS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # scipy tells that it fell back to the limit law
            found = ks_2samp(np.asarray(baseline), current)
        return KolmogorovSmirnov(float(found.statistic), float(found.pvalue))
    statistic = _distance(baseline, current)
    effective = float(baseline.size) * float(current.size) / (float(baseline.size) + float(current.size))
    p_value = float(np.clip(kstwo.sf(statistic, np.round(effective)), 0, 1))
    return KolmogorovSmirnov(statistic, p_value)


def _distance(baseline: Floats, current: Floats) -> float:
    points, first = np.unique(current, return_index=True)
    reached = np.append(first[1:], current.size) / current.size
    before = first / current.size
    upto = np.searchsorted(baseline, points, side="right") / baseline.size
    below = np.searchsorted(baseline, points, side="left") / baseline.size
    return float(max(np.abs(reached - upto).max(), np.abs(before - below).max()))


def stability_edges(baseline: Floats, distinct: Floats | None = None) -> Floats:
    """Upper edges (inclusive) of all bins but the last: the baseline's inner deciles, or every value but the largest.

    Args:
        baseline: Sorted, shape (m,), m > 0.
        distinct: All values of a baseline that has only a few; they are its bins.

    Returns:
        Strictly ascending, shape (at most 9,) or (distinct - 1,).
    """
    if distinct is not None:
        return distinct[:-1]
    deciles = sorted_quantiles(baseline, np.arange(1, PSI_BINS) / PSI_BINS)
    return np.unique(deciles)


def bin_shares(values: Floats, edges: Floats) -> Floats:
    """Share of a sorted sample in (-inf, e1], (e1, e2], ..., (ek, inf); shape (k + 1,)."""
    reached = np.concatenate(([0], np.searchsorted(values, edges, side="right"), [values.size]))
    shares: Floats = np.diff(reached) / values.size
    return shares


def population_stability(expected: Floats, actual: Floats) -> float:
    """Population stability index: sum of (actual - expected) x ln(actual / expected) over bins.

    Empty bins count with the share `PSI_FLOOR`. Below 0.1 little has moved, above 0.25 much, says the usual reading; it
    knows nothing about rows that move together. (Siddiqi, Credit Risk Scorecards, 2006.)

    Args:
        expected: Shares of the baseline, shape (bins,).
        actual: Shares of the sample in the same bins.
    """
    a, b = np.maximum(actual, PSI_FLOOR), np.maximum(expected, PSI_FLOOR)
    return float(np.sum((a - b) * np.log(a / b)))

"""How sure the figures of one return series are: block bootstrap of its days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from market.errors import MetricError
from market.returns import RETURN_MEASURES, measure_curves
from market.statistics import Interval

EXCESS: Final = "excess_return_pct"
"""Yearly return beyond a benchmark's, both compounded, drawn on the same days."""

_CHUNK_VALUES = 2_000_000


def return_intervals(
    returns: npt.NDArray[Any],
    *,
    periods_per_year: int,
    samples: int,
    block_days: int,
    seed: int,
    benchmark: npt.NDArray[Any] | None = None,
    level: float = 0.95,
) -> Mapping[str, Interval | None]:
    """Percentile intervals of every figure by the circular block bootstrap of days (Politis and Romano, 1992).

    Blocks of consecutive days are drawn with replacement until a sample is as long as the series, so that neighbouring
    days stay together. A drawdown depends on the order of days beyond a block: its interval is a rough one.

    Args:
        returns: Daily returns as fractions, shape (days,).
        periods_per_year: Returns in a year.
        samples: Bootstrap samples.
        block_days: Days in a block; at most half of the days, or there would be nothing to resample.
        seed: The same seed gives the same intervals.
        benchmark: Returns of a benchmark on the same days; adds `EXCESS`.
        level: Coverage, in (0, 1).

    Returns:
        An interval for each of `RETURN_MEASURES`, in its unit; None where the series has fewer than two days or where
        the figure is undefined in more than one sample of twenty.

    Raises:
        MetricError: Missing or ill-shaped returns, or a parameter out of range.
    """
    values = np.asarray(returns, dtype=np.float64)
    if samples < 1 or block_days < 1 or not 0 < level < 1:
        raise MetricError(f"samples {samples}, block_days {block_days} and level {level} are out of range")
    if benchmark is not None and np.shape(benchmark) != values.shape:
        raise MetricError(f"returns {values.shape} and benchmark {np.shape(benchmark)} must be of one length")
    names = (*RETURN_MEASURES, EXCESS) if benchmark is not None else RETURN_MEASURES
    if values.size < 2:
        return dict.fromkeys(names)
    other = None if benchmark is None else np.asarray(benchmark, dtype=np.float64)
    parts: list[Mapping[str, npt.NDArray[np.float64]]] = []
    days = drawn_days(values.size, values.size, samples=samples, block_days=block_days, seed=seed)
    step = max(1, _CHUNK_VALUES // values.size)
    for first in range(0, samples, step):
        chosen = days[first : first + step]
        figures = dict(measure_curves(values[chosen], periods_per_year=periods_per_year))
        if other is not None:
            held = measure_curves(other[chosen], periods_per_year=periods_per_year)
            figures[EXCESS] = figures["annualized_return_pct"] - held["annualized_return_pct"]
        parts.append(figures)
    return {name: _interval(np.concatenate([part[name] for part in parts]), level) for name in names}


def drawn_days(there: int, wanted: int, *, samples: int, block_days: int, seed: int) -> npt.NDArray[np.intp]:
    """Days of circular block bootstrap samples.

    Args:
        there: Days of the series, at least two.
        wanted: Days of a sample.
        samples: Samples.
        block_days: Days in a block; at most half of those there.
        seed: Of the generator.

    Returns:
        Indices of days, shape (samples, wanted).
    """
    block = min(block_days, there // 2)
    count = -(-wanted // block)
    starts = np.random.default_rng(seed).integers(0, there, size=(samples, count))
    days: npt.NDArray[np.intp] = (starts[:, :, None] + np.arange(block)) % there
    return days.reshape(samples, count * block)[:, :wanted]


def _interval(values: npt.NDArray[np.float64], level: float) -> Interval | None:
    known = values[np.isfinite(values)]
    if known.size < 0.95 * values.size:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))

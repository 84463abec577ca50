"""What a series of daily returns is worth: the return and risk figures of the contract, for one curve or for many.

Conventions, the same everywhere here. Returns are simple daily returns as fractions (0.01 is 1%), finite, one a day of
the equity curve, days without a position included. A year has `periods_per_year` of them: 252 for stocks and ETFs, 365
for crypto and for several classes together. There is no risk-free rate: cash earns nothing. Figures named `_pct` are
percent; a drawdown, a value at risk and an expected shortfall are negative when something was lost. A ratio whose
divisor is 0 is undefined, never 0 or infinite.

Definitions are those of `empyrical` where it has one, and agree with it to 1e-9.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from market.compiled import compiled
from market.errors import MetricError

Floats = npt.NDArray[np.float64]

RETURN_MEASURES: Final = (
    "total_return_pct",
    "annualized_return_pct",
    "volatility_pct",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "max_drawdown_pct",
    "var_95_pct",
    "cvar_95_pct",
)
"""Every figure, in the order of the kernel's columns."""

TAIL: Final = 0.05
_CHUNK_VALUES = 2_000_000


@dataclass(frozen=True)
class ReturnMeasures:
    """Figures of one series of daily returns; None is undefined.

    Attributes:
        days: Number of returns.
        total_return_pct: Compounded over all days.
        annualized_return_pct: The constant yearly return that compounds to the same, (1 + total)^(periods / days) - 1;
            -100 when nothing is left.
        volatility_pct: Sample deviation (ddof 1) of daily returns, times sqrt(periods).
        sharpe_ratio: Mean over sample deviation, times sqrt(periods) (Sharpe, 1994); None without variation.
        sortino_ratio: Mean over downside deviation sqrt(mean(min(r, 0)^2)), times sqrt(periods) (Sortino and Price,
            1994); None without a loss.
        calmar_ratio: Annualised return over the largest drawdown's size (Young, 1991); None without a drawdown.
        max_drawdown_pct: Lowest value below the running peak, the starting capital included; 0 or negative.
        var_95_pct: The 5% quantile of daily returns (linear between order statistics): historical value at risk.
        cvar_95_pct: Mean of the worst int(0.05 (n - 1)) + 1 daily returns: expected shortfall.
    """

    days: int
    total_return_pct: float
    annualized_return_pct: float
    volatility_pct: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown_pct: float
    var_95_pct: float
    cvar_95_pct: float


def measure_returns(returns: npt.NDArray[Any], *, periods_per_year: int) -> ReturnMeasures:
    """The figures of one series.

    Args:
        returns: Daily returns as fractions, shape (days,), at least one.
        periods_per_year: Returns in a year.

    Raises:
        MetricError: Empty, missing or ill-shaped returns, or `periods_per_year` not positive.
    """
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 1:
        raise MetricError(f"returns {values.shape} of one curve must be one-dimensional")
    table = measure_curves(values[None, :], periods_per_year=periods_per_year)
    return ReturnMeasures(days=values.size, **{name: _or_none(column[0]) for name, column in table.items()})  # type: ignore[arg-type]


def measure_curves(returns: npt.NDArray[Any], *, periods_per_year: int) -> Mapping[str, Floats]:
    """The figures of many series at once; each is what `measure_returns` gives.

    Args:
        returns: Daily returns as fractions, one curve a row, shape (curves, days), at least one day.
        periods_per_year: Returns in a year.

    Returns:
        One column of shape (curves,) for each of `RETURN_MEASURES`; NaN where undefined.

    Raises:
        MetricError: Empty, missing or ill-shaped returns, or `periods_per_year` not positive.
    """
    values = np.ascontiguousarray(returns, dtype=np.float64)
    if values.ndim != 2 or not values.shape[1]:
        raise MetricError(f"returns {values.shape} must be curves by days, with at least one day")
    if not periods_per_year > 0:
        raise MetricError(f"periods_per_year {periods_per_year} must be positive")
    figures = np.empty((len(RETURN_MEASURES), values.shape[0]))
    if not _measure(values, float(periods_per_year), figures):
        raise MetricError("returns must be finite", remedy="drop missing returns, or mend the equity they come from")
    step = max(1, _CHUNK_VALUES // values.shape[1])
    for first in range(0, values.shape[0], step):
        figures[-2:, first : first + step] = _tails(values[first : first + step])
    return MappingProxyType(dict(zip(RETURN_MEASURES, figures, strict=True)))


def equity_returns(equity: npt.NDArray[Any], capital: float) -> Floats:
    """Daily returns of an equity curve, the first one from the starting capital.

    An account that reaches 0 is broke: it lost everything on that day, and what debts do afterwards is no return.

    Args:
        equity: Equity at each day's close, finite, shape (days,).
        capital: Equity before the first day, positive.

    Returns:
        Shape (days,), each at least -1.

    Raises:
        MetricError: Equity or capital that no account has.
    """
    values = np.asarray(equity, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or not (math.isfinite(capital) and capital > 0):
        raise MetricError(f"equity {values.shape} must be finite and one-dimensional, and capital {capital} positive")
    before = np.concatenate(([capital], values))
    broke = np.flatnonzero(before <= 0)
    last = int(broke[0]) if broke.size else before.size
    returns = np.zeros(values.size)
    returns[: last - 1] = before[1:last] / before[: last - 1] - 1
    if broke.size:
        returns[last - 1] = -1.0
    return returns


def alpha_beta(
    returns: npt.NDArray[Any], benchmark: npt.NDArray[Any], *, periods_per_year: int
) -> tuple[float | None, float | None]:
    """What moves with a benchmark, and what is left.

    Beta is covariance over the benchmark's variance; alpha the yearly compounded mean of what beta does not explain,
    (1 + mean(r - beta b))^periods - 1, a fraction. (Jensen, 1968.)

    Args:
        returns: Daily returns as fractions, shape (days,).
        benchmark: Of the same days.
        periods_per_year: Returns in a year.

    Returns:
        Alpha and beta; both None with fewer than two days or a benchmark that does not move.

    Raises:
        MetricError: Missing or ill-shaped returns.
    """
    own, other = (np.asarray(one, dtype=np.float64) for one in (returns, benchmark))
    if own.ndim != 1 or own.shape != other.shape or not (np.isfinite(own).all() and np.isfinite(other).all()):
        raise MetricError(f"returns {own.shape} and benchmark {other.shape} must be finite and of one length")
    if own.size < 2 or np.ptp(other) == 0:
        return None, None
    centred = other - other.mean()
    beta = float(centred @ (own - own.mean()) / (centred @ centred))
    mean = float((own - beta * other).mean())
    return (1 + mean) ** periods_per_year - 1 if mean > -1 else -1.0, beta


def drawdown_pct(returns: npt.NDArray[Any]) -> Floats:
    """How far equity lies below its peak so far, starting capital included: percent, 0 or negative, shape (days,)."""
    equity = np.cumprod(1 + np.asarray(returns, dtype=np.float64))
    peak: Floats = np.maximum(np.maximum.accumulate(equity), 1.0)
    below: Floats = 100 * (equity / peak - 1)
    return below


def _tails(returns: Floats) -> Floats:
    """Value at risk and expected shortfall in percent, shape (2, curves)."""
    days = returns.shape[1]
    tail = int((days - 1) * TAIL)
    share = (days - 1) * TAIL - tail
    above = min(tail + 1, days - 1)
    # One cut instead of two, which takes half the time: the order statistic below it is the largest of its left.
    ordered = np.partition(returns, above, axis=1)
    at_tail = ordered[:, : tail + 1].max(axis=1)
    quantile = at_tail + share * (ordered[:, above] - at_tail)
    found: Floats = 100.0 * np.stack((quantile, ordered[:, : tail + 1].mean(axis=1)))
    return found


@compiled
def _measure(returns: Floats, periods: float, figures: Floats) -> bool:
    """Fill `figures` (measures but tails, curves) from `returns` (curves, days); False when one is not finite."""
    curves, days = returns.shape
    for curve in range(curves):
        total, equity, peak, drawdown = 0.0, 1.0, 1.0, 0.0
        lowest, highest = np.inf, -np.inf
        for day in range(days):
            value = returns[curve, day]
            if not np.isfinite(value):
                return False
            total += value
            lowest, highest = min(lowest, value), max(highest, value)
            equity *= 1.0 + value
            peak = max(peak, equity)
            drawdown = min(drawdown, equity / peak - 1.0)
        mean = total / days
        squares, downside = 0.0, 0.0
        for day in range(days):
            value = returns[curve, day]
            squares += (value - mean) * (value - mean)
            if value < 0:
                downside += value * value
        # Equal returns have no deviation, whatever rounding leaves of their mean.
        deviation = 0.0 if lowest == highest else np.sqrt(squares / (days - 1))
        annual = equity ** (periods / days) - 1.0 if equity > 0 else -1.0
        figures[0, curve] = 100.0 * (equity - 1.0)
        figures[1, curve] = 100.0 * annual
        figures[2, curve] = 100.0 * deviation * np.sqrt(periods) if days > 1 else np.nan
        figures[3, curve] = mean / deviation * np.sqrt(periods) if deviation > 0 else np.nan
        figures[4, curve] = mean / np.sqrt(downside / days) * np.sqrt(periods) if downside > 0 else np.nan
        figures[5, curve] = annual / -drawdown if drawdown < 0 else np.nan
        figures[6, curve] = 100.0 * drawdown
    return True


def _or_none(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None

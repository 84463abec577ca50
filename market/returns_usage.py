"""What a strategy used to earn its result: exposure, turnover, costs, and how much money it could carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from market.errors import MetricError

if TYPE_CHECKING:
    from market.backtest import BacktestRun

BPS = 1e-4
CAPACITY_SHARE = 0.9


@dataclass(frozen=True)
class Usage:
    """Exposure, turnover and costs of one backtest; None is undefined.

    Attributes:
        exposure_pct: Mean gross exposure (longs plus shorts over equity) of all days, percent.
        time_in_market_pct: Days that closed with a position, percent of all days.
        turnover_per_year: Traded money over the equity of the day before, purchases and sales both, summed over a year.
        costs_usd: Fees, slippage and borrow cost.
        costs_pct: The same, percent of the starting capital.
        cost_share_pct: Costs in percent of the profit before costs; None when that was no profit.
        break_even_cost_bps: Cost of every traded dollar, in basis points, at which the result would have been nothing:
            (result + costs) / traded. Negative: it lost before costs. None without a trade. To first order, because
            sizes depend on earlier results.
        capacity_usd: Starting capital up to which 90% of the trades keep their share of equity under the volume cap;
            None without a trade.
    """

    exposure_pct: float
    time_in_market_pct: float
    turnover_per_year: float
    costs_usd: float
    costs_pct: float
    cost_share_pct: float | None
    break_even_cost_bps: float | None
    capacity_usd: float | None


def measure_usage(run: BacktestRun) -> Usage:
    """The figures of a backtest's run."""
    daily, parameters, market = run.daily, run.parameters, run.market
    capital = parameters.capital_usd
    costs, traded = float(daily["costs_usd"].sum()), float(daily["traded_usd"].sum())
    result = float(daily["equity_usd"][-1]) - capital
    return Usage(
        exposure_pct=100.0 * float(daily["gross_exposure"].fill_null(0.0).to_numpy().mean()),
        time_in_market_pct=100.0 * float((daily["positions"].to_numpy() > 0).mean()),
        turnover_per_year=float(daily["turnover"].fill_null(0.0).to_numpy().mean()) * market.days_per_year,
        costs_usd=costs,
        costs_pct=100.0 * costs / capital,
        cost_share_pct=100.0 * costs / (result + costs) if result + costs > 0 else None,
        break_even_cost_bps=(result + costs) / traded / BPS if traded > 0 else None,
        capacity_usd=_capacity_of(run),
    )


def capacity_usd(size: npt.NDArray[Any], volume_usd: npt.NDArray[Any], cap_share: npt.NDArray[Any]) -> float | None:
    """Capital up to which 90% of trades stay under the volume cap, when sizes grow with capital.

    A trade of `size` per dollar of starting capital fits into `cap_share` of its entry bar's traded value up to the
    capital cap_share x volume / size; the 10% quantile of these is the answer.

    Args:
        size: Value at entry per dollar of starting capital, positive, shape (trades,).
        volume_usd: Traded value of each entry bar.
        cap_share: Largest share of it that one entry may take.

    Raises:
        MetricError: Missing, ill-shaped or not positive sizes.
    """
    sizes, volumes, shares = (np.asarray(one, dtype=np.float64) for one in (size, volume_usd, cap_share))
    if not sizes.shape == volumes.shape == shares.shape or not (sizes > 0).all() or not np.isfinite(volumes).all():
        raise MetricError(f"sizes {sizes.shape} must be positive, with one volume and cap each")
    if not sizes.size:
        return None
    return float(np.quantile(shares * volumes / sizes, 1 - CAPACITY_SHARE))


def _capacity_of(run: BacktestRun) -> float | None:
    trades, market, parameters = run.trades, run.market, run.parameters
    entry = trades["entry_row"].to_numpy()
    caps = {name: costs.volume_cap_share for name, costs in parameters.costs.items()}
    return capacity_usd(
        trades["position_size"].abs().to_numpy() / parameters.capital_usd,
        market.volume[entry] * market.open[entry],
        np.array([caps[name] for name in trades["asset_type"]], dtype=np.float64),
    )

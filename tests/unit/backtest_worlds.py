"""Small markets for tests of the engine, written bar by bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from market.backtest import BacktestParameters, BacktestRun, Market, Signals, prepare_market, run_backtest
from market.costs import FREE, ClassCosts
from market.risk import Limits, Sizing

START = date(2024, 1, 1)

PLENTY = Limits(maximum_positions=10, gross_exposure=1.0, minimum_position_usd=0.0)
"""Ten places; with `equal` sizing and 10,000 USD a position is worth 1,000 USD."""


def frame(
    prices: Sequence[tuple[float, float, float, float]],
    *,
    symbol: str = "A",
    asset_type: str = "stocks",
    days: Sequence[int] | None = None,
    volume: float | Sequence[float] = 1e6,
    atr: float | Sequence[float | None] | None = 1.0,
) -> pl.DataFrame:
    """Bars of one symbol from (open, high, low, close), on days counted from `START`."""
    count = len(prices)
    offsets = range(count) if days is None else days
    return pl.DataFrame(
        {
            "asset_type": [asset_type] * count,
            "symbol": [symbol] * count,
            "datetime": [START + timedelta(n) for n in offsets],
            **{name: [float(bar[at]) for bar in prices] for at, name in enumerate(("open", "high", "low", "close"))},
            "volume": [float(volume)] * count if isinstance(volume, int | float) else [float(one) for one in volume],
            "atr": pl.Series([atr] * count if atr is None or isinstance(atr, int | float) else atr, dtype=pl.Float64),
        }
    )


def flat(price: float, count: int) -> list[tuple[float, float, float, float]]:
    return [(price, price, price, price)] * count


def rules(costs: ClassCosts = FREE, **changes: Any) -> BacktestParameters:
    """10,000 USD, 1,000 USD a position, stop 2 ATR, target 3 ATR, no time limit, nothing costs anything."""
    given: dict[str, Any] = {
        "costs": {"stocks": costs, "etf": costs, "crypto": costs},
        "sizing": Sizing(),
        "limits": PLENTY,
        "capital_usd": 10_000.0,
        "time_limit_bars": None,
    }
    return BacktestParameters(**(given | changes))


def signals(market: Market, directions: Mapping[int, int], strength: Mapping[int, float] | None = None) -> Signals:
    """Signals by bar number."""
    rows = sorted(directions)
    return Signals(
        row=np.array(rows, dtype=np.int64),
        direction=np.array([directions[row] for row in rows], dtype=np.int8),
        strength=np.array([(strength or {}).get(row, 1.0) for row in rows]),
        weight=np.ones(len(rows)),
    )


def backtest(
    bars: pl.DataFrame,
    directions: Mapping[int, int],
    parameters: BacktestParameters | None = None,
    *,
    strength: Mapping[int, float] | None = None,
    every_day: bool = False,
) -> BacktestRun:
    """Run signals by bar number."""
    market = prepare_market(bars, every_day=every_day)
    return run_backtest(market, signals(market, directions, strength), parameters or rules())


def random_walk(seed: int, count: int, *, symbol: str = "A") -> pl.DataFrame:
    """Bars of a geometric random walk with 2% a day, ATR 2% of the close."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.02 * rng.standard_normal(count)))
    before = np.concatenate(([100.0], close[:-1]))
    open_ = before * np.exp(0.005 * rng.standard_normal(count))
    high = np.maximum(open_, close) * (1 + 0.005 * rng.random(count))
    low = np.minimum(open_, close) * (1 - 0.005 * rng.random(count))
    prices = list(zip(open_, high, low, close, strict=True))
    return frame(prices, symbol=symbol, atr=list(0.02 * close))

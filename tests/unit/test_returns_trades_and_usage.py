"""Figures of trades and of what a strategy used, on the engine's own results."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
import quantstats.stats as qs

from market.backtest import BacktestParameters, BacktestRun, Market, Signals, prepare_market, run_backtest
from market.costs import ClassCosts
from market.errors import MetricError
from market.returns import equity_returns
from market.returns_benchmark import buy_and_hold
from market.returns_trades import TradeMeasures, measure_trades
from market.returns_usage import capacity_usd, measure_usage
from market.risk import Limits, Sizing


def bars(prices: dict[str, list[float | None]], volume: float = 1e6) -> pl.DataFrame:
    """Bars that open and close at one price; None leaves a day out."""
    rows = [
        {
            "asset_type": "stocks",
            "symbol": symbol,
            "datetime": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day),
            **dict.fromkeys(("open", "high", "low", "close"), price),
            "volume": volume,
        }
        for symbol, series in sorted(prices.items())
        for day, price in enumerate(series)
        if price is not None
    ]
    return pl.DataFrame(rows)


def run(market: Market, rows: list[int], sides: list[int], fee_bps: float = 0.0) -> BacktestRun:
    signals = Signals(
        np.array(rows, dtype=np.int64), np.array(sides, dtype=np.int8), np.ones(len(rows)), np.ones(len(rows))
    )
    parameters = BacktestParameters(
        costs={"stocks": ClassCosts(fee_bps=fee_bps, slippage_bps=0.0, volume_cap_share=0.5)},
        sizing=Sizing(method="equal"),
        limits=Limits(maximum_positions=10),
        capital_usd=100_000.0,
        stop_atrs=None,
        target_atrs=None,
        time_limit_bars=1,
    )
    return run_backtest(market, signals, parameters)


def test_trades_worked_out_by_hand() -> None:
    found = measure_trades(
        np.array([10.0, -5.0, 0.0, 20.0]), np.array([100.0, -40.0, 0.0, 60.0]), np.array([1000.0, -800.0, 500.0, 300.0])
    )
    assert found == TradeMeasures(4, 2, 1, 50.0, 15.0, 5.0, 6.25, 4.0, 650.0, 1000.0)


def test_no_trade_has_zeros_and_no_averages() -> None:
    none = np.array([])
    assert measure_trades(none, none, none) == TradeMeasures(0, 0, 0, None, None, None, None, None, 0.0, 0.0)


def test_a_profit_factor_without_a_loss_is_undefined_and_not_infinite() -> None:
    assert measure_trades(np.array([1.0]), np.array([1.0]), np.array([1.0])).profit_factor is None


def test_trade_figures_agree_with_quantstats() -> None:
    results = np.random.default_rng(4).normal(0.001, 0.02, 300)
    theirs = pd.Series(results, pd.bdate_range("2020-01-01", periods=results.size))
    found = measure_trades(100 * results, results, np.ones(results.size))
    assert found.profit_factor == pytest.approx(qs.profit_factor(theirs), rel=1e-9)
    assert found.win_rate == pytest.approx(100 * qs.win_rate(theirs), rel=1e-9)
    assert found.avg_win_pct == pytest.approx(100 * qs.avg_win(theirs), rel=1e-9)
    assert found.avg_loss_pct == pytest.approx(-100 * qs.avg_loss(theirs), rel=1e-9)


def test_trades_without_a_result_are_refused() -> None:
    with pytest.raises(MetricError, match="must have a return"):
        measure_trades(np.array([math.nan]), np.array([1.0]), np.array([1.0]))
    with pytest.raises(MetricError, match="one length"):
        measure_trades(np.array([1.0]), np.array([1.0, 2.0]), np.array([1.0]))


def test_usage_of_one_trade_worked_out_by_hand() -> None:
    # A signal on the first bar: 10,000 bought at 10 on day 2, sold at 11 on day 3; 10 bps a fill.
    done = run(prepare_market(bars({"A": [10.0, 10.0, 11.0, 11.0]})), [0], [1], fee_bps=10.0)
    found = measure_usage(done)
    assert done.trades.height == 1
    bought, sold = 10_000.0, 11_000.0
    costs = 0.001 * (bought + sold)
    assert found.costs_usd == pytest.approx(costs, rel=1e-6)
    assert found.costs_pct == pytest.approx(costs / 1000, rel=1e-6)
    assert found.cost_share_pct == pytest.approx(100 * costs / 1000, rel=1e-6)
    assert found.break_even_cost_bps == pytest.approx(1000 / 21_000 * 1e4, rel=1e-6)
    assert found.time_in_market_pct == 25.0
    assert found.exposure_pct == pytest.approx(100 * (bought / (100_000 - 0.001 * bought)) / 4, rel=1e-6)
    assert found.turnover_per_year == pytest.approx(252 * (bought / 100_000 + sold / 99_990) / 4, rel=1e-6)
    # half of 10 x 1,000,000 carries 50 times this trade's 10% of the capital of 100,000
    assert found.capacity_usd == pytest.approx(0.5 * 1e7 / 0.1, rel=1e-6)


def test_costs_at_the_break_even_leave_nothing() -> None:
    market = prepare_market(bars({"A": [10.0, 10.0, 11.0, 10.5, 10.2, 10.1], "B": [5.0, 5.0, 5.2, 5.3, 5.1, 5.0]}))
    rows, sides = [0, 2, 6, 8], [1, -1, 1, -1]
    free = run(market, rows, sides)
    found = measure_usage(free).break_even_cost_bps
    assert found is not None
    assert found > 0
    charged = run(market, rows, sides, fee_bps=found)
    gross = float(free.daily["equity_usd"][-1]) - 100_000
    assert abs(float(charged.daily["equity_usd"][-1]) - 100_000) < 0.03 * gross


def test_a_strategy_that_does_nothing_uses_nothing() -> None:
    found = measure_usage(run(prepare_market(bars({"A": [10.0, 11.0, 12.0]})), [], []))
    assert (found.exposure_pct, found.turnover_per_year, found.costs_usd) == (0, 0, 0)
    assert (found.cost_share_pct, found.break_even_cost_bps, found.capacity_usd) == (None, None, None)


def test_the_capacity_is_what_nine_of_ten_trades_can_carry() -> None:
    volumes = np.arange(1, 102) * 1000.0
    sizes, caps = np.full(101, 0.1), np.full(101, 0.01)
    capital = capacity_usd(sizes, volumes, caps)
    assert capital == pytest.approx(0.01 * 11_000 / 0.1)
    assert (sizes * capital <= caps * volumes + 1e-9).mean() == pytest.approx(0.9, abs=0.01)
    with pytest.raises(MetricError, match="sizes"):
        capacity_usd(np.array([0.0]), np.array([1.0]), np.array([1.0]))


def test_buy_and_hold_buys_each_symbol_at_its_first_open_and_keeps_it() -> None:
    frame = bars({"A": [10.0, 20.0, 30.0, 40.0], "LATE": [None, None, 5.0, 10.0], "GONE": [8.0, 4.0, None, None]})
    assert buy_and_hold(prepare_market(frame)) == pytest.approx(
        [(1 + 1 + 1) / 3, (2 + 1 + 0.5) / 3, (3 + 1 + 0.5) / 3, (4 + 2 + 0.5) / 3]
    )


def test_money_for_a_symbol_without_a_bar_yet_is_cash() -> None:
    frame = bars({"A": [10.0, 10.0, 10.0], "LATE": [None, 5.0, 5.0]})
    risen = frame.with_columns(
        pl.when(pl.col("symbol") == "LATE").then(6.0).otherwise(pl.col(c)).alias(c) for c in ("high", "close")
    )
    assert buy_and_hold(prepare_market(risen)) == pytest.approx([1.0, (1 + 1.2) / 2, (1 + 1.2) / 2])


def test_buy_and_hold_of_one_symbol_earns_what_its_prices_do() -> None:
    prices = (100 * np.cumprod(1 + np.random.default_rng(2).normal(0, 0.02, 60))).tolist()
    held = buy_and_hold(prepare_market(bars({"A": prices})))
    assert held == pytest.approx(np.array(prices) / prices[0])
    assert equity_returns(held, 1.0)[0] == 0

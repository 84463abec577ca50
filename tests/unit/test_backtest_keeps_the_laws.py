"""Laws that hold for every market and strategy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from market.backtest import BacktestParameters, BacktestRun, Market, Signals, prepare_market, run_backtest, run_grid
from market.costs import FREE, ClassCosts
from market.risk import Limits, Sizing
from tests.unit.backtest_worlds import frame, random_walk, rules, signals

BARS = 60
COSTS = ClassCosts(fee_bps=10, slippage_bps=20, borrow_bps_per_year=500, volume_cap_share=1.0)
UNLIMITED = Limits(maximum_positions=10, gross_exposure=math.inf, cash_limit=False, minimum_position_usd=0.0)

seeds = st.integers(0, 2**32 - 1)


def world(seed: int, symbols: int = 3) -> Market:
    return prepare_market(pl.concat([random_walk(seed + n, BARS, symbol=f"S{n}") for n in range(symbols)]))


def random_signals(market: Market, seed: int) -> Signals:
    rng = np.random.default_rng(seed)
    direction = rng.choice([-1, 0, 0, 1], market.rows)
    rows = np.flatnonzero(direction)
    return Signals(rows, direction[rows].astype(np.int8), rng.random(rows.size), rng.uniform(0.2, 1, rows.size))


def any_rules(seed: int, **changes: object) -> BacktestParameters:
    rng = np.random.default_rng(seed)
    method = rng.choice(["equal", "fixed_fraction", "volatility_target", "capped_kelly"])
    sizing = Sizing(method=method, fraction=0.2, maximum_fraction=0.4, kelly_minimum_trades=5)
    return rules(COSTS, sizing=sizing, time_limit_bars=int(rng.integers(1, 20)), **changes)


def same_beginning(one: BacktestRun, other: BacktestRun, days: int) -> None:
    assert_frame_equal(one.daily.head(days), other.daily.head(days), check_exact=True)


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_no_signal_gives_no_trade_and_flat_equity(seed: int) -> None:
    run = run_backtest(world(seed), signals(world(seed), {}), any_rules(seed))
    assert run.trades.height == 0
    assert (run.equity == 10_000.0).all()


@given(seed=seeds, extra=st.floats(0, 100), which=st.sampled_from(["fee_bps", "slippage_bps", "borrow_bps_per_year"]))
@settings(max_examples=40, deadline=None)
def test_at_fixed_size_and_without_limits_more_cost_is_never_more_profit(seed: int, extra: float, which: str) -> None:
    market = world(seed)
    cheap = rules(COSTS, limits=UNLIMITED, time_limit_bars=7)
    dear = rules(replace(COSTS, **{which: getattr(COSTS, which) + extra}), limits=UNLIMITED, time_limit_bars=7)
    less, more = (run_backtest(market, random_signals(market, seed), one) for one in (cheap, dear))
    same = ("symbol", "entry_date", "exit_date", "exit_reason", "units")
    assert_frame_equal(less.trades.select(same), more.trades.select(same))
    assert (less.trades["return_usd"] >= more.trades["return_usd"] - 1e-9).all()
    assert (less.equity >= more.equity - 1e-9).all()


@given(seed=seeds, direction=st.sampled_from([-1, 1]), limit=st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_without_costs_mirrored_prices_mirror_long_and_short(seed: int, direction: int, limit: int) -> None:
    bars = random_walk(seed, 30)
    around = bars["open"][1]
    mirrored = bars.with_columns(
        open=2 * around - pl.col("open"),
        high=2 * around - pl.col("low"),
        low=2 * around - pl.col("high"),
        close=2 * around - pl.col("close"),
    )
    if mirrored["low"].min() <= 0:
        return
    one, other = (
        run_backtest(market, signals(market, {0: side}), rules(FREE, time_limit_bars=limit)).trades.row(0, named=True)
        for market, side in ((prepare_market(bars), direction), (prepare_market(mirrored), -direction))
    )
    assert (one["exit_date"], one["exit_reason"]) == (other["exit_date"], other["exit_reason"])
    assert one["return_usd"] == pytest.approx(other["return_usd"], rel=1e-9, abs=1e-9)
    assert one["position_size"] == pytest.approx(-other["position_size"])


@given(seed=seeds, cut=st.integers(5, BARS - 5))
@settings(max_examples=40, deadline=None)
def test_another_future_changes_nothing_before(seed: int, cut: int) -> None:
    past = pl.concat([random_walk(seed + n, BARS, symbol=f"S{n}") for n in range(3)])
    future = pl.concat([random_walk(seed + 100 + n, BARS, symbol=f"S{n}") for n in range(3)])
    day = past["datetime"].unique().sort()[cut]
    other = pl.concat([past.filter(pl.col("datetime") < day), future.filter(pl.col("datetime") >= day)])
    market, changed = prepare_market(past), prepare_market(other.sort("asset_type", "symbol", "datetime"))
    wanted, rule = random_signals(market, seed), any_rules(seed)
    shuffled = replace(wanted, direction=np.where(wanted.row % BARS < cut, wanted.direction, -wanted.direction))
    one, two = run_backtest(market, wanted, rule), run_backtest(changed, shuffled, rule)
    same_beginning(one, two, cut)
    finished = [run.trades.filter(pl.col("exit_date") < day).drop("signal_index") for run in (one, two)]
    assert_frame_equal(*finished, check_exact=True)


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_who_knows_the_next_open_wins_and_who_knows_it_wrong_loses(seed: int) -> None:
    market = world(seed)
    opens = market.open.reshape(-1, BARS)
    better = (opens[:, 2:] > opens[:, 1:-1]).astype(int) * 2 - 1
    rows = np.concatenate([np.arange(BARS - 2) + n * BARS for n in range(len(opens))])
    oracle = Signals(rows, better.ravel().astype(np.int8), np.ones(rows.size), np.ones(rows.size))
    fool = replace(oracle, direction=-oracle.direction)
    alone = rules(FREE, stop_atrs=None, target_atrs=None, time_limit_bars=1)
    knows, errs = run_backtest(market, oracle, alone), run_backtest(market, fool, alone)
    assert knows.trades.height == rows.size
    assert knows.trades["is_winner"].all()
    assert not errs.trades["is_winner"].any()
    assert knows.equity[-1] > 10_000 > errs.equity[-1]


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_equity_is_cash_plus_positions_and_trades_add_up_to_its_change(seed: int) -> None:
    market = world(seed)
    run = run_backtest(market, random_signals(market, seed), any_rules(seed))
    assert np.allclose(run.daily["equity_usd"], run.daily["cash_usd"] + run.daily["positions_usd"], rtol=1e-12)
    assert run.equity[-1] - 10_000 == pytest.approx(run.trades["return_usd"].sum(), rel=1e-9, abs=1e-7)
    assert run.daily["positions"][-1] == 0
    assert run.daily["costs_usd"].sum() == pytest.approx(run.trades["costs_usd"].sum())
    assert (run.daily["entries"].sum(), run.daily["exits"].sum()) == (run.trades.height, run.trades.height)
    # The value of what is held, from the trades and the bars alone.
    held = np.zeros(run.equity.size)
    day_of = {day: n for n, day in enumerate(market.dates)}
    for trade in run.trades.iter_rows(named=True):
        for row in range(trade["entry_row"], trade["exit_row"]):
            held[day_of[market.dates[row % BARS]]] += trade["units"] * market.close[row]
    assert np.allclose(held, run.daily["positions_usd"], rtol=1e-9, atol=1e-6)


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_limits_hold_whenever_a_position_opens(seed: int) -> None:
    market = world(seed, symbols=6)
    sizing = Sizing(method="fixed_fraction", fraction=0.4, maximum_fraction=0.4)
    limits = Limits(maximum_positions=3, gross_exposure=0.8, minimum_position_usd=50.0)
    run = run_backtest(market, random_signals(market, seed), rules(COSTS, sizing=sizing, limits=limits))
    assert run.daily["positions"].max() <= 3
    assert run.daily["cash_usd"].min() >= -1e-6
    assert run.trades["position_size"].abs().min() >= 50.0 * (1 - 0.002)
    assert run.trades["symbol"].n_unique() > 1
    alone = run.trades.filter(pl.col("entry_date") == run.trades["entry_date"][0])
    assert alone["position_size"].abs().sum() <= 0.8 * 10_000 * (1 + 0.002)


@given(seed=seeds, factor=st.sampled_from([0.5, 2.0, 4.0]))
@settings(max_examples=15, deadline=None)
def test_rescaling_a_symbol_changes_no_result(seed: int, factor: float) -> None:
    bars = pl.concat([random_walk(seed + n, BARS, symbol=f"S{n}") for n in range(3)])
    first = pl.col("symbol") == "S0"
    prices = ("open", "high", "low", "close", "atr")
    scaled = bars.with_columns(
        *(pl.when(first).then(pl.col(name) * factor).otherwise(pl.col(name)) for name in prices),
        volume=pl.when(first).then(pl.col("volume") / factor).otherwise(pl.col("volume")),
    )
    one, other = (
        run_backtest(market, random_signals(market, seed), any_rules(seed))
        for market in (prepare_market(bars), prepare_market(scaled))
    )
    assert_frame_equal(one.daily, other.daily, check_exact=True)


def test_two_runs_give_the_same_bits_and_a_grid_gives_those_of_its_cells() -> None:
    market = world(3)
    cells = [(random_signals(market, seed), any_rules(seed)) for seed in range(6)]
    alone = [run_backtest(market, *cell) for cell in cells]
    for one, other in zip(alone, run_grid(market, cells, threads=2), strict=True):
        assert_frame_equal(one.trades, other.trades, check_exact=True)
        assert_frame_equal(one.daily, other.daily, check_exact=True)


def test_kelly_learns_from_closed_trades_only_and_never_beyond_its_cap() -> None:
    # Every trade wins 10% from open to open: after two closed trades the bet is the cap, before it is the fraction.
    prices = [(p := 100 * 1.1**n, p * 1.01, p * 0.99, p) for n in range(8)]
    market = prepare_market(frame(prices, atr=None))
    sizing = Sizing(method="capped_kelly", fraction=0.1, maximum_fraction=0.3, kelly_minimum_trades=2)
    rule = rules(FREE, sizing=sizing, time_limit_bars=1, stop_atrs=None, target_atrs=None)
    run = run_backtest(market, signals(market, dict.fromkeys(range(7), 1)), rule)
    shares = run.trades["position_size"].to_numpy() / np.concatenate(([10_000.0], run.equity))[run.trades["entry_row"]]
    # Trade 3 opens on the day trade 2 closes, and may not know of it.
    assert shares[:5] == pytest.approx([0.1, 0.1, 0.1, 0.3, 0.3])


def test_half_kelly_is_half_of_p_over_l_minus_q_over_w() -> None:
    # Opens rise by 10%, then fall by 5%, in turn: p = 1/2, w = 0.10, l = 0.05, f = 0.5 / 0.05 - 0.5 / 0.10 = 5.
    opens = [100.0]
    for n in range(9):
        opens.append(opens[-1] * (1.1 if n % 2 == 0 else 0.95))
    market = prepare_market(frame([(p, p, p, p) for p in opens], atr=None))
    sizing = Sizing(method="capped_kelly", fraction=0.1, maximum_fraction=9.0, kelly_minimum_trades=4, kelly_share=0.01)
    free = Limits(maximum_positions=10, gross_exposure=math.inf, cash_limit=False)
    rule = rules(FREE, sizing=sizing, limits=free, time_limit_bars=1, stop_atrs=None, target_atrs=None)
    run = run_backtest(market, signals(market, dict.fromkeys(range(9), 1)), rule)
    # Trades open on bars 1 to 9 and gain -5%, 10%, ...: by bar 6's open, the first four have closed.
    trade = run.trades.row(5, named=True)
    assert trade["position_size"] / run.equity[trade["entry_row"] - 1] == pytest.approx(0.01 * 5)

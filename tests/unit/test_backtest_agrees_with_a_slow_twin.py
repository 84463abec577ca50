"""The compiled engine against the same rules in plain Python, on small markets of gaps, halts and exact touches."""

from __future__ import annotations

import math
from dataclasses import fields
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.backtest import BacktestParameters, BacktestRun, Signals, align_predictions, prepare_market, run_backtest
from market.costs import ClassCosts
from market.risk import Limits, Sizing
from tests.unit.backtest_oracle import Bar, Result, Signal, run_slowly

START = date(2024, 1, 1)
KEYS = (("stocks", "A"), ("stocks", "B"), ("etf", "A"), ("crypto", "BTC/USDT"))

# Few distinct values, so that stops, targets and opens meet exactly and strengths tie.
ticks = st.integers(6, 14).map(float)


@st.composite
def bars_of_one_symbol(draw: st.DrawFn, key: tuple[str, str]) -> list[Bar]:
    length = draw(st.integers(1, 12))
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 5, 9]), min_size=length, max_size=length))
    day, bars = START + timedelta(draw(st.integers(0, 3))), []
    for step in steps:
        prices = sorted(draw(st.lists(ticks, min_size=4, max_size=4)))
        middle = draw(st.permutations(prices[1:3]))
        volume = draw(st.sampled_from([0.0, 500.0, 1e6, 1e6, 1e6]))
        atr = draw(st.sampled_from([None, 0.0, 1.0, 1.0, 2.0]))
        bars.append(Bar(key, day, middle[0], prices[3], prices[0], middle[1], volume, atr))
        day += timedelta(step)
    if all(bar.volume == 0 for bar in bars):
        bars[0].volume = 1e6
    return bars


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Bar], list[Signal], BacktestParameters, bool]:
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True))
    bars = [bar for key in keys for bar in draw(bars_of_one_symbol(key))]
    signals = [
        Signal(bar.key, bar.day, direction, draw(st.sampled_from([1.0, 1.0, 2.0])), draw(st.sampled_from([1.0, 0.5])))
        for bar in bars
        if (direction := draw(st.sampled_from([1, -1, 0])))
    ]
    return bars, signals, draw(parameters()), draw(st.booleans())


@st.composite
def parameters(draw: st.DrawFn) -> BacktestParameters:
    costs = {
        name: ClassCosts(
            fee_bps=draw(st.sampled_from([0.0, 10.0])),
            slippage_bps=draw(st.sampled_from([0.0, 50.0])),
            borrow_bps_per_year=draw(st.sampled_from([0.0, 3650.0])),
            volume_cap_share=draw(st.sampled_from([1.0, 0.02])),
        )
        for name in ("stocks", "etf", "crypto")
    }
    sizing = Sizing(
        method=draw(st.sampled_from(["equal", "fixed_fraction", "capped_kelly"])),
        fraction=0.3,
        maximum_fraction=0.6,
        kelly_minimum_trades=2,
        kelly_floor=0.05,
    )
    limits = Limits(
        maximum_positions=draw(st.integers(1, 3)),
        gross_exposure=draw(st.sampled_from([0.5, 1.0, 2.0, math.inf])),
        cash_limit=draw(st.booleans()),
        minimum_position_usd=draw(st.sampled_from([0.0, 200.0])),
    )
    return BacktestParameters(
        costs=costs,
        sizing=sizing,
        limits=limits,
        capital_usd=10_000.0,
        stop_atrs=draw(st.sampled_from([None, 1.0, 2.0])),
        target_atrs=draw(st.sampled_from([None, 1.0, 3.0])),
        time_limit_bars=draw(st.sampled_from([None, 1, 2, 4])),
        on_opposite=draw(st.sampled_from(["reverse", "close", "ignore"])),
        sides=draw(st.sampled_from(["both", "both", "long", "short"])),
        order_days=draw(st.sampled_from([4, 7])),
    )


def run_engine(bars: list[Bar], signals: list[Signal], rules: BacktestParameters, every_day: bool) -> BacktestRun:
    frame = pl.DataFrame(
        {
            "asset_type": [bar.key[0] for bar in bars],
            "symbol": [bar.key[1] for bar in bars],
            "datetime": [bar.day for bar in bars],
            **{name: [getattr(bar, name) for bar in bars] for name in ("open", "high", "low", "close", "volume")},
            "atr": pl.Series([bar.atr for bar in bars], dtype=pl.Float64),
        }
    ).sort("asset_type", "symbol", "datetime")
    market = prepare_market(frame, every_day=every_day)
    wanted = {(one.key, one.day): one for one in signals}
    keys = frame.select("asset_type", "symbol", "datetime")
    predictions = align_predictions(market, keys)
    found = [wanted.get(((kind, symbol), day)) for kind, symbol, day in keys.iter_rows()]
    return run_backtest(
        market,
        Signals.from_directions(
            predictions,
            pl.Series([one.direction if one else 0 for one in found]).to_numpy(),
            pl.Series([one.strength if one else 0.0 for one in found]).to_numpy(),
            pl.Series([one.weight if one else 1.0 for one in found]).to_numpy(),
        ),
        rules,
    )


def assert_same(run: BacktestRun, slow: Result, signals: list[Signal], rules: BacktestParameters) -> None:
    key = ("asset_type", "symbol", "entry_date")
    expected = sorted(slow.trades, key=lambda one: [one[name] for name in key])
    for ours, theirs in zip(run.trades.sort(key).iter_rows(named=True), expected, strict=True):
        for name, value in theirs.items():
            assert ours[name] == close_to(value), (name, theirs)
    for ours, theirs in zip(run.daily.iter_rows(named=True), slow.days, strict=True):
        for name, value in theirs.items():
            assert ours[name] == close_to(value), (name, theirs)
    refused = {one.name: count for one in fields(run.refused) if (count := getattr(run.refused, one.name))}
    assert refused == dict(slow.refused)
    assert run.trades.height + run.refused.total == len(signals)
    assert run.equity[-1] - rules.capital_usd == close_to(run.trades["return_usd"].sum())


def close_to(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-7) if isinstance(value, float) else value


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(world=worlds())
def test_every_trade_day_and_refusal_is_that_of_the_slow_twin(
    world: tuple[list[Bar], list[Signal], BacktestParameters, bool],
) -> None:
    bars, signals, rules, every_day = world
    run = run_engine(bars, signals, rules, every_day)
    assert_same(run, run_slowly(bars, signals, rules, every_day=every_day), signals, rules)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(closes=st.lists(ticks, min_size=24, max_size=30), share=st.sampled_from([1.0, 20.0]))
def test_the_volatility_target_sizes_as_the_slow_twin_does(closes: list[float], share: float) -> None:
    key = ("stocks", "A")
    bars = [Bar(key, START + timedelta(n), p, p, p, p, 1e6, 1.0) for n, p in enumerate(closes)]
    signals = [Signal(key, START + timedelta(n), 1) for n in (5, 19, 20, 22)]
    rules = BacktestParameters(
        costs={"stocks": ClassCosts(1, 1)},
        sizing=Sizing(method="volatility_target", position_volatility_pct=share, maximum_fraction=0.5),
        time_limit_bars=1,
        stop_atrs=None,
        target_atrs=None,
    )
    run = run_engine(bars, signals, rules, False)
    assert_same(run, run_slowly(bars, signals, rules), signals, rules)

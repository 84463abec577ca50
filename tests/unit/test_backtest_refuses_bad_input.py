"""Every bad input has a named error with field, row and remedy."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from market.backtest import BacktestParameters, Signals, align_predictions, prepare_market, run_backtest
from market.costs import ClassCosts
from market.errors import BacktestError
from market.risk import Limits, Sizing
from tests.unit.backtest_worlds import START, flat, frame, rules, signals


def bars() -> pl.DataFrame:
    return pl.concat([frame(flat(10, 4), symbol=name) for name in "AB"])


def predictions(**columns: Any) -> pl.DataFrame:
    given: dict[str, Any] = {
        "asset_type": ["stocks"] * 2,
        "symbol": ["A", "B"],
        "datetime": [START, START + timedelta(1)],
        "entry_probability": [0.7, 0.3],
    }
    return pl.DataFrame(given | columns)


def at_row(row: int, **values: Any) -> pl.DataFrame:
    """Bars with other values in one row, counted from 1."""
    here = pl.int_range(pl.len()) == row - 1
    return bars().with_columns(
        pl.when(here).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in values.items()
    )


@pytest.mark.parametrize(
    ("given", "field", "row", "words"),
    [
        (at_row(3, close=math.nan), "close", 3, "price is missing, not finite or not positive"),
        (at_row(2, open=None), "open", 2, "price is missing"),
        (at_row(5, low=-1.0), "low", 5, "not positive"),
        (at_row(5, high=math.inf), "high", 5, "not finite"),
        (at_row(4, volume=None), "volume", 4, "volume is missing"),
        (at_row(4, volume=-1.0), "volume", 4, "negative"),
        (at_row(6, atr=-1.0), "atr", 6, "ATR is infinite or negative"),
        (at_row(7, high=9.0), "high", 7, "does not span open and close"),
        (at_row(1, symbol=None), "symbol", 1, "bars have no symbol"),
        (bars().drop("volume"), "volume", None, "the column is missing"),
        (bars().drop("datetime"), "datetime", None, "the column is missing"),
        (bars().with_columns(pl.col("close").cast(pl.String)), "close", None, "is no number"),
        (bars().with_columns(pl.col("datetime").cast(pl.String)), "datetime", None, "is no time"),
        (bars().with_columns(volume=pl.lit(0.0)), "volume", None, "no bar of stocks has volume"),
        (bars().with_columns(asset_type=pl.lit("bonds")), "asset_type", None, "unknown asset class 'bonds'"),
        (bars().reverse(), "symbol", 5, "not sorted by asset_type, symbol, datetime"),
        (bars()[[1, 0, 2]], "datetime", 2, "not sorted"),
        (bars()[[0, 4, 1]], "symbol", 3, "not sorted"),
        (bars()[[0, 1, 1, 2]], "datetime", 3, "two bars of one symbol and day"),
        (bars().head(0), "", None, "no bars"),
    ],
)
def test_bars_that_cannot_be_traded_are_named(given: pl.DataFrame, field: str, row: int | None, words: str) -> None:
    with pytest.raises(BacktestError) as caught:
        prepare_market(given)
    assert (caught.value.field, caught.value.row) == (field, row)
    assert words in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("given", "field", "row", "words"),
    [
        (predictions(symbol=["A", "C"]), "datetime", 2, "prediction without a bar: stocks C 2024-01-02 (1 of 2"),
        (predictions(datetime=[START, START + timedelta(9)]), "datetime", 2, "stocks B 2024-01-10"),
        (predictions(symbol=["A", "A"], datetime=[START, START]), "datetime", 2, "two predictions of one symbol"),
        (predictions(symbol=["B", "A"]), "symbol", 2, "predictions are not sorted"),
        (predictions(entry_probability=[0.7, math.nan]), "entry_probability", 2, "missing or not in [0, 1]"),
        (predictions(entry_probability=[None, 0.5]), "entry_probability", 1, "missing or not in [0, 1]"),
        (predictions(entry_probability=[1.2, 0.5]), "entry_probability", 1, "missing or not in [0, 1]"),
        (predictions().head(0), "", None, "no predictions"),
    ],
)
def test_predictions_that_fit_no_bar_are_named(given: pl.DataFrame, field: str, row: int | None, words: str) -> None:
    market = prepare_market(bars())
    with pytest.raises(BacktestError) as caught:
        align_predictions(market, given)
    assert (caught.value.field, caught.value.row) == (field, row)
    assert words in str(caught.value)
    assert caught.value.remedy


def test_predictions_find_their_bars_by_exact_key() -> None:
    market = prepare_market(bars())
    assert align_predictions(market, predictions()).row.tolist() == [0, 5]
    both = pl.concat([predictions(), predictions(datetime=[START + timedelta(3)] * 2)]).sort("symbol", "datetime")
    assert align_predictions(market, both).row.tolist() == [0, 3, 5, 7]


def test_labels_of_a_prediction_reach_its_trade() -> None:
    market = prepare_market(bars())
    labelled = predictions(
        entry_signal=["STRONG_BUY", "SELL"],
        entry_confidence=["HIGH", "MEDIUM"],
        entry_growth_score=[75, None],
        trend_regime_at_entry=["WEAK_UPTREND", None],
    )
    wanted = Signals.from_directions(align_predictions(market, labelled), np.array([0, -1]))
    trade = run_backtest(market, wanted, rules()).trades.row(0, named=True)
    assert (trade["symbol"], trade["entry_signal"], trade["entry_confidence"]) == ("B", "SELL", "MEDIUM")
    assert (trade["entry_probability"], trade["entry_growth_score"], trade["trend_regime_at_entry"]) == (
        0.3,
        None,
        None,
    )
    bare = run_backtest(market, signals(market, {0: 1}), rules()).trades.row(0, named=True)
    assert (bare["entry_signal"], bare["entry_confidence"], bare["entry_probability"]) == ("BUY", None, None)


def made(**changes: Any) -> Callable[[], Signals]:
    given = {
        "row": np.array([0, 1]),
        "direction": np.array([1, -1], dtype=np.int8),
        "strength": np.ones(2),
        "weight": np.ones(2),
    }
    return lambda: Signals(**(given | changes))


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (made(row=np.array([1, 1])), "row"),
        (made(row=np.array([-1, 1])), "row"),
        (made(row=np.array([0])), "row"),
        (made(direction=np.array([1, 0], dtype=np.int8)), "direction"),
        (made(direction=np.array([1, 2], dtype=np.int8)), "direction"),
        (made(strength=np.array([1.0, math.nan])), "strength"),
        (made(strength=np.array([-1.0, 1.0])), "strength"),
        (made(weight=np.array([0.0, 1.0])), "weight"),
        (made(weight=np.array([1.0, math.nan])), "weight"),
        (lambda: ClassCosts(fee_bps=-1, slippage_bps=0), "fee_bps"),
        (lambda: ClassCosts(fee_bps=1, slippage_bps=math.nan), "slippage_bps"),
        (lambda: ClassCosts(fee_bps=1, slippage_bps=10_000), "slippage_bps"),
        (lambda: ClassCosts(fee_bps=1, slippage_bps=0, borrow_bps_per_year=-5), "borrow_bps_per_year"),
        (lambda: ClassCosts(fee_bps=1, slippage_bps=0, volume_cap_share=0), "volume_cap_share"),
        (lambda: Sizing(method="martingale"), "method"),
        (lambda: Sizing(fraction=0.2, maximum_fraction=0.1), "fraction"),
        (lambda: Sizing(kelly_share=1.5), "kelly_share"),
        (lambda: Limits(maximum_positions=0), "maximum_positions"),
        (lambda: Limits(gross_exposure=math.nan), "gross_exposure"),
        (lambda: Limits(minimum_position_usd=-1), "minimum_position_usd"),
        (lambda: rules(capital_usd=0), "capital_usd"),
        (lambda: rules(stop_atrs=-2), "stop_atrs"),
        (lambda: rules(time_limit_bars=0), "time_limit_bars"),
        (lambda: rules(on_opposite="panic"), "on_opposite"),
        (lambda: rules(sides="sideways"), "sides"),
        (lambda: rules(order_days=0), "order_days"),
    ],
)
def test_signals_costs_sizes_and_rules_outside_their_range_are_named(build: Callable[[], Any], field: str) -> None:
    with pytest.raises(BacktestError) as caught:
        build()
    assert caught.value.field == field


def test_signals_of_another_market_missing_costs_and_missing_atrs_are_named() -> None:
    market = prepare_market(bars())
    beyond = Signals(np.array([8]), np.array([1], dtype=np.int8), np.ones(1), np.ones(1))
    with pytest.raises(BacktestError, match="a signal on bar 8 of 8"):
        run_backtest(market, beyond, rules())
    with pytest.raises(BacktestError, match="no costs for stocks") as caught:
        run_backtest(market, signals(market, {}), BacktestParameters(costs={}))
    assert caught.value.field == "costs"
    without = prepare_market(bars().drop("atr"))
    with pytest.raises(BacktestError, match="bars came without") as caught:
        run_backtest(without, signals(without, {0: 1}), rules())
    assert caught.value.field == "atr"
    assert run_backtest(without, signals(without, {0: 1}), rules(stop_atrs=None, target_atrs=None)).trades.height == 1


def test_a_signal_without_atr_is_counted_and_not_traded() -> None:
    market = prepare_market(frame(flat(10, 4), atr=[None, 0.0, 1.0, 1.0]))
    run = run_backtest(market, signals(market, {0: 1, 1: 1, 2: 1}), rules())
    assert (run.trades.height, run.refused.no_atr) == (1, 2)


def test_arrays_of_other_types_give_the_same_trades() -> None:
    market = prepare_market(bars().with_columns(pl.col("volume").cast(pl.Int64), pl.col("open").cast(pl.Float32)))
    wanted = Signals(np.array([0], dtype=np.int32), np.array([1]), np.array([1]), np.array([1]))
    assert run_backtest(market, wanted, rules()).trades["entry_price"].to_list() == [10.0]

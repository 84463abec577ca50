"""Twenty-five small scenarios computed by hand: 10,000 USD, 1,000 USD a position, stop 2 ATR, target 3 ATR, ATR 1."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from market.backtest import BacktestRun, overlapping_market, prepare_market, run_backtest
from market.costs import ClassCosts
from market.risk import Limits, Sizing
from tests.unit.backtest_worlds import PLENTY, backtest, flat, frame, rules, signals


def only_trade(run: BacktestRun) -> dict[str, Any]:
    assert run.trades.height == 1
    return run.trades.row(0, named=True)


def test_a_signal_at_the_close_fills_at_the_next_open_and_ends_with_the_data() -> None:
    run = backtest(frame([(9, 9, 9, 9), (10, 11, 9.5, 11), (11, 12, 10.5, 12)]), {0: 1})
    trade = only_trade(run)
    # 1,000 USD buy 100 units at 10; the last close is 12: 200 USD.
    assert (trade["entry_date"], trade["entry_price"], trade["units"]) == (date(2024, 1, 2), 10.0, 100.0)
    assert (trade["exit_date"], trade["exit_price"], trade["exit_reason"]) == (date(2024, 1, 3), 12.0, "END_OF_DATA")
    assert (trade["return_usd"], trade["return_pct"], trade["holding_days"]) == (200.0, 20.0, 1)
    assert run.daily["equity_usd"].to_list() == [10_000.0, 10_100.0, 10_200.0]
    assert run.daily["cash_usd"].to_list() == [10_000.0, 9_000.0, 10_200.0]


def test_a_stop_inside_the_bar_fills_at_its_price() -> None:
    trade = only_trade(backtest(frame([*flat(10, 2), (10, 10.5, 7.9, 9)]), {0: 1}))
    assert (trade["exit_reason"], trade["exit_price"], trade["return_usd"]) == ("STOP_LOSS", 8.0, -200.0)


def test_a_gap_through_the_stop_fills_at_the_open() -> None:
    trade = only_trade(backtest(frame([*flat(10, 2), (7, 7.5, 6.5, 7)]), {0: 1}))
    assert (trade["exit_reason"], trade["exit_price"], trade["return_usd"]) == ("STOP_LOSS", 7.0, -300.0)


def test_a_target_inside_the_bar_fills_at_its_price() -> None:
    trade = only_trade(backtest(frame([*flat(10, 2), (10, 13.5, 9, 12)]), {0: 1}))
    assert (trade["exit_reason"], trade["exit_price"], trade["return_usd"]) == ("TAKE_PROFIT", 13.0, 300.0)


def test_a_gap_through_the_target_fills_at_the_open() -> None:
    trade = only_trade(backtest(frame([*flat(10, 2), (14, 15, 13, 14)]), {0: 1}))
    assert (trade["exit_reason"], trade["exit_price"], trade["return_usd"]) == ("TAKE_PROFIT", 14.0, 400.0)


def test_when_one_bar_touches_both_the_stop_came_first() -> None:
    trade = only_trade(backtest(frame([*flat(10, 2), (10, 14, 7, 13)]), {0: 1}))
    assert (trade["exit_reason"], trade["exit_price"]) == ("STOP_LOSS", 8.0)


def test_the_bar_of_the_entry_can_stop_out_after_its_open() -> None:
    run = backtest(frame([(9, 9, 9, 9), (10, 13.5, 7.5, 12), *flat(12, 1)]), {0: 1})
    trade = only_trade(run)
    assert (trade["exit_date"], trade["exit_reason"], trade["exit_price"]) == (date(2024, 1, 2), "STOP_LOSS", 8.0)
    assert (trade["holding_days"], run.daily["positions"].to_list()) == (0, [0, 0, 0])


def test_a_short_mirrors_a_long() -> None:
    trade = only_trade(backtest(frame([*flat(10, 2), (10, 10.5, 6.5, 7)]), {0: -1}))
    # The target of a short stands 3 ATR below its entry: 100 units x 3.
    assert (trade["exit_reason"], trade["exit_price"], trade["return_usd"]) == ("TAKE_PROFIT", 7.0, 300.0)
    assert (trade["position_size"], trade["entry_signal"]) == (-1_000.0, "SELL")


def test_a_short_gaps_through_its_stop() -> None:
    trade = only_trade(backtest(frame([*flat(10, 2), (12.5, 13, 12, 13)]), {0: -1}))
    assert (trade["exit_reason"], trade["exit_price"], trade["return_usd"]) == ("STOP_LOSS", 12.5, -250.0)


def test_fees_and_slippage_are_paid_twice() -> None:
    run = backtest(frame(flat(10, 3)), {0: 1}, rules(ClassCosts(fee_bps=10, slippage_bps=100, volume_cap_share=1.0)))
    trade = only_trade(run)
    # 100 units: bought at 10.10, sold at 9.90: slippage 10 + 10, fees 0.1% of 1,010 and of 990.
    assert (trade["entry_price"], trade["exit_price"]) == (pytest.approx(10.1), pytest.approx(9.9))
    assert (trade["fees_usd"], trade["slippage_usd"]) == (pytest.approx(2.0), pytest.approx(20.0))
    assert trade["return_usd"] == pytest.approx(-22.0)
    assert trade["costs_usd"] == pytest.approx(22.0)
    assert trade["return_pct"] == pytest.approx(-22 / 1_010 * 100)
    assert run.daily["costs_usd"].to_list() == pytest.approx([0.0, 11.01, 10.99])
    assert run.daily["turnover"].to_list() == pytest.approx([0.0, 1_010 / 10_000, 990 / (10_000 - 11.01)])


def test_a_short_pays_for_every_night_of_a_weekend() -> None:
    # 36.5% a year is 0.1% of the value a day; five calendar days at 1,000 USD and two more at 1,100 USD.
    bars = frame([*flat(10, 2), (10, 11, 10, 11), (11, 11, 11, 11)], days=[0, 1, 6, 8])
    run = backtest(bars, {0: -1}, rules(ClassCosts(0, 0, borrow_bps_per_year=3_650, volume_cap_share=1.0)))
    trade = only_trade(run)
    assert trade["borrow_usd"] == pytest.approx(5 * 1.0 + 2 * 1.1)
    assert trade["return_usd"] == pytest.approx(-100 - 7.2)
    assert run.daily["costs_usd"].to_list() == pytest.approx([0.0, 0.0, 5.0, 2.2])


def test_an_opposite_signal_closes_and_reverses_at_one_open() -> None:
    run = backtest(frame([*flat(10, 2), (10, 11, 9, 11), (11, 11, 10, 10)]), {0: 1, 2: -1})
    first, second = run.trades.iter_rows(named=True)
    assert (first["exit_reason"], first["exit_price"], first["return_usd"]) == ("SIGNAL_REVERSE", 11.0, 100.0)
    assert (second["entry_date"], second["exit_reason"]) == (first["exit_date"], "END_OF_DATA")
    assert second["return_usd"] == pytest.approx(1_000 / 11)


def test_a_reverse_due_on_the_last_bar_opens_and_ends_on_it() -> None:
    run = backtest(frame([*flat(10, 2), (10, 10, 9.5, 9.5)]), {0: 1, 1: -1})
    assert run.trades["exit_reason"].to_list() == ["SIGNAL_REVERSE", "END_OF_DATA"]
    assert run.trades["exit_date"].to_list() == [date(2024, 1, 3)] * 2
    assert run.trades["return_usd"].to_list() == pytest.approx([0.0, 50.0])


def test_a_signal_on_the_last_bar_does_nothing() -> None:
    run = backtest(frame(flat(10, 2)), {1: 1})
    assert (run.trades.height, run.refused.no_next_bar) == (0, 1)
    assert run.daily["equity_usd"].to_list() == [10_000.0, 10_000.0]


def test_an_entry_due_on_a_bar_without_volume_lapses() -> None:
    run = backtest(frame(flat(10, 4), volume=[1e6, 0, 1e6, 1e6]), {0: 1})
    assert (run.trades.height, run.refused.halted) == (0, 1)


def test_a_halt_keeps_stop_mark_and_decided_exits_waiting() -> None:
    # The halted bar shows 5, below the stop at 8, and an opposite signal was given before: all waits for the next.
    bars = frame([*flat(10, 3), (5, 5, 5, 5), (9, 9, 9, 9)], volume=[1e6, 1e6, 1e6, 0, 1e6])
    run = backtest(bars, {0: 1, 2: -1})
    trade = only_trade(run)
    assert (trade["exit_date"], trade["exit_price"], trade["exit_reason"]) == (date(2024, 1, 5), 9.0, "SIGNAL_REVERSE")
    assert run.daily["equity_usd"].to_list() == [10_000.0, 10_000.0, 10_000.0, 10_000.0, 9_900.0]
    assert run.refused.halted == 1


def test_the_time_limit_counts_bars_and_leaves_at_an_open() -> None:
    run = backtest(frame([*flat(10, 3), (11, 12, 11, 12)], days=[0, 1, 4, 5]), {0: 1}, rules(time_limit_bars=2))
    trade = only_trade(run)
    assert (trade["exit_date"], trade["exit_price"], trade["exit_reason"]) == (date(2024, 1, 6), 11.0, "TIME_LIMIT")
    assert trade["holding_days"] == 4


def test_missing_bars_keep_the_mark_and_a_late_bar_lets_the_entry_lapse() -> None:
    other = frame(flat(10, 12), symbol="B")
    bars = pl.concat([frame([*flat(10, 2), (10, 12, 10, 12), *flat(12, 2)], days=[0, 1, 2, 10, 11]), other])
    run = backtest(bars, {0: 1})
    assert run.daily["positions_usd"].to_list() == [0.0, 1_000.0, *[1_200.0] * 9, 0.0]
    assert backtest(bars, {2: 1}).refused.lapsed == 1


def test_a_delisted_symbol_is_closed_at_its_last_close() -> None:
    bars = pl.concat([frame([*flat(10, 2), (10, 10, 9, 9)]), frame(flat(10, 6), symbol="B")])
    run = backtest(bars, {0: 1})
    trade = only_trade(run)
    assert (trade["exit_date"], trade["exit_price"], trade["exit_reason"]) == (date(2024, 1, 3), 9.0, "END_OF_DATA")
    assert run.daily["equity_usd"].to_list() == [10_000.0, 10_000.0, *[9_900.0] * 4]


def test_a_split_in_adjusted_prices_changes_nothing() -> None:
    prices = [*flat(10, 2), (10, 12, 9, 11), (11, 12, 10, 12)]
    halved = [tuple(price / 2 for price in bar) for bar in prices]
    before = only_trade(backtest(frame(prices), {0: 1}))
    after = only_trade(backtest(frame(halved, volume=2e6, atr=0.5), {0: 1}))
    same = (
        "entry_date",
        "exit_date",
        "exit_reason",
        "position_size",
        "return_usd",
        "return_pct",
        "volatility_at_entry",
    )
    assert {name: before[name] for name in same} == {name: after[name] for name in same}
    assert after["units"] == 2 * before["units"]


def test_places_go_to_the_strongest_signal_then_by_symbol() -> None:
    bars = pl.concat([frame(flat(10, 3), symbol=name) for name in "ABC"])
    one = rules(limits=Limits(maximum_positions=1, minimum_position_usd=0.0))
    assert backtest(bars, {0: 1, 3: 1, 6: 1}, one, strength={6: 2.0}).trades["symbol"].to_list() == ["C"]
    run = backtest(bars, {0: 1, 3: 1, 6: 1}, one)
    assert (run.trades["symbol"].to_list(), run.refused.maximum_positions) == (["A"], 2)


def test_an_entry_takes_at_most_its_share_of_the_smaller_volume() -> None:
    run = backtest(frame(flat(10, 3), volume=[500, 800, 800]), {0: 1}, rules(ClassCosts(0, 0, volume_cap_share=0.1)))
    assert only_trade(run)["units"] == pytest.approx(50.0)


def test_exposure_and_cash_cut_what_is_too_large() -> None:
    bars = pl.concat([frame(flat(10, 3), symbol=name) for name in "AB"])
    large = Sizing(method="fixed_fraction", fraction=0.6, maximum_fraction=0.6)
    run = backtest(bars, {0: 1, 3: 1}, rules(sizing=large, limits=PLENTY))
    assert run.trades["position_size"].to_list() == pytest.approx([6_000.0, 4_000.0])
    # With an open door for exposure the cash is what ends: 4,000 USD, of which 0.5% are fees.
    twice = Limits(maximum_positions=10, gross_exposure=2.0, minimum_position_usd=0.0)
    run = backtest(bars, {0: -1, 3: 1}, rules(sizing=large, limits=twice))
    assert run.trades["position_size"].to_list() == pytest.approx([-6_000.0, 6_000.0])
    paid = rules(ClassCosts(fee_bps=50, slippage_bps=0, volume_cap_share=1.0), sizing=large, limits=twice)
    run = backtest(bars, {0: 1, 3: 1}, paid)
    assert run.daily["cash_usd"][1] == pytest.approx(0.0, abs=1e-9)
    assert run.trades["position_size"][1] == pytest.approx((10_000 - 6_000 * 1.005) / 1.005)


def test_crypto_is_settled_before_the_exchanges_open() -> None:
    # Both due on one day, and the stock's signal is stronger; but bitcoin trades at 00:00 and takes the only place.
    bars = pl.concat([frame(flat(10, 3), symbol="BTC/USDT", asset_type="crypto"), frame(flat(10, 3))])
    market = overlapping_market(bars)
    assert market is not None
    one = rules(limits=Limits(maximum_positions=1, minimum_position_usd=0.0))
    run = run_backtest(market, signals(market, {0: 1, 3: 1}, {3: 9.0}), one)
    assert run.trades["symbol"].to_list() == ["BTC/USDT"]


def test_a_portfolio_spans_the_classes_that_overlap_on_every_calendar_day() -> None:
    old = frame(flat(10, 3), symbol="SPY", asset_type="etf", days=[-900, -899, -898])
    stocks, crypto = frame(flat(10, 4), days=[0, 3, 4, 7]), frame(flat(10, 9), symbol="X/USDT", asset_type="crypto")
    bars = pl.concat([crypto, old, stocks])
    market = overlapping_market(bars)
    assert market is not None
    assert (market.asset_type, market.classes, market.days_per_year) == ("all", ("stocks", "crypto"), 365)
    assert (market.start, market.end, market.dates.len()) == (date(2024, 1, 1), date(2024, 1, 8), 8)
    assert overlapping_market(pl.concat([old, stocks])) is None
    assert prepare_market(stocks).days_per_year == 252
    assert prepare_market(stocks).dates.len() == 4

"""Indicators where bars are flat, few, without volume, monotone, mixed or broken."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from market.errors import BadBarsError, FeatureError
from market.indicators import INDICATOR_COLUMNS, OUTPUT_COLUMNS, add_indicators, indicator_arrays

VARIANTS = ("wilder", "vendor")
UNDEFINED_WHEN_FLAT = {
    *("rsi", "adx", "plus_di", "minus_di", "mfi", "cmf", "stoch_k", "stoch_d", "cci", "williams_r"),
}


def frame(close, *, symbol="AAA", asset_type="stocks", spread=0.0, volume=1000.0) -> pl.DataFrame:
    close = np.asarray(close, dtype=float)
    return pl.DataFrame(
        {
            "asset_type": asset_type,
            "symbol": symbol,
            "datetime": pl.Series(np.datetime64("2020-01-01", "us") + np.arange(close.size) * np.timedelta64(1, "D")),
            "open": close,
            "high": close + spread,
            "low": close - spread,
            "close": close,
            "volume": np.full(close.size, volume) if np.isscalar(volume) else np.asarray(volume, dtype=float),
        }
    ).with_columns(pl.col("datetime").dt.replace_time_zone("UTC"))


def random_frame(seed: int, bars: int, **names: str) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    close = 20 * np.exp(np.cumsum(generator.normal(0, 0.02, bars)))
    return frame(close, volume=generator.integers(1, 10**6, bars), **names).with_columns(
        high=pl.col("close") * (1 + pl.Series(generator.uniform(0, 0.02, bars))),
        low=pl.col("close") * (1 - pl.Series(generator.uniform(0, 0.02, bars))),
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("price", [100.37, 0.1, 1e-8, 12_345.67])
def test_on_flat_prices_what_divides_by_nothing_is_null_and_the_rest_is_the_price_or_zero(variant, price):
    last = add_indicators(frame(np.full(260, price)), variant).tail(1).row(0, named=True)

    assert {name for name in INDICATOR_COLUMNS if last[name] is None} == UNDEFINED_WHEN_FLAT
    for name in ("sma_20", "sma_200", "ema_12", "ema_200", "bollinger_upper", "bollinger_lower", "vwap_daily"):
        assert last[name] == pytest.approx(price, rel=1e-9), name
    for name in ("atr", "momentum", "roc", "awesome_osc", "macd", "macd_histogram", "percent_change"):
        assert last[name] == pytest.approx(0, abs=1e-9 * price), name
    assert last["volume_ratio"] == 1 and last["obv"] == 1000


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_indicator_is_ever_defined_on_a_flat_series_before_it_moves(variant):
    table = add_indicators(frame(np.full(260, 55.5)), variant)

    assert {name for name in UNDEFINED_WHEN_FLAT if table[name].null_count() == 260} == UNDEFINED_WHEN_FLAT


def test_wilder_averages_outlive_a_move_but_not_for_ever():
    moved_then_flat = frame([*np.linspace(100, 120, 41), *np.full(700, 120.0)])

    rsi = add_indicators(moved_then_flat, "wilder")["rsi"]

    assert rsi[40] == pytest.approx(100) and rsi[140] == pytest.approx(100)
    assert rsi[740] is None  # every rise has shrunk to less than a rounding of the price
    assert add_indicators(moved_then_flat, "vendor")["rsi"][40 + 14] is None  # a plain window forgets after 14 bars


def test_wilder_defines_movement_after_a_flat_start_as_soon_as_there_is_any():
    table = add_indicators(frame([*np.full(40, 10.0), 11.0, 10.5], spread=0.0), "wilder")

    assert table["rsi"][39] is None and table["plus_di"][39] is None and table["adx"][39] is None
    assert table["rsi"][40] == pytest.approx(100) and table["rsi"][41] < 100
    assert table["plus_di"][40] == pytest.approx(100) and table["minus_di"][40] == 0
    # DX is 100 on this bar; the seed of ADX counted the flat bars as 0, as TA-Lib does
    assert table["adx"][40] == pytest.approx(100 / 14)


def test_ranges_without_direction_leave_adx_null_and_both_directional_indicators_zero():
    table = add_indicators(frame(np.full(60, 10.0), spread=1.0), "wilder")

    assert (table["plus_di"][-1], table["minus_di"][-1], table["adx"][-1]) == (0, 0, None)
    assert table["atr"][-1] == 2 and table["stoch_k"][-1] == 50 and table["cmf"][-1] == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_rising_series_has_the_extremes_and_a_falling_one_their_mirror(variant):
    rising = add_indicators(frame(np.arange(100.0, 400.0)), variant).tail(1).row(0, named=True)
    falling = add_indicators(frame(np.arange(400.0, 100.0, -1)), variant).tail(1).row(0, named=True)

    assert (rising["rsi"], falling["rsi"]) == (pytest.approx(100), pytest.approx(0))
    assert (rising["mfi"], falling["mfi"]) == (100, 0)
    assert (rising["stoch_k"], falling["stoch_k"]) == (100, 0)
    assert (rising["williams_r"], falling["williams_r"]) == (0, -100)
    assert (rising["adx"], falling["adx"]) == (pytest.approx(100), pytest.approx(100))
    assert (rising["plus_di"], rising["minus_di"]) == (pytest.approx(100), 0)
    assert (falling["plus_di"], falling["minus_di"]) == (0, pytest.approx(100))
    assert (rising["momentum"], falling["momentum"]) == (10, -10)
    assert rising["atr"] == pytest.approx(1) and rising["obv"] == 300 * 1000


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_volume_everything_weighted_by_it_is_null(variant):
    last = add_indicators(frame(np.arange(1.0, 61.0), spread=0.5, volume=0.0), variant).tail(1).row(0, named=True)

    assert (last["mfi"], last["cmf"], last["volume_ratio"], last["obv"]) == (None, None, None, 0)
    assert last["vwap_daily"] == (60.0 if variant == "wilder" else None)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_window_that_lost_its_volume_is_null_whatever_was_traded_before(variant):
    volume = np.r_[np.random.default_rng(4).uniform(1e3, 1e12, 50), np.zeros(25)]

    last = add_indicators(frame(np.arange(1.0, 76.0), spread=0.5, volume=volume), variant).tail(1).row(0, named=True)

    assert (last["mfi"], last["cmf"], last["volume_ratio"]) == (None, None, None)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("bars", [1, 2, 9, 13, 14, 15])
def test_short_symbols_have_every_column_and_null_where_the_history_is_missing(variant, bars):
    table = add_indicators(random_frame(1, bars), variant)

    assert table.columns[-len(OUTPUT_COLUMNS) :] == list(OUTPUT_COLUMNS) and table.height == bars
    assert table["sma_20"].null_count() == bars and table["percent_change"].null_count() == 1
    assert table["obv"].null_count() == table["vwap_daily"].null_count() == 0
    assert table["volume_ratio"].null_count() == min(bars, 9)


def test_no_bars_give_an_empty_table_with_every_column():
    table = add_indicators(random_frame(1, 5).clear(), "wilder")

    assert table.height == 0 and set(OUTPUT_COLUMNS) <= set(table.columns)
    assert {table.schema[name] for name in OUTPUT_COLUMNS} == {pl.Float64}


def test_small_values_by_hand():
    close = [10, 11, 10.5, 10.5, 12, 13, 12.5, 14, 15, 14, 16, 17, 18]
    volume = [100, 200, 150, 120, 300, 250, 180, 400, 350, 220, 500, 450, 600]
    table = add_indicators(frame(close, spread=1.0, volume=volume), "wilder")

    assert table["percent_change"].to_list()[:3] == [None, pytest.approx(10), pytest.approx(-0.5 / 11 * 100)]
    assert table["obv"].to_list()[:6] == [100, 300, 150, 150, 450, 700]
    assert table["momentum"].to_list()[9:] == [None, 6, 6, 7.5]
    assert table["roc"].to_list()[11:] == [None, pytest.approx(80)]
    assert table["volume_ratio"].to_list()[8:10] == [None, pytest.approx(220 / 227)]
    assert table["vwap_daily"].to_list()[:2] == [10, 11]
    assert add_indicators(frame(close, spread=1.0, volume=volume), "vendor")["vwap_daily"].to_list()[:2] == [
        10,
        pytest.approx((10 * 100 + 11 * 200) / 300),
    ]


def test_vendor_counts_the_first_bar_and_gives_equal_movements_to_the_falling_side():
    high = np.array([10.0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24])
    low = np.array([8.0, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 6])  # last bar: both sides move by 2
    close = np.full(14, 9.0)
    ours = indicator_arrays(close, high, low, close, np.ones(14), variant="vendor")
    ranges = sum(high - low)

    assert ours["atr"][13] == pytest.approx(ranges / 14)
    assert ours["plus_di"][13] == pytest.approx(100 * 12 / ranges)
    assert ours["minus_di"][13] == pytest.approx(100 * 2 / ranges)


@pytest.mark.parametrize("variant", VARIANTS)
def test_symbols_computed_together_equal_symbols_computed_alone(variant):
    parts = [
        random_frame(1, 250, asset_type="crypto", symbol="BTC/USDT"),
        random_frame(2, 3, asset_type="etf", symbol="AAA"),
        random_frame(3, 90, asset_type="stocks", symbol="AAA"),
        random_frame(4, 260, asset_type="stocks", symbol="AAB"),
    ]

    together = add_indicators(pl.concat(parts), variant, threads=3)

    assert_frame_equal(together, pl.concat([add_indicators(part, variant) for part in parts]), check_exact=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None])
@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_a_missing_or_infinite_value_is_refused_with_its_place(column, bad):
    bars = pl.concat([random_frame(1, 30), random_frame(2, 30, symbol="BBB")])
    values = bars[column].to_list()
    values[40] = bad

    with pytest.raises(BadBarsError, match="symbol BBB") as caught:
        add_indicators(bars.with_columns(pl.Series(column, values, dtype=pl.Float64)), "wilder")

    assert (caught.value.row, caught.value.column) == (41, column)


@pytest.mark.parametrize(
    "disorder",
    [
        lambda bars: bars.reverse(),
        lambda bars: pl.concat([bars, bars.tail(1)]),
        lambda bars: bars.sort("datetime"),
    ],
    ids=["backwards", "a bar twice", "symbols interleaved"],
)
def test_unsorted_or_doubled_bars_are_refused(disorder):
    bars = pl.concat([random_frame(1, 30), random_frame(2, 30, symbol="BBB")])

    with pytest.raises(FeatureError, match="not sorted"):
        add_indicators(disorder(bars), "wilder")


def test_the_result_holds_no_nan_and_keeps_the_input_columns_untouched():
    bars = random_frame(5, 300)
    table = add_indicators(bars, "wilder")

    assert_frame_equal(table.select(bars.columns), bars)
    assert not any(table[name].is_nan().any() or table[name].is_infinite().any() for name in OUTPUT_COLUMNS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_window_forgets_prices_that_left_it_however_large_they_were(variant):
    recent = random_frame(6, 260)
    earlier = frame(np.full(100, 1e9), volume=1e12)
    together = pl.concat([earlier, recent]).with_columns(datetime=frame(np.ones(360))["datetime"])

    shown = ["sma_20", "sma_50", "sma_200", "bollinger_middle", "bollinger_upper", "awesome_osc", "cci", "mfi", "cmf"]

    assert_frame_equal(
        add_indicators(together, variant).select(shown).tail(50),
        add_indicators(recent, variant).select(shown).tail(50),
        check_exact=True,
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_typical_price_that_differs_by_rounding_alone_did_not_move(variant):
    reach = np.random.default_rng(3).integers(1, 50, 60) / 100
    bars = frame(np.full(60, 10.1)).with_columns(
        high=pl.Series((10.1 + reach).round(2)), low=pl.Series((10.1 - reach).round(2))
    )
    typical = ((bars["high"] + bars["low"] + bars["close"]) / 3).tail(20)
    assert typical.n_unique() > 1  # the rounding is really there

    last = add_indicators(bars, variant).tail(1).row(0, named=True)

    assert (last["cci"], last["mfi"]) == (None, None)
    assert last["stoch_k"] == pytest.approx(50)


def test_money_flow_needs_one_bar_with_a_range_in_its_window():
    spread = np.zeros(60)
    spread[30] = 1.0  # close in the middle of this bar: its flow is 0, and defined
    table = add_indicators(frame(np.full(60, 10.0), spread=spread), "wilder")

    assert table["cmf"][29] is None
    assert table["cmf"].to_list()[30:50] == [0.0] * 20
    assert table["cmf"][50] is None

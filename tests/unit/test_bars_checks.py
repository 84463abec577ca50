"""Every fault of a bar ends as an error with file, row, column and remedy; sound bars come out canonical."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from market.bar_checks import bar_checks, key_checks
from market.bars import BAR_KEY, BAR_SCHEMA, check_bars
from market.errors import BadBarsError, ConfigError

NOW = datetime(2024, 3, 16, 12, tzinfo=UTC)
CALENDARS = {"stocks": "XNYS", "etf": "XNYS"}
DAYS = [datetime(2024, 3, day, tzinfo=UTC) for day in (11, 12, 13, 14, 15)]


def bar(symbol, at, *, asset_type="stocks", **values):
    sound = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 1000.0}
    return {"asset_type": asset_type, "symbol": symbol, "datetime": at, **sound, **values}


def frame_of(bars):
    return pl.DataFrame(bars, schema=BAR_SCHEMA)


def sound_bars():
    return [
        *(bar("AAPL", day) for day in DAYS),
        *(bar("SPY", day, asset_type="etf") for day in DAYS),
        *(bar("BTC/USDT", day, asset_type="crypto") for day in DAYS),
    ]


def check(bars, **given_):
    arguments = {"file": "bars.parquet", "now": NOW, "calendars": CALENDARS, "delay_minutes": 15, **given_}
    return check_bars(bars if isinstance(bars, pl.DataFrame) else frame_of(bars), **arguments)


def refused(bars, **given_):
    with pytest.raises(BadBarsError) as caught:
        check(bars, **given_)
    assert caught.value.file == "bars.parquet"
    assert caught.value.remedy
    return caught.value


def test_sound_bars_come_out_in_the_schema_sorted_by_key():
    checked = check(sound_bars())
    assert checked.schema == BAR_SCHEMA
    assert checked.height == 15
    assert checked["asset_type"].unique(maintain_order=True).to_list() == ["crypto", "etf", "stocks"]
    assert_frame_equal(checked, checked.sort(BAR_KEY))


def test_values_are_never_changed():
    bars = frame_of(sound_bars())
    assert_frame_equal(check(bars), bars.sort(BAR_KEY))


def test_checking_twice_changes_nothing():
    once = check(sound_bars())
    assert_frame_equal(check(once), once)


def test_symbols_become_canonical_and_sort_by_their_canonical_name():
    names = ["SOL-USD", "ethusdt", "BTCUSDT", "BTC/USD"]
    checked = check([bar(name, day, asset_type="crypto") for name in names for day in DAYS[:2]])
    assert checked["symbol"].to_list()[::2] == ["BTC/USD", "BTC/USDT", "ETH/USDT", "SOL/USD"]


def test_rows_ordered_by_date_across_symbols_are_in_order():
    bars = sorted(sound_bars(), key=lambda row: row["datetime"])
    assert_frame_equal(check(bars), check(sound_bars()))


def test_other_zones_units_and_widths_mean_the_same_bars():
    tokyo = frame_of(sound_bars()).with_columns(
        pl.col("datetime").dt.convert_time_zone("Asia/Tokyo").dt.cast_time_unit("ns"),
        pl.col("volume").cast(pl.Int64),
        pl.col("high", "low").cast(pl.Int32),
        pl.col("open").cast(pl.Decimal(10, 2)),
        pl.col("symbol", "asset_type").cast(pl.Categorical),
        extra=pl.lit("ignored"),
    )
    assert_frame_equal(check(tokyo), check(sound_bars()))


@pytest.mark.parametrize(("year", "says"), [("-250000", "before 1900"), ("+250000", "not closed and published")])
def test_stamps_of_impossible_years_are_refused_like_any_other(year, says):
    microseconds = int(year) * 365 * 86_400 * 1_000_000
    bars = frame_of(sound_bars()).with_columns(pl.lit(microseconds).cast(BAR_SCHEMA["datetime"]).alias("datetime"))
    assert says in refused(bars).message


def test_zero_volume_is_allowed():
    assert check([bar("AAPL", DAYS[0], volume=0.0)])["volume"].to_list() == [0.0]


def test_rounding_noise_of_adjusted_prices_passes_and_the_smallest_real_tick_does_not():
    nudged = math.nextafter(11.0, 12.0)
    assert check([bar("AAPL", DAYS[0], close=nudged)])["close"].to_list() == [nudged]
    assert refused([bar("AAPL", DAYS[0], close=11.0 * (1 + 1e-7))]).column == "close"


@pytest.mark.parametrize(
    ("change", "column", "says"),
    [
        ({"asset_type": None}, "asset_type", "asset_type is NULL"),
        ({"asset_type": "stock"}, "asset_type", "unknown asset class 'stock'"),
        ({"symbol": None}, "symbol", "symbol is NULL"),
        ({"symbol": ""}, "symbol", "no ticker"),
        ({"symbol": "A B"}, "symbol", "no ticker"),
        ({"datetime": None}, "datetime", "datetime is NULL"),
        ({"datetime": datetime(1890, 1, 2, tzinfo=UTC)}, "datetime", "before 1900"),
        ({"datetime": datetime(2024, 3, 12, 13, 30, tzinfo=UTC)}, "datetime", "not 00:00 UTC"),
        ({"datetime": datetime(2024, 3, 9, tzinfo=UTC)}, "datetime", "2024-03-09 00:00:00 UTC is no session"),
        ({"datetime": datetime(2024, 3, 18, tzinfo=UTC)}, "datetime", "not closed and published by 2024-03-16 12:00"),
        ({"datetime": datetime(9999, 1, 1, tzinfo=UTC)}, "datetime", "not closed and published"),
        ({"open": None}, "open", "open is NULL"),
        ({"high": math.nan}, "high", "high is nan"),
        ({"low": -math.inf}, "low", "low is -inf"),
        ({"close": math.inf}, "close", "close is inf"),
        ({"close": 0.0}, "close", "close is 0.0, not positive"),
        ({"low": -9.0}, "low", "low is -9.0, not positive"),
        ({"high": 8.0}, "high", "high 8.0 is below low 9.0"),
        ({"open": 11.5}, "open", "open 11.5 lies outside low 9.0 to high 11.0"),
        ({"close": 8.5}, "close", "close 8.5 lies outside low 9.0 to high 11.0"),
        ({"volume": None}, "volume", "volume is NULL"),
        ({"volume": math.nan}, "volume", "volume is nan"),
        ({"volume": math.inf}, "volume", "volume is inf"),
        ({"volume": -1.0}, "volume", "volume is -1.0, negative"),
    ],
)
def test_one_broken_row_is_named_with_its_column(change, column, says):
    bars = sound_bars()
    bars[2] |= change
    error = refused(bars)
    assert (error.row, error.column) == (3, column)
    assert says in error.message
    assert error.message.startswith(f"bars.parquet, row 3, column '{column}': ")


def test_the_first_row_and_the_number_of_rows_are_given():
    bars = sound_bars()
    for index in (4, 9, 12):
        bars[index]["close"] = -1.0
    error = refused(bars, first_row=2)
    assert error.row == 6
    assert "(3 rows like this)" in error.message


def test_a_bad_symbol_is_reported_at_its_first_row_with_all_its_rows():
    bars = [bar(symbol, day) for day in DAYS[:3] for symbol in ("AAPL", "A B", "C D")]
    error = refused(bars)
    assert (error.row, error.column) == (2, "symbol")
    assert "symbol 'A B' is no ticker" in error.message
    assert "(3 rows)" in error.message


def test_other_faults_are_mentioned_too():
    bars = sound_bars()
    bars[1]["close"] = math.nan
    bars[3]["volume"] = -5.0
    error = refused(bars)
    assert error.column == "close"
    assert "volume_negative from row 4 (1)" in error.message


def test_the_first_row_is_the_files_first_even_when_sorting_moves_it():
    bars = [bar("MSFT", DAYS[0], close=-1.0), bar("AAPL", DAYS[0], close=-2.0)]
    error = refused(bars)
    assert error.row == 1
    assert "close is -1.0" in error.message


def test_a_duplicate_names_both_rows_wherever_they_stand():
    bars = [*sound_bars(), bar("AAPL", DAYS[1])]
    error = refused(bars)
    assert (error.row, error.column) == (16, "datetime")
    assert "the same symbol and stamp as row 2" in error.message


def test_two_spellings_of_one_symbol_are_duplicates():
    bars = [bar(name, DAYS[0], asset_type="crypto") for name in ("BTCUSDT", "BTC/USDT")]
    assert "as row 1" in refused(bars).message


def test_the_same_ticker_in_two_classes_is_no_duplicate():
    assert check([bar("SPY", DAYS[0]), bar("SPY", DAYS[0], asset_type="etf")]).height == 2


def test_a_whole_file_written_seven_times_counts_its_copies():
    error = refused(sound_bars() * 7)
    assert error.row == 16
    assert f"({15 * 6} rows like this)" in error.message


def test_unordered_rows_of_a_symbol_are_an_error():
    bars = sound_bars()
    bars[1], bars[2] = bars[2], bars[1]
    error = refused(bars)
    assert (error.row, error.column) == (3, "datetime")
    assert "2024-03-12 00:00:00 UTC comes after 2024-03-13 00:00:00 UTC" in error.message
    assert "oldest first" in error.remedy


def test_newest_first_is_an_error_that_counts_all_rows():
    assert "(4 rows like this)" in refused([bar("AAPL", day) for day in reversed(DAYS)]).message


@pytest.mark.parametrize(
    ("asset_type", "day", "now", "allowed"),
    [
        ("stocks", 15, datetime(2024, 3, 15, 20, 14, tzinfo=UTC), False),
        ("stocks", 15, datetime(2024, 3, 15, 20, 15, tzinfo=UTC), True),
        ("crypto", 15, datetime(2024, 3, 15, 23, 59, tzinfo=UTC), False),
        ("crypto", 15, datetime(2024, 3, 16, tzinfo=UTC), True),
    ],
)
def test_a_bar_is_allowed_from_the_minute_it_is_known(asset_type, day, now, allowed):
    symbol = "BTC/USDT" if asset_type == "crypto" else "AAPL"
    bars = [bar(symbol, datetime(2024, 3, day, tzinfo=UTC), asset_type=asset_type)]
    if allowed:
        assert check(bars, now=now).height == 1
    else:
        assert refused(bars, now=now).column == "datetime"


def test_crypto_trades_on_days_without_sessions():
    assert check([bar("BTC/USDT", datetime(2024, 3, 9, tzinfo=UTC), asset_type="crypto")]).height == 1


@pytest.mark.parametrize("column", list(BAR_SCHEMA))
def test_a_missing_column_is_named(column):
    error = refused(frame_of(sound_bars()).drop(column))
    assert error.column == column
    assert "missing" in error.message


def test_a_missing_asset_class_says_what_to_write():
    error = refused(frame_of(sound_bars()).drop("asset_type"))
    assert "stocks or etf or crypto" in error.remedy


@pytest.mark.parametrize(
    ("column", "dtype", "remedy"),
    [
        ("datetime", pl.Datetime("us"), "time zone is missing"),
        ("datetime", pl.Date, "00:00 UTC"),
        ("datetime", pl.Int64, "with a time zone"),
        ("datetime", pl.String, "with a time zone"),
        ("close", pl.String, "write numbers"),
        ("volume", pl.Boolean, "write numbers"),
        ("symbol", pl.Int64, "write text"),
        ("asset_type", pl.Binary, "write text"),
        ("high", pl.Null, "write numbers"),
    ],
)
def test_a_column_of_another_type_is_refused_with_a_remedy(column, dtype, remedy):
    bars = frame_of(sound_bars())
    error = refused(bars.with_columns(pl.lit(None, dtype=dtype).alias(column)))
    assert error.column == column
    assert remedy in error.remedy


def test_a_file_without_rows_is_refused():
    assert "no rows" in refused(frame_of([])).message


def test_rows_keep_their_number_in_the_file_on_request():
    bars = [bar("MSFT", DAYS[0]), bar("AAPL", DAYS[0]), bar("MSFT", DAYS[1])]
    checked = check(bars, first_row=2, with_source_row=True)
    assert checked.select("symbol", "source_row").rows() == [("AAPL", 3), ("MSFT", 2), ("MSFT", 4)]


def test_a_class_without_a_calendar_is_a_configuration_error():
    with pytest.raises(ConfigError, match="etf"):
        check(sound_bars(), calendars={"stocks": "XNYS"})


def test_checks_have_names_of_their_own():
    names = [item.name for item in (*key_checks(), *bar_checks(NOW))]
    assert len(set(names)) == len(names) > 25


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_shuffle_that_keeps_each_symbols_order_gives_the_same_bars(data):
    rows = sound_bars()
    queues = {symbol: [row for row in rows if row["symbol"] == symbol] for symbol in ("AAPL", "SPY", "BTC/USDT")}
    picks = data.draw(st.permutations([row["symbol"] for row in rows]))
    assert_frame_equal(check([queues[symbol].pop(0) for symbol in picks]), check(rows))


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(15)))
def test_any_shuffle_that_breaks_a_symbols_order_is_refused_at_the_first_step_back(order):
    rows = [sound_bars()[i] for i in order]
    steps_back = []
    previous: dict[str, datetime] = {}
    for number, row in enumerate(rows, start=1):
        if row["symbol"] in previous and row["datetime"] < previous[row["symbol"]]:
            steps_back.append(number)
        previous[row["symbol"]] = row["datetime"]
    if steps_back:
        assert refused(rows).row == steps_back[0]
    else:
        assert check(rows).height == 15


@settings(max_examples=30, deadline=None)
@given(
    index=st.integers(0, 14),
    column=st.sampled_from(["open", "high", "low", "close", "volume"]),
    value=st.sampled_from([None, math.nan, math.inf, -math.inf, -1.0, -0.5]),
)
def test_no_damaged_number_anywhere_passes(index, column, value):
    rows = sound_bars()
    rows[index][column] = value
    error = refused(rows)
    assert (error.row, error.column) == (index + 1, column)

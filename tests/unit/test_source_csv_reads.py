"""Text files: every honest way of writing bars gives the same bars, and options say what cannot be recognised."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from configs.settings import load_settings
from configs.sources import CsvOptions
from market.bars import BAR_SCHEMA
from market.errors import BadBarsError, SourceError
from warehouse.sources.base import RawSource, open_source

NOW = datetime(2024, 3, 16, 12, tzinfo=UTC)
DAYS = [datetime(2024, 3, day, tzinfo=UTC) for day in (8, 11, 12)]
HEADER = "Date,Open,High,Low,Close,Volume"
BODY = "2024-03-08,10,11,9,10.5,1000\n2024-03-11,10.5,12,10,11.25,2000\n2024-03-12,11.25,11.5,11,11,0\n"
PLAIN = f"{HEADER}\n{BODY}"
SETTINGS = load_settings("local")


def bars_of(symbol="AAPL", asset_type="stocks"):
    return pl.DataFrame(
        {
            "asset_type": asset_type,
            "symbol": symbol,
            "datetime": DAYS,
            "open": [10.0, 10.5, 11.25],
            "high": [11.0, 12.0, 11.5],
            "low": [9.0, 10.0, 11.0],
            "close": [10.5, 11.25, 11.0],
            "volume": [1000.0, 2000.0, 0.0],
        },
        BAR_SCHEMA,
    )


@pytest.fixture
def write(tmp_path):
    def write_(text, name="AAPL.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_


def read(*paths, asset_type="stocks", **options):
    source = open_source(
        "csv", paths=paths, options=CsvOptions(**options), asset_type=asset_type, settings=SETTINGS, now=NOW
    )
    return source.read()


def test_the_usual_export_of_one_symbol_is_read_without_options(write):
    assert_frame_equal(read(write(PLAIN)), bars_of())


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "windows line ends": PLAIN.replace("\n", "\r\n"),
        "no newline at the end": PLAIN.rstrip("\n"),
        "blank lines": PLAIN.replace("\n", "\n\n") + "\n\n",
        "byte-order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
        "semicolons": PLAIN.replace(",", ";"),
        "tabs": PLAIN.replace(",", "\t"),
        "bars": PLAIN.replace(",", "|"),
        "quoted": "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in PLAIN.splitlines()),
        "blanks around": PLAIN.replace(",", " , "),
        "lower case": PLAIN.lower(),
        "angle brackets": PLAIN.replace(HEADER, "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>"),
        "one-letter names": PLAIN.replace(HEADER, "timestamp,o,h,l,c,v"),
        "other columns": "\n".join(f"x{i},{line},note" for i, line in enumerate(PLAIN.splitlines())),
        "adjusted close beside": "\n".join(
            f"{line},{'Adj Close' if i == 0 else 1}" for i, line in enumerate(PLAIN.splitlines())
        ),
        "compact dates": PLAIN.replace("2024-03-", "202403"),
        "slashed dates": PLAIN.replace("2024-03-", "2024/03/"),
        "zulu": PLAIN.replace(",10,11,", "T00:00:00Z,10,11,")
        .replace(",10.5,12", "T00:00:00Z,10.5,12")
        .replace(",11.25,11.5", "T00:00:00Z,11.25,11.5"),
    }.items(),
)
def test_the_same_bars_written_otherwise_are_the_same_bars(write, name, text):
    assert_frame_equal(read(write(text)), bars_of())


def stamped(*stamps, header=HEADER):
    rows = [line.split(",", 1)[1] for line in BODY.splitlines()]
    return header + "\n" + "".join(f"{stamp},{row}\n" for stamp, row in zip(stamps, rows, strict=True))


@pytest.mark.parametrize(
    "stamps",
    [
        ("2024-03-08 00:00:00-05:00", "2024-03-11 00:00:00-04:00", "2024-03-12 00:00:00-04:00"),
        ("2024-03-08 00:00:00-0500", "2024-03-11 00:00:00-0400", "2024-03-12 00:00:00-0400"),
        ("2024-03-08T00:00:00.000+00:00", "2024-03-11T00:00:00.000+00:00", "2024-03-12T00:00:00.000+00:00"),
        ("2024-03-08 00:00Z", "2024-03-11 00:00Z", "2024-03-12 00:00Z"),
        ("2024-03-08 00:00:00 UTC", "2024-03-11 00:00:00 UTC", "2024-03-12 00:00:00 UTC"),
        tuple(int(day.timestamp()) for day in DAYS),
        tuple(f"{int(day.timestamp())}.0" for day in DAYS),
        tuple(int(day.timestamp() * 1e3) for day in DAYS),
        tuple(int(day.timestamp() * 1e6) for day in DAYS),
        tuple(int(day.timestamp()) * 10**9 for day in DAYS),
    ],
)
def test_a_stock_s_stamp_at_midnight_of_its_own_zone_is_its_session(write, stamps):
    assert_frame_equal(read(write(stamped(*stamps))), bars_of())


def test_a_crypto_day_that_begins_at_another_midnight_is_not_moved(write):
    text = stamped("2024-03-08 00:00:00+01:00", "2024-03-11 00:00:00+01:00", "2024-03-12 00:00:00+01:00")
    with pytest.raises(BadBarsError, match="2024-03-07 23:00:00") as caught:
        read(write(text, "BTCUSDT.csv"), asset_type="crypto")
    assert (caught.value.row, caught.value.column) == (2, "datetime")


def test_naive_times_need_a_zone_and_midnight_in_it_is_the_session(write):
    path = write(stamped("2024-03-08 00:00:00", "2024-03-11 00:00:00", "2024-03-12 00:00:00"))
    with pytest.raises(BadBarsError, match="'2024-03-08 00:00:00' has no time zone") as caught:
        read(path)
    assert (caught.value.file, caught.value.row, caught.value.column) == (str(path), 2, "Date")
    assert "time_zone" in caught.value.remedy
    assert_frame_equal(read(path, time_zone="UTC"), bars_of())
    assert_frame_equal(read(path, time_zone="America/New_York"), bars_of())


def test_a_format_says_what_day_month_order_cannot(write):
    path = write(stamped("08.03.2024", "11.03.2024", "12.03.2024"))
    with pytest.raises(BadBarsError, match="reads in one way only"):
        read(path)
    assert_frame_equal(read(path, datetime_format="%d.%m.%Y"), bars_of())
    path = write(stamped("03/08/2024 00:00", "03/11/2024 00:00", "03/12/2024 00:00"))
    with pytest.raises(BadBarsError, match="no time zone"):
        read(path, datetime_format="%m/%d/%Y %H:%M")
    assert_frame_equal(read(path, datetime_format="%m/%d/%Y %H:%M", time_zone="UTC"), bars_of())


def test_an_epoch_unit_is_taken_as_said(write):
    text = stamped(*(int(day.timestamp() * 1000) for day in DAYS))
    assert_frame_equal(read(write(text), epoch_unit="ms"), bars_of())
    with pytest.raises(BadBarsError, match="numbers of s since 1970"):
        read(write(text), epoch_unit="s")


def test_numbers_with_a_decimal_comma(write):
    text = PLAIN.replace(",", ";").replace(".", ",")
    with pytest.raises(BadBarsError, match=r"'10,5' is no number \(2 rows like this\)|'10,5' is no number"):
        read(write(text))
    assert_frame_equal(read(write(text), decimal_comma=True), bars_of())
    grouped = text.replace(";1000", ";1.000")
    with pytest.raises(BadBarsError, match=r"'1\.000' is no number"):
        read(write(grouped), decimal_comma=True)


def test_adjustment_scales_four_prices_by_one_factor_and_leaves_volume(write):
    path = write("Date,Open,High,Low,Close,Adj Close,Volume\n2024-03-08,10,12,8,10,2.5,100\n")
    row = read(path, adjust=True).row(0, named=True)
    assert [row[name] for name in ("open", "high", "low", "close", "volume")] == [2.5, 3.0, 2.0, 2.5, 100.0]
    assert read(path)["close"].to_list() == [10.0]
    with pytest.raises(BadBarsError, match="'adjusted_close': the column is missing"):
        read(write(PLAIN), adjust=True)


def test_newest_first_is_an_option_and_rows_keep_their_lines(write):
    lines = PLAIN.splitlines()
    path = write("\n".join([lines[0], *reversed(lines[1:])]))
    with pytest.raises(BadBarsError, match="comes after"):
        read(path)
    assert_frame_equal(read(path, newest_first=True), bars_of())
    bad = write("\n".join([lines[0], lines[3].replace(",11,0", ",99,0"), lines[2], lines[1]]))
    with pytest.raises(BadBarsError) as caught:
        read(bad, newest_first=True)
    assert (caught.value.row, caught.value.column) == (2, "close")


def test_columns_are_named_by_configuration(write):
    path = write(PLAIN.replace(HEADER, "when,first,top,bottom,Close,contracts"))
    with pytest.raises(BadBarsError, match="'datetime': the column is missing"):
        read(path, delimiter=",")
    columns = {"datetime": "when", "open": "first", "high": "top", "low": "bottom", "volume": "contracts"}
    assert_frame_equal(read(path, columns=columns), bars_of())
    with pytest.raises(BadBarsError, match="no such column") as caught:
        read(path, columns=columns | {"volume": "Volume"})
    assert "contracts" in caught.value.remedy


def test_two_columns_that_may_be_one_of_ours_must_be_told_apart(write):
    text = "\n".join(
        f"{line},{'Timestamp' if i == 0 else int(DAYS[i - 1].timestamp())}" for i, line in enumerate(PLAIN.splitlines())
    )
    with pytest.raises(BadBarsError, match="'Date' and 'Timestamp' may both be datetime"):
        read(write(text))
    assert_frame_equal(read(write(text), columns={"datetime": "Timestamp"}), bars_of())


def test_our_own_name_is_preferred_to_a_usual_one(write):
    text = "\n".join(
        f"{line},{'datetime' if i == 0 else line.split(',')[0]}" for i, line in enumerate(PLAIN.splitlines())
    )
    assert_frame_equal(read(write(text.replace("2024-03-08,10", "rubbish,10"))), bars_of())


def test_a_file_without_a_header_line_gets_its_names_from_the_configuration(write):
    with pytest.raises(BadBarsError, match="splits") as caught:
        read(write(BODY))
    assert "header" in caught.value.remedy
    names = ("Date", "Open", "High", "Low", "Close", "Volume")
    assert_frame_equal(read(write(BODY), header=names), bars_of())
    assert_frame_equal(read(write(b"\xef\xbb\xbf" + BODY.encode()), header=names), bars_of())


def test_lines_before_the_header_can_be_skipped(write):
    assert_frame_equal(read(write(f"downloaded from somewhere\n\n{PLAIN}"), skip_lines=2), bars_of())


def test_other_encodings_are_read_when_named(write):
    text = PLAIN.replace(HEADER, HEADER + ",Société").replace(",1000\n", ",1000,é\n")
    assert_frame_equal(read(write(text.encode("cp1252")), encoding="cp1252"), bars_of())
    assert_frame_equal(read(write(PLAIN.encode("utf-16")), encoding="utf-16"), bars_of())


def test_gzip_is_known_by_its_bytes(write):
    assert_frame_equal(read(write(gzip.compress(PLAIN.encode()), "AAPL.csv.gz")), bars_of())
    assert_frame_equal(read(write(gzip.compress(PLAIN.encode()), "AAPL.csv")), bars_of())
    assert_frame_equal(read(write(gzip.compress(PLAIN.encode()) * 1, "AAPL.txt")), bars_of())


def test_class_and_symbol_come_from_columns_before_folders_and_names(write, tmp_path):
    text = "asset_type,ticker," + HEADER + "\n" + "".join(f"ETFs,spy,{line}\n" for line in BODY.splitlines())
    write(text, "crypto/NVDA.csv")
    assert_frame_equal(read(tmp_path), bars_of("SPY", "etf"))


@pytest.mark.parametrize(
    ("name", "asset_type", "symbol"),
    [
        ("stocks/aapl.csv", "stocks", "AAPL"),
        ("etf/SPY.csv", "etf", "SPY"),
        ("ETFs/2024/SPY.txt", "etf", "SPY"),
        ("crypto/BTCUSDT-1d-2024-03.csv", "crypto", "BTC/USDT"),
        ("crypto/eth-usd_daily.csv", "crypto", "ETH/USD"),
        ("asset_type=crypto/symbol=BTC%2FEUR/part-0.csv", "crypto", "BTC/EUR"),
        ("crypto/stocks/BRK-B.csv", "stocks", "BRK-B"),
    ],
)
def test_a_file_s_place_says_its_class_and_symbol(write, tmp_path, name, asset_type, symbol):
    write(PLAIN, f"data/{name}")
    bars = read(tmp_path / "data", asset_type=None)
    assert_frame_equal(bars, bars_of(symbol, asset_type))


@pytest.mark.parametrize("name", ["BTCUSDT-1h-2024-03.csv", "BTCUSDT_60min.csv"])
def test_a_name_can_say_that_bars_are_hourly(write, name):
    source = open_source("csv", paths=[write(PLAIN, name)], asset_type="crypto", settings=SETTINGS, now=NOW)
    (part,) = source.raw()
    assert part.frame["interval"].unique().to_list() == ["1h"]
    assert part.frame["symbol"].unique().to_list() == ["BTCUSDT"]
    with pytest.raises(BadBarsError, match="not all bars are daily"):
        source.read()


@pytest.mark.parametrize("name", ["BTCUSDT-4h.csv", "EURUSD_15m.csv", "AAPL weekly.csv", "AAPL_1mo_2024.csv"])
def test_bars_of_other_lengths_are_refused_by_their_name(write, name):
    with pytest.raises(BadBarsError, match="only those of a day or an hour") as caught:
        read(write(PLAIN, name))
    assert caught.value.remedy


def test_a_column_says_the_interval_of_each_bar(write):
    lines = PLAIN.splitlines()
    text = "\n".join(f"{line},{'timeframe' if i == 0 else '1h' if i == 2 else '1d'}" for i, line in enumerate(lines))
    source = open_source("csv", paths=[write(text)], asset_type="stocks", settings=SETTINGS, now=NOW)
    assert source.raw()[0].frame["interval"].to_list() == ["1d", "1h", "1d"]


def test_a_folder_above_the_given_one_says_nothing(write, tmp_path):
    write(PLAIN, "crypto/mine/AAPL.csv")
    assert_frame_equal(read(tmp_path / "crypto" / "mine"), bars_of())
    with pytest.raises(BadBarsError, match="nothing says the asset class"):
        read(tmp_path / "crypto" / "mine", asset_type=None)


def test_folders_are_read_whole_and_hidden_and_other_files_left_out(write, tmp_path):
    for name in ("b/MSFT.csv", "a/AAPL.csv", "a/deep/IBM.csv.gz", "SPY.txt"):
        text = gzip.compress(PLAIN.encode()) if name.endswith("gz") else PLAIN
        write(text, f"data/{name}")
    write("no table", "data/README.md")
    write("no table", "data/.hidden.csv")
    write("no table", "data/.git/x.csv")
    bars = read(tmp_path / "data")
    assert bars["symbol"].unique().sort().to_list() == ["AAPL", "IBM", "MSFT", "SPY"]
    assert bars.height == 12


def test_a_link_to_a_folder_is_followed_once(write, tmp_path):
    write(PLAIN, "elsewhere/AAPL.csv")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data")
    assert_frame_equal(read(tmp_path / "data"), bars_of())


def test_raw_bars_are_handed_on_unchecked_with_their_lines(write, tmp_path):
    write(PLAIN.replace(",12,", ",-12,").replace("\n2024-03-12", "\n\n2024-03-12"), "stocks/AAPL.csv")
    write(PLAIN, "crypto/BTCUSDT.csv")
    source = open_source("csv", paths=[tmp_path], settings=SETTINGS, now=NOW)
    assert isinstance(source, RawSource)
    assert [Path(part.file).name for part in source.raw()] == ["BTCUSDT.csv", "AAPL.csv"]
    (part,) = source.raw("stocks")
    assert part.frame["source_row"].to_list() == [2, 3, 5]
    assert part.frame["high"].to_list() == [11.0, -12.0, 11.5]


def test_a_class_that_is_not_there_is_an_error(write):
    source = open_source("csv", paths=[write(PLAIN)], asset_type="stocks", settings=SETTINGS, now=NOW)
    with pytest.raises(SourceError, match="no crypto bars, only stocks"):
        source.read("crypto")


PRICES = st.floats(min_value=1e-6, max_value=1e6)


@hypothesis_settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(PRICES, PRICES, PRICES, PRICES, st.floats(0, 1e12)), min_size=3, max_size=3),
    order=st.permutations(["datetime", "symbol", "asset_type", "open", "high", "low", "close", "volume"]),
    separator=st.sampled_from(",;\t|"),
    dates=st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y-%m-%dT%H:%M:%SZ", "%s"]),
)
def test_written_bars_come_back_to_the_bit(write, rows, order, separator, dates):
    frame = pl.DataFrame(
        [
            {
                "asset_type": "etf",
                "symbol": "SPY",
                "datetime": day,
                "open": o,
                "high": max(o, h, low, c),
                "low": min(o, h, low, c),
                "close": c,
                "volume": v,
            }
            for day, (o, h, low, c, v) in zip(DAYS, rows, strict=True)
        ],
        BAR_SCHEMA,
    )
    stamps = (
        pl.col("datetime").dt.epoch("s").cast(pl.String) if dates == "%s" else pl.col("datetime").dt.to_string(dates)
    )
    text = frame.with_columns(datetime=stamps).select(order).write_csv(separator=separator)
    assert_frame_equal(read(write(text)), frame, check_exact=True)

"""Parquet files: every file is checked on its own, and a fault anywhere means no bars at all."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from configs.settings import load_settings
from market.bars import BAR_KEY, BAR_SCHEMA
from market.errors import BadBarsError, SourceError, TradeHitsError
from warehouse.sources.base import open_source

NOW = datetime(2024, 3, 16, 12, tzinfo=UTC)
DAYS = [datetime(2024, 3, day, tzinfo=UTC) for day in (11, 12, 13, 14, 15)]


def bars_of(symbol, *, asset_type="stocks", days=DAYS, **values):
    sound = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 1000.0} | values
    return pl.DataFrame(
        [{"asset_type": asset_type, "symbol": symbol, "datetime": day, **sound} for day in days], BAR_SCHEMA
    )


@pytest.fixture
def write(tmp_path):
    def write_(frame, name="bars.parquet"):
        path = tmp_path / name
        if isinstance(frame, pa.Table):
            pq.write_table(frame, path)
        elif isinstance(frame, bytes):
            path.write_bytes(frame)
        else:
            frame.write_parquet(path)
        return path

    return write_


def read(*paths, asset_type=None):
    return open_source("parquet", paths=paths, settings=load_settings("local"), now=NOW).read(asset_type)


def test_one_file_comes_out_canonical(write):
    frame = pl.concat([bars_of("btcusdt", asset_type="crypto"), bars_of("aapl"), bars_of("SPY", asset_type="etf")])
    bars = read(write(frame.with_columns(extra=pl.lit("ignored"))))
    assert bars.schema == BAR_SCHEMA
    assert bars["symbol"].unique(maintain_order=True).to_list() == ["BTC/USDT", "SPY", "AAPL"]


def test_one_class_can_be_read_alone_and_a_missing_one_is_an_error(write):
    path = write(pl.concat([bars_of("AAPL"), bars_of("SPY", asset_type="etf")]))
    assert read(path, asset_type="etf")["symbol"].unique().to_list() == ["SPY"]
    with pytest.raises(SourceError, match="no crypto bars, only etf, stocks"):
        read(path, asset_type="crypto")


def test_a_class_and_a_symbol_may_be_spread_over_files(write):
    first = write(pl.concat([bars_of("MSFT"), bars_of("AAPL", days=DAYS[:2])]), "a.parquet")
    second = write(bars_of("AAPL", days=DAYS[2:]), "b.parquet")
    together = write(pl.concat([bars_of("AAPL"), bars_of("MSFT")]), "c.parquet")
    assert_frame_equal(read(first, second), read(together))
    assert_frame_equal(read(second, first), read(together))


def test_a_key_in_two_files_names_both_files_and_rows(write):
    first = write(pl.concat([bars_of("MSFT"), bars_of("AAPL")]), "a.parquet")
    second = write(bars_of("AAPL", days=DAYS[3:], close=10.6), "b.parquet")
    with pytest.raises(BadBarsError) as caught:
        read(first, second)
    assert (caught.value.file, caught.value.row) == (str(second), 1)
    assert f"also in {first}, row 9 (2 such rows)" in caught.value.message


def test_the_same_file_twice_is_refused(write):
    path = write(bars_of("AAPL"))
    with pytest.raises(BadBarsError, match="5 such rows"):
        read(path, path)


def test_two_spellings_in_two_files_are_one_key(write):
    first = write(bars_of("BTCUSDT", asset_type="crypto"), "a.parquet")
    second = write(bars_of("BTC-USDT", asset_type="crypto"), "b.parquet")
    with pytest.raises(BadBarsError, match=r"BTC/USDT .* also in"):
        read(first, second)


def test_a_fault_in_the_last_file_returns_nothing_and_names_file_row_and_column(write):
    good = write(bars_of("AAPL"), "good.parquet")
    bad = write(pl.concat([bars_of("MSFT"), bars_of("IBM", days=DAYS[:1], close=-1.0)]), "bad.parquet")
    with pytest.raises(BadBarsError) as caught:
        read(good, bad, asset_type="stocks")
    assert (caught.value.file, caught.value.row, caught.value.column) == (str(bad), 6, "close")
    assert caught.value.remedy


@pytest.mark.parametrize("column", list(BAR_SCHEMA))
def test_a_missing_column_is_named_with_its_file(write, column):
    path = write(bars_of("AAPL").drop(column))
    with pytest.raises(BadBarsError) as caught:
        read(path)
    assert (caught.value.file, caught.value.column) == (str(path), column)


def test_a_file_of_other_columns_is_a_missing_column(write):
    with pytest.raises(BadBarsError, match="'asset_type': the column is missing"):
        read(write(pl.DataFrame({"x": [1]})))


def test_a_file_without_rows_is_refused(write):
    with pytest.raises(BadBarsError, match="no rows"):
        read(write(bars_of("AAPL").clear()))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"symbol,close\nAAPL,1\n", "no parquet file"),
        (b"PK\x03\x04 a zip", "no parquet file"),
        (b"PAR1 and then nothing", "cut off"),
        (b"PAR1PAR1", "damaged"),
        (b"PAR1" + b"\0" * 100 + b"PAR1", "damaged"),
        (b"PARE" + b"\0" * 100 + b"PARE", "encrypted"),
    ],
)
def test_what_is_no_parquet_file_is_refused_by_name(write, content, says):
    path = write(content)
    with pytest.raises(SourceError, match=says) as caught:
        read(path)
    assert str(path) in caught.value.message
    assert caught.value.remedy


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        read(tmp_path / "nowhere.parquet")
    with pytest.raises(SourceError, match=r"holds no \.parquet or \.pq file"):
        read(tmp_path)


def test_no_file_at_all_is_refused():
    with pytest.raises(SourceError, match="needs a file"):
        read()


def test_a_cut_off_file_is_refused(write):
    whole = write(bars_of("AAPL")).read_bytes()
    with pytest.raises(SourceError, match="cut off"):
        read(write(whole[:-100]))


def test_random_damage_never_escapes_as_anything_but_a_named_error(write):
    whole = write(pl.concat([bars_of(f"SYM{i}") for i in range(50)])).read_bytes()
    generator = random.Random(5)
    for _ in range(80):
        damaged = bytearray(whole)
        for _ in range(generator.randint(1, 20)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        try:
            read(write(bytes(damaged)))
        except TradeHitsError as error:
            assert isinstance(error, SourceError)


def arrow_bars(stamps):
    count = len(stamps)
    return pa.table(
        {
            "asset_type": pa.array(["stocks"] * count).dictionary_encode(),
            "symbol": pa.array(["AAPL"] * count).dictionary_encode(),
            "datetime": stamps,
            "open": pa.array([Decimal("10.00")] * count, pa.decimal256(50, 2)),
            "high": pa.array([11] * count, pa.int32()),
            "low": pa.array([9.0] * count, pa.float32()),
            "close": pa.array([Decimal("10.50")] * count, pa.decimal128(20, 2)),
            "volume": pa.array([1000] * count, pa.uint64()),
        }
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "+00:00", "+05:30", "Etc/UTC", "America/New_York", "Asia/Tokyo"])
def test_any_zone_unit_and_width_of_numbers_means_the_same_bars(write, unit, zone):
    stamps = pa.array([int(day.timestamp()) for day in DAYS], pa.timestamp("s", "UTC")).cast(pa.timestamp(unit, zone))
    assert_frame_equal(read(write(arrow_bars(stamps))), bars_of("AAPL"))


def test_midnight_of_another_zone_is_no_session_date(write):
    tokyo = timezone(timedelta(hours=9))
    stamps = pa.array([day.replace(tzinfo=tokyo) for day in DAYS], pa.timestamp("us", "+09:00"))
    with pytest.raises(BadBarsError, match="2024-03-10 15:00:00 UTC is not 00:00 UTC"):
        read(write(arrow_bars(stamps)))


@pytest.mark.parametrize(
    ("stamps", "remedy"),
    [
        (pa.array([day.replace(tzinfo=None) for day in DAYS], pa.timestamp("us")), "time zone is missing"),
        (pa.array([day.date() for day in DAYS]), "00:00 UTC"),
        (pa.array([day.isoformat() for day in DAYS]), "with a time zone"),
    ],
)
def test_stamps_without_a_zone_are_refused_with_a_remedy(write, stamps, remedy):
    with pytest.raises(BadBarsError) as caught:
        read(write(arrow_bars(stamps)))
    assert caught.value.column == "datetime"
    assert remedy in caught.value.remedy


def test_files_are_read_once_for_all_classes(write):
    path = write(pl.concat([bars_of("AAPL"), bars_of("SPY", asset_type="etf")]))
    source = open_source("parquet", paths=[path], settings=load_settings("local"), now=NOW)
    stocks = source.read("stocks")
    path.unlink()
    assert_frame_equal(pl.concat([source.read("etf"), stocks]), source.read().sort(BAR_KEY))


def test_a_folder_is_read_whole_in_the_order_of_names(write, tmp_path):
    for name, symbol in (("b/c/msft.parquet", "MSFT"), ("a.pq", "AAPL"), ("b/ibm.parquet", "IBM")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(bars_of(symbol), name)
    (tmp_path / "b" / "_SUCCESS").touch()
    (tmp_path / "b" / ".ibm.parquet.crc").write_bytes(b"no parquet")
    source = open_source("parquet", paths=[tmp_path], settings=load_settings("local"), now=NOW)
    assert [part.file for part in source.raw()] == [
        str(tmp_path / name) for name in ("a.pq", "b/c/msft.parquet", "b/ibm.parquet")
    ]
    assert source.read()["symbol"].unique(maintain_order=True).to_list() == ["AAPL", "IBM", "MSFT"]


def test_partitions_stand_for_columns_that_files_lack(write, tmp_path):
    for asset_type, symbol in (("crypto", "BTC%2FUSDT"), ("stocks", "AAPL")):
        folder = f"asset_type={asset_type}/symbol={symbol}"
        (tmp_path / folder).mkdir(parents=True)
        write(bars_of("?").drop("asset_type", "symbol"), f"{folder}/part-0.parquet")
    bars = read(tmp_path)
    assert bars.schema == BAR_SCHEMA
    assert bars.select("asset_type", "symbol").unique().sort("symbol").rows() == [
        ("stocks", "AAPL"),
        ("crypto", "BTC/USDT"),
    ]


def test_a_file_s_own_columns_count_more_than_its_folders(write, tmp_path):
    (tmp_path / "asset_type=crypto" / "symbol=X").mkdir(parents=True)
    write(bars_of("SPY", asset_type="etf"), "asset_type=crypto/symbol=X/bars.parquet")
    assert read(tmp_path).select("asset_type", "symbol").unique().rows() == [("etf", "SPY")]


def test_the_caller_s_class_is_that_of_files_that_say_nothing(write):
    path = write(bars_of("SPY").drop("asset_type"))
    with pytest.raises(BadBarsError, match="'asset_type': the column is missing"):
        read(path)
    source = open_source("parquet", paths=[path], asset_type="etf", settings=load_settings("local"), now=NOW)
    assert source.read()["asset_type"].unique().to_list() == ["etf"]


def test_raw_bars_of_one_class_keep_rows_of_no_class(write):
    frame = pl.concat([bars_of("AAPL"), bars_of("SPY", asset_type="etf"), bars_of("X", asset_type="bonds")])
    source = open_source("parquet", paths=[write(frame)], settings=load_settings("local"), now=NOW)
    (part,) = source.raw("etf")
    assert part.frame["symbol"].unique(maintain_order=True).to_list() == ["SPY", "X"]
    assert [raw.frame.height for raw in source.raw()] == [15]

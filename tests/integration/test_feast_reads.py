"""Whole-table and online reads through Feast give the stored numbers, bit for bit."""

import math
import sqlite3
import struct
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from configs.settings import load_settings
from feature_repo import store as feast_store
from feature_repo.publication import feast_files
from feature_repo.services import FEATURE_VIEW, INTERACTIONS, KEYS, SERVICES, feature_names
from market.errors import FeatureError, MixedVariantError
from tests.integration.feast_rows import SYMBOLS, bars, put, with_features, with_labels

FEATURES = with_features(bars())


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("feast_reads")))
        settings = load_settings("test")
    put(settings, FEATURES)
    feast_store.apply(settings)
    feast_store.materialize(settings)
    return settings


@pytest.fixture(scope="module")
def store(settings):
    return feast_store.open_store(settings)


def expected_row(row: dict, service: str) -> list[float | None]:
    """Features of one stored row, the interactions by the contract's formulas."""

    def value(name):
        if name not in INTERACTIONS:
            return None if row[name] is None else float(row[name])
        left, right = (row[column] for column in INTERACTIONS[name])
        if left is None or right is None:
            return None
        if name == "adx_trend_interaction":
            return left * (1 if right == 1 else -1)
        return left * right

    return [value(name) for name in feature_names(service)]


def bits(values):
    return [None if value is None else struct.pack("<d", value) for value in values]


def keyed_bits(frame: pl.DataFrame, service: str) -> dict:
    names = feature_names(service)
    return {
        (row["asset_type"], row["symbol"], row["datetime"], row["bar_known_at"]): bits(row[name] for name in names)
        for row in frame.iter_rows(named=True)
    }


def stored_bits(frame: pl.DataFrame, service: str) -> dict:
    return {tuple(row[key] for key in KEYS): bits(expected_row(row, service)) for row in frame.iter_rows(named=True)}


@pytest.mark.parametrize("asset_type", ["stocks", "etf", "crypto"])
@pytest.mark.parametrize("service", SERVICES)
def test_whole_table_reads_equal_the_stored_rows_and_the_interactions_by_hand(settings, store, service, asset_type):
    frame = feast_store.read_features(settings, service, asset_type, store=store)
    assert keyed_bits(frame, service) == stored_bits(FEATURES.filter(pl.col("asset_type") == asset_type), service)
    assert frame.columns == [*KEYS, *feature_names(service)]
    assert {frame.schema[name] for name in feature_names(service)} == {pl.Float64}
    assert frame.schema["datetime"] == frame.schema["bar_known_at"] == pl.Datetime("us", "UTC")
    assert frame.select(KEYS).equals(frame.select(KEYS).sort("symbol", "datetime"))


def test_interactions_of_a_whole_table_are_null_exactly_where_an_input_is(settings, store):
    frame = feast_store.read_features(settings, "default", "crypto", store=store)
    inputs_missing = frame.select(pl.col("rsi").is_null() | pl.col("volume_ratio").is_null()).to_series()
    assert inputs_missing.sum() > 0
    assert (frame["rsi_volume_interaction"].is_null() == inputs_missing).all()
    assert not any(math.isnan(value) for value in frame["rsi_volume_interaction"].drop_nulls())


def test_whole_table_reads_do_not_depend_on_the_chunk_size(settings, store, monkeypatch):
    whole = feast_store.read_features(settings, "default", "crypto", store=store)
    monkeypatch.setattr("feature_repo.reading.CHUNK_ROWS", 7)
    assert feast_store.read_features(settings, "default", "crypto", store=store).equals(whole)


@pytest.mark.parametrize("service", SERVICES)
def test_the_newest_bar_online_equals_its_stored_row_bit_for_bit(settings, store, service):
    for asset_type in ("stocks", "etf", "crypto"):
        symbols = [symbol for kind, symbol in SYMBOLS if kind == asset_type]
        online = feast_store.read_online(settings, service, asset_type, symbols, store=store)
        newest = FEATURES.filter(pl.col("asset_type") == asset_type).group_by("symbol").last()
        assert keyed_bits(online.rows, service) == stored_bits(newest, service)
        assert online.rows.columns == [*KEYS, *feature_names(service)]
        assert online.missing == ()


def test_online_and_whole_table_reads_agree(settings, store):
    table = feast_store.read_features(settings, "default", "stocks", store=store).group_by("symbol").last()
    online = feast_store.read_online(settings, "default", "stocks", ["AAPL", "GONE"], store=store).rows
    assert online.sort("symbol").equals(table.sort("symbol").select(online.columns))


def test_materialize_spans_replayed_and_live_symbols(settings):
    loaded = feast_store.materialize(settings)
    assert loaded.symbols == len(SYMBOLS)
    assert loaded.start < datetime(2005, 5, 16, 21, 15, tzinfo=UTC)
    assert loaded.end > datetime(2024, 7, 1, tzinfo=UTC)
    assert loaded.end - loaded.start < timedelta(days=365 * 20)


def test_online_rows_carry_their_bar_so_that_freshness_can_be_checked(settings, store):
    rows = feast_store.read_online(settings, "default", "crypto", ["BTC/USDT"], store=store).rows
    assert rows["datetime"].to_list() == [datetime(2024, 6, 30, tzinfo=UTC)]
    assert rows["bar_known_at"].to_list() == [datetime(2024, 7, 1, tzinfo=UTC)]


def test_symbols_come_back_in_the_order_asked_and_unknown_ones_are_named(settings, store):
    online = feast_store.read_online(settings, "default", "stocks", ["GONE", "NOPE", "AAPL", "SPY"], store=store)
    assert online.rows["symbol"].to_list() == ["GONE", "AAPL"]
    assert online.missing == ("NOPE", "SPY")


def test_only_unknown_symbols_or_none_give_an_empty_frame_with_the_same_columns(settings, store):
    unknown = feast_store.read_online(settings, "default", "etf", ["AAPL"], store=store)
    nothing = feast_store.read_online(settings, "default", "etf", [], store=store)
    known = feast_store.read_online(settings, "default", "etf", ["SPY"], store=store)
    assert unknown.missing == ("AAPL",)
    assert nothing.missing == ()
    assert unknown.rows.height == nothing.rows.height == 0
    assert unknown.rows.schema == nothing.rows.schema == known.rows.schema


def test_labels_are_read_by_exact_key_with_null_for_the_last_bar(settings, store):
    labels = feast_store.read_labels(settings, "stocks", store=store)
    expected = with_labels(bars()).filter(pl.col("asset_type") == "stocks").drop("created_timestamp")
    assert labels.equals(expected.select(labels.columns))
    assert labels.columns == [*KEYS, "target_direction", "forward_return_pct", "label_known_at", "data_split"]
    assert labels.filter(pl.col("target_direction").is_null()).height == 2


def test_reading_prints_nothing(settings, capsys):
    feast_store.materialize(settings)
    feast_store.read_features(settings, "default", "etf")
    captured = capsys.readouterr()
    assert captured.out == ""


@pytest.fixture
def own_settings():
    return load_settings("test")


def test_another_builds_rows_are_read_at_once_also_by_an_open_store(own_settings):
    keys = bars({("etf", "SPY"): (datetime(2024, 1, 1, tzinfo=UTC), 30)})
    put(own_settings, with_features(keys, seed=1))
    feast_store.apply(own_settings)
    store = feast_store.open_store(own_settings)
    for seed in (2, 3, 4):
        rows = with_features(keys, seed=seed)
        put(own_settings, rows)
        frame = feast_store.read_features(own_settings, "default", "etf", store=store)
        assert keyed_bits(frame, "default") == stored_bits(rows, "default")
        feast_store.materialize(own_settings, store=store)
        online = feast_store.read_online(own_settings, "default", "etf", ["SPY"], store=store).rows
        assert keyed_bits(online, "default") == stored_bits(rows.tail(1), "default")


def test_more_symbols_than_one_arrow_batch_are_all_loaded(own_settings):
    symbols = {("crypto", f"C{number:04d}/USDT"): (datetime(2024, 1, 1, tzinfo=UTC), 1) for number in range(2_100)}
    rows = with_features(bars(symbols))
    put(own_settings, rows)
    feast_store.apply(own_settings)
    assert feast_store.materialize(own_settings).symbols == 2_100
    online = feast_store.read_online(own_settings, "validated_16", "crypto", [symbol for _, symbol in symbols])
    assert online.missing == ()
    assert keyed_bits(online.rows, "validated_16") == stored_bits(rows, "validated_16")


def test_stamps_do_not_depend_on_the_time_zone_of_writer_and_reader(own_settings, monkeypatch):
    # Feast's own event timestamps move by an hour here: 02:30 does not exist in Berlin on that night.
    rows = with_features(bars({("stocks", "AAPL"): (datetime(2024, 3, 30, tzinfo=UTC), 1)})).with_columns(
        pl.lit(datetime(2024, 3, 31, 2, 30, tzinfo=UTC)).cast(pl.Datetime("us", "UTC")).alias("bar_known_at")
    )
    rows = rows.with_columns(pl.col("bar_known_at").alias("known_at"))
    put(own_settings, rows)
    try:
        monkeypatch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        feast_store.apply(own_settings)
        feast_store.materialize(own_settings)
        whole = feast_store.read_features(own_settings, "default", "stocks")
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        online = feast_store.read_online(own_settings, "default", "stocks", ["AAPL"])
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert keyed_bits(whole, "default") == stored_bits(rows, "default")
    assert keyed_bits(online.rows, "default") == stored_bits(rows, "default")


def test_rows_of_another_indicator_variant_are_refused(own_settings):
    rows = with_features(bars())
    put(own_settings, rows.with_columns(pl.lit("vendor").alias("indicator_variant")))
    feast_store.apply(own_settings)
    feast_store.materialize(own_settings)
    with pytest.raises(MixedVariantError, match="vendor"):
        feast_store.read_features(own_settings, "default", "etf")
    with pytest.raises(MixedVariantError, match="vendor"):
        feast_store.read_online(own_settings, "default", "etf", ["SPY"])


def test_reading_before_anything_was_applied_says_what_to_run(own_settings):
    with pytest.raises(FeatureError, match="tradehits features"):
        feast_store.read_online(own_settings, "default", "etf", ["SPY"])


def test_reading_before_anything_was_published_says_what_to_run(own_settings):
    feast_store.apply(own_settings)
    with pytest.raises(FeatureError, match="no published walk_forward_features"):
        feast_store.read_features(own_settings, "default", "etf")
    assert feast_store.read_online(own_settings, "default", "etf", ["SPY"]).missing == ("SPY",)


def test_an_empty_table_cannot_be_loaded(own_settings):
    put(own_settings, with_features(bars()).clear())
    feast_store.apply(own_settings)
    with pytest.raises(FeatureError, match="no rows"):
        feast_store.materialize(own_settings)


def test_a_registry_cut_short_is_reported_not_guessed_at(own_settings):
    files = feast_files(own_settings)
    files.directory.mkdir(parents=True)
    sqlite3.connect(files.registry).execute("CREATE TABLE unrelated (x INTEGER)").connection.close()
    with pytest.raises(FeatureError, match="incomplete"):
        feast_store.open_store(own_settings)


def test_a_copied_home_does_not_go_on_reading_the_old_one(own_settings, tmp_path, monkeypatch):
    put(own_settings, FEATURES)
    feast_store.apply(own_settings)
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path / "copy"))
    copy = load_settings("test")
    copied = feast_files(copy).directory
    copied.mkdir(parents=True)
    for path in feast_files(own_settings).directory.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    with pytest.raises(FeatureError, match="another place"):
        feast_store.read_features(copy, "default", "etf")
    feast_store.apply(copy)
    assert feast_store.read_features(copy, "default", "etf").height == 40
    assert feast_store.open_store(copy).get_feature_view(FEATURE_VIEW).batch_source.path.startswith(str(copied))

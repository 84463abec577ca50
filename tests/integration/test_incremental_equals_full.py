"""Appending bars day by day leaves the tables of one full build, however they arrive and whatever interrupts."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import tests.integration.incremental_market as market
import warehouse.clean
import warehouse.duckdb
import warehouse.duckdb_apply
import warehouse.features
from configs.settings import Settings, load_settings
from market.errors import DuplicateKeyError
from tests.integration.incremental_market import CLEAN, FEATURES, FIRST_DAY, assert_same_tables, rows
from warehouse.warehouse import Warehouse, Write

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("home")))
        return load_settings("test")


def in_variant(settings: Settings, variant: str) -> Settings:
    return settings.model_copy(update={"indicators": settings.indicators.model_copy(update={"variant": variant})})


def full_build(settings: Settings, bars: pl.DataFrame) -> Warehouse:
    built = market.scratch(settings)
    market.ingest(built, settings, bars)
    market.features(built, settings)
    return built


def numbers(of: Warehouse, table: str) -> list[bool]:
    """Whether each change or build so far was full, in order."""
    number = "change_number" if table == "clean_builds" else "build_number"
    found = of.query(f"SELECT is_full FROM `tradehits.{table}` ORDER BY {number}")
    return found.column(0).to_pylist()


def study(settings: Settings, days: int, *, seed: int) -> None:
    """`days` days arrive singly: histories beyond, at and below what is read back, a new symbol and a sparse one."""
    lengths = {"A/USD": 1700 + days, "B/USD": 1044 + days // 2, "C/USD": 170 + days, "D/USD": days // 2, "E/USD": 3600}
    end_day = 4000 + days
    bars = market.bars(lengths, end_day=end_day, seed=seed)
    bars = bars.filter((pl.col("symbol") != "E/USD") | (pl.col("datetime").dt.ordinal_day() % 3 == 0))
    first = FIRST_DAY + timedelta(days=end_day - days)
    arriving = market.scratch(settings)
    market.ingest(arriving, settings, bars.filter(pl.col("datetime") <= first))
    market.features(arriving, settings)
    for number, batch in enumerate(market.arrivals(bars.filter(pl.col("datetime") > first), seed=seed)):
        market.ingest(arriving, settings, batch)
        if number % 3 != 1:
            market.features(arriving, settings)
    market.features(arriving, settings)
    assert_same_tables(arriving, full_build(settings, bars))
    for table in ("clean_builds", "feature_builds"):
        assert numbers(arriving, table)[0]
        assert not any(numbers(arriving, table)[1:]), "every later one was incremental"


def test_24_days_in_random_order_with_late_and_corrected_bars_equal_one_full_build(settings: Settings) -> None:
    study(settings, 24, seed=1)


def test_the_vendor_s_indicators_go_on_the_same_way(settings: Settings) -> None:
    study(in_variant(settings, "vendor"), 6, seed=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("variant", ["wilder", "vendor"])
def test_250_days_in_random_order_with_late_and_corrected_bars_equal_one_full_build(
    settings: Settings, variant: str
) -> None:
    study(in_variant(settings, variant), 250, seed=3)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return market.bars({"A/USD": 320, "B/USD": 60}, end_day=400, seed=5)


@pytest.fixture(scope="module")
def whole(settings: Settings, bars: pl.DataFrame) -> Warehouse:
    """All bars in one full build, to compare with; tests do not write to it."""
    return full_build(settings, bars)


@pytest.fixture(scope="module")
def last_day(bars: pl.DataFrame) -> datetime:
    last: datetime = bars["datetime"].max()  # type: ignore[assignment]
    return last


def changed_writes(before: dict[tuple[str, datetime], datetime], of: Warehouse) -> dict[str, list[datetime]]:
    """Stamps of the feature rows that were written since, by symbol."""
    found: dict[str, list[datetime]] = {}
    for (symbol, stamp), written in sorted(market.write_times(of).items()):
        if before.get((symbol, stamp)) != written:
            found.setdefault(symbol, []).append(stamp)
    return found


def test_a_new_day_rewrites_its_own_rows_and_the_labels_of_the_day_before(
    settings: Settings, bars: pl.DataFrame, last_day: datetime
) -> None:
    stored = full_build(settings, bars.filter(pl.col("datetime") < last_day))
    before = market.write_times(stored)
    market.ingest(stored, settings, bars.filter((pl.col("datetime") == last_day) & (pl.col("symbol") == "A/USD")))
    market.features(stored, settings)
    assert changed_writes(before, stored) == {"A/USD": [last_day - timedelta(days=1), last_day]}


def test_a_late_bar_rewrites_its_symbol_from_the_bar_before_on(
    settings: Settings, bars: pl.DataFrame, whole: Warehouse, last_day: datetime
) -> None:
    missing = last_day - timedelta(days=7)
    is_late = (pl.col("datetime") == missing) & (pl.col("symbol") == "B/USD")
    stored = full_build(settings, bars.filter(~is_late))
    before = market.write_times(stored)
    market.ingest(stored, settings, bars.filter(is_late))
    market.features(stored, settings)
    assert changed_writes(before, stored) == {"B/USD": [last_day - timedelta(days=n) for n in range(8, -1, -1)]}
    assert_same_tables(stored, whole)


def test_a_correction_of_a_symbol_s_first_bar_rewrites_all_of_it(
    settings: Settings, bars: pl.DataFrame, whole: Warehouse
) -> None:
    first = bars.filter(pl.col("symbol") == "B/USD").head(1)
    wrong = first.with_columns(pl.col("high") * 3)
    stored = full_build(settings, pl.concat([bars.join(first, on=["symbol", "datetime"], how="anti"), wrong]))
    before = market.write_times(stored)
    market.ingest(stored, settings, first)
    market.features(stored, settings)
    assert {symbol: len(stamps) for symbol, stamps in changed_writes(before, stored).items()} == {"B/USD": 60}
    assert_same_tables(stored, whole)


def test_the_same_bars_again_write_nothing(settings: Settings, bars: pl.DataFrame) -> None:
    stored = full_build(settings, bars)
    configured = {"tradehits.asset_settings", "tradehits.table_writes"}
    before = {one.table: one for one in stored.statistics() if one.table not in configured}
    market.ingest(stored, settings, bars)
    market.features(stored, settings)
    assert {one.table: one for one in stored.statistics() if one.table not in configured} == before


def test_several_days_ingested_before_one_build_are_all_built(
    settings: Settings, bars: pl.DataFrame, whole: Warehouse
) -> None:
    days = bars["datetime"].unique().sort().to_list()[-4:]
    stored = full_build(settings, bars.filter(pl.col("datetime") < days[0]))
    market.ingest(stored, settings, *(bars.filter(pl.col("datetime") == day) for day in reversed(days)))
    market.features(stored, settings)
    assert_same_tables(stored, whole)
    assert numbers(stored, "feature_builds") == [True, False]


def other_splits(settings: Settings) -> Settings:
    splits = settings.splits.crypto.model_copy(update={"train_end": date(2017, 6, 30)})
    return settings.model_copy(update={"splits": settings.splits.model_copy(update={"crypto": splits})})


def test_other_split_dates_rebuild_all_features(settings: Settings, bars: pl.DataFrame) -> None:
    stored = full_build(settings, bars)
    market.features(stored, other_splits(settings))
    assert numbers(stored, "feature_builds") == [True, True]
    assert_same_tables(stored, full_build(other_splits(settings), bars))


def test_another_feature_query_rebuilds_all_features(
    settings: Settings, bars: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = full_build(settings, bars)
    text = warehouse.features.feature_query()
    changed = tmp_path / "features.sql"
    changed.write_text(text.replace("IF(rsi > 70, 1, 0) AS rsi_overbought", "IF(rsi > 60, 1, 0) AS rsi_overbought"))
    monkeypatch.setattr(warehouse.features, "FEATURES_SQL", changed)
    market.features(stored, settings)
    found = stored.query(f"SELECT COUNTIF(rsi > 60) = SUM(rsi_overbought) AS follows FROM `{FEATURES}`")
    assert found.column(0).to_pylist() == [True]


def test_another_indicator_variant_rebuilds_bars_and_features(settings: Settings, bars: pl.DataFrame) -> None:
    vendor = in_variant(settings, "vendor")
    stored = full_build(settings, bars)
    market.ingest(stored, vendor, bars.head(1))
    market.features(stored, vendor)
    assert_same_tables(stored, full_build(vendor, bars))


def test_a_clean_table_that_lost_rows_is_built_anew(settings: Settings, bars: pl.DataFrame, whole: Warehouse) -> None:
    stored = full_build(settings, bars)
    nothing = stored.query(f"SELECT * FROM `{CLEAN}` LIMIT 0")
    stored.write([Write(CLEAN, rows=nothing, mode="replace", where={"symbol": "B/USD"})])
    market.ingest(stored, settings, bars.head(1))
    market.features(stored, settings)
    assert_same_tables(stored, whole)


def test_a_feature_table_that_lost_rows_is_built_anew(settings: Settings, bars: pl.DataFrame, whole: Warehouse) -> None:
    stored = full_build(settings, bars)
    nothing = stored.query(f"SELECT * FROM `{FEATURES}` LIMIT 0")
    stored.write([Write(FEATURES, rows=nothing, mode="replace", where={"symbol": "B/USD"})])
    market.features(stored, settings)
    assert_same_tables(stored, whole)


def test_features_of_bars_that_the_platform_did_not_write_are_built_in_full_every_time(
    settings: Settings, whole: Warehouse
) -> None:
    theirs = whole.query(f"SELECT * FROM `{CLEAN}`")
    adopted = market.scratch(settings)
    adopted.write([Write(CLEAN, rows=theirs, mode="append")])
    market.features(adopted, settings)
    market.features(adopted, settings)
    assert numbers(adopted, "feature_builds") == [True, True]
    assert_same_tables(adopted, whole)


def test_ranges_of_symbols_give_the_same_tables(
    settings: Settings, bars: pl.DataFrame, whole: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.chunks.CHUNK_ROWS", 1)
    assert_same_tables(full_build(settings, bars), whole)


def test_of_two_ingestions_that_begin_from_one_state_the_later_one_changes_nothing(
    settings: Settings, bars: pl.DataFrame, last_day: datetime
) -> None:
    stored = full_build(settings, bars.filter(pl.col("datetime") < last_day))
    new = bars.filter(pl.col("datetime") == last_day).with_columns(
        bar_known_at=pl.col("datetime") + pl.duration(days=1), ingested_at=pl.lit(last_day)
    )
    first, second = (warehouse.clean.clean_writes(stored, settings, "crypto", new) for _ in range(2))
    stored.write(first)
    before = rows(stored, CLEAN)
    with pytest.raises(DuplicateKeyError, match="change_number=2"):
        stored.write(second)
    assert rows(stored, CLEAN).equals(before)


# --- interruptions ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def interrupted(
    settings: Settings,
    bars: pl.DataFrame,
    whole: Warehouse,
    last_day: datetime,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, pl.DataFrame, Warehouse]:
    """A warehouse file, the batch that is to come (a new day, a late and a corrected bar), and the tables wanted."""
    is_late = (pl.col("datetime") == last_day - timedelta(days=9)) & (pl.col("symbol") == "B/USD")
    is_wrong = (pl.col("datetime") == last_day - timedelta(days=5)) & (pl.col("symbol") == "A/USD")
    is_new = pl.col("datetime") == last_day
    file = tmp_path_factory.mktemp("base") / "warehouse.duckdb"
    base = market.on_file(settings, file)
    base.ensure_schema()
    earlier = bars.filter(~(is_new | is_late))
    market.ingest(base, settings, earlier.with_columns(close=pl.when(is_wrong).then("low").otherwise("close")))
    market.features(base, settings)
    return file, bars.filter(is_new | is_late | is_wrong), whole


def copied(file: Path, folder: Path) -> Path:
    target = folder / file.name
    shutil.copy(file, target)
    return target


def crash() -> None:
    raise market.CrashError


@pytest.mark.slow
def test_an_interruption_at_any_point_of_ingestion_and_features_leaves_what_a_second_run_completes(
    settings: Settings, interrupted: tuple[Path, pl.DataFrame, Warehouse], tmp_path: Path
) -> None:
    file, batch, wanted = interrupted
    points = 0
    for point in itertools.count():
        folder = tmp_path / str(point)
        folder.mkdir()
        stored = market.on_file(settings, copied(file, folder))
        ended = False
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(warehouse.duckdb, "apply_staged", warehouse.duckdb.apply_staged)
            patch.setattr(warehouse.duckdb_apply._Apply, "run", warehouse.duckdb_apply._Apply.run)
            market.end_at(point, crash)
            try:
                market.ingest(stored, settings, batch)
                market.features(stored, settings)
            except market.CrashError:
                ended = True
        if not ended:
            points = point
            break
        market.ingest(stored, settings, batch)
        market.features(stored, settings)
        assert_same_tables(stored, wanted)
        assert stored.query("SELECT COUNT(*) AS n FROM `tradehits.bar_versions`").column(0)[0].as_py() == 381, point
    assert points == 11, "five writes of the ingestion, two and one of the features, and the ends of three transactions"


@pytest.mark.slow
@pytest.mark.parametrize("point", [2, 4, 5, 6, 8])
def test_a_process_killed_in_between_leaves_what_a_second_run_completes(
    settings: Settings, interrupted: tuple[Path, pl.DataFrame, Warehouse], tmp_path: Path, point: int
) -> None:
    file, batch, wanted = interrupted
    copy = copied(file, tmp_path)
    batch.write_parquet(tmp_path / "batch.parquet")
    code = (
        "import sys; from tests.integration.incremental_market import die_at; die_at(int(sys.argv[1]), *sys.argv[2:])"
    )
    arguments = [str(point), str(copy), str(tmp_path / "batch.parquet")]
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=REPOSITORY, env=dict(os.environ), check=False, timeout=120
    )
    assert ended.returncode == -signal.SIGKILL
    stored = market.on_file(settings, copy)
    market.ingest(stored, settings, batch)
    market.features(stored, settings)
    assert_same_tables(stored, wanted)

"""A file of an older schema version becomes one of today's, whole or not at all; a newer one is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from configs.settings import load_settings
from market.errors import NewerSchemaError, SchemaError
from tests.contract.warehouse_engines import TABLES, bars, settings, stored, write_schema
from warehouse.duckdb import DuckDBWarehouse
from warehouse.migrations import (
    STEPS,
    Action,
    DropColumn,
    DropTable,
    DropView,
    FillColumn,
    RenameColumn,
    RenameTable,
    Step,
)
from warehouse.schema import SQL_FOLDER
from warehouse.warehouse import Write

ROWS = [("stocks", "A", 1, 1.0), ("stocks", "B", 2, None)]
BARS = TABLES["ml_models.bars"]


def opened(folder: Path, steps: Sequence[Step] = ()) -> DuckDBWarehouse:
    return DuckDBWarehouse(
        folder / "warehouse.duckdb",
        settings=settings(),
        staging=folder / "staging",
        sql_folder=folder / "sql",
        steps=steps,
    )


def step(version: int, *actions: Action) -> Step:
    return Step(version, f"reason {version}", actions)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A warehouse of version 1 that holds two bars and a counter."""
    write_schema(tmp_path / "sql")
    counter = pa.table({"name": ["n"], "value": [7]})
    opened(tmp_path).write([Write("ml_models.bars", rows=bars(*ROWS)), Write("tradehits.counters", rows=counter)])
    return tmp_path


def table_file(folder: Path, name: str) -> Path:
    return folder / "sql" / "tables" / f"{name}.sql"


def version_of(folder: Path) -> tuple[object, ...] | None:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        [schema] = connection.execute(
            "SELECT schema_name FROM duckdb_tables() WHERE table_name = 'schema_state'"
        ).fetchone() or [""]
        return connection.execute(f"SELECT version FROM {schema}.schema_state").fetchone()


def test_a_nullable_column_that_came_later_is_added_and_rows_stay(folder: Path) -> None:
    table_file(folder, "ml_models.bars").write_text(BARS.replace("flag INT64,", "flag INT64,\n  mood STRING,"))
    again = opened(folder)
    again.ensure_schema()
    assert stored(again) == ROWS
    assert again.query("SELECT DISTINCT mood FROM ml_models.bars").to_pylist() == [{"mood": None}]
    again.write([Write("ml_models.bars", rows=bars(("stocks", "C", 3, 3.0)).append_column("mood", pa.array(["calm"])))])
    assert again.query("SELECT symbol FROM ml_models.bars WHERE mood = 'calm'").to_pylist() == [{"symbol": "C"}]


def test_steps_rename_drop_and_fill_in_their_order_and_only_once(folder: Path) -> None:
    text = BARS.replace("close FLOAT64", "last FLOAT64").replace("  flag INT64,\n", "  double_close FLOAT64,\n")
    table_file(folder, "ml_models.bars").write_text(text.replace("ml_models.bars", "ml_models.prices"))
    table_file(folder, "ml_models.bars").rename(table_file(folder, "ml_models.prices"))
    table_file(folder, "tradehits.counters").unlink()
    (folder / "sql" / "views" / "ml_models.a_reads_b.sql").unlink()
    newest = folder / "sql" / "views" / "ml_models.b_newest.sql"
    newest.write_text(newest.read_text().replace("ml_models.bars", "ml_models.prices"))
    double = "SELECT asset_type, symbol, datetime, last * 2 AS double_close FROM ml_models.prices"
    steps = [
        step(2, RenameTable("ml_models.bars", "ml_models.prices")),
        step(3, RenameColumn("ml_models.prices", "close", "last"), DropColumn("ml_models.prices", "flag")),
        step(4, FillColumn("ml_models.prices", "double_close", double), DropTable("tradehits.counters")),
        step(5, DropView("ml_models.a_reads_b")),
    ]
    for _ in range(2):
        migrated = opened(folder, steps)
        migrated.ensure_schema()
        found = migrated.query("SELECT symbol, last, double_close FROM ml_models.prices ORDER BY symbol").to_pylist()
        assert found == [
            {"symbol": "A", "last": 1.0, "double_close": 2.0},
            {"symbol": "B", "last": None, "double_close": None},
        ]
        assert migrated.query("SELECT symbol FROM ml_models.b_newest ORDER BY 1").column(0).to_pylist() == ["A", "B"]
    assert version_of(folder) == (5,)
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        names = "SELECT table_name FROM information_schema.tables WHERE table_name IN ('bars', 'counters', 'a_reads_b')"
        assert connection.execute(names).fetchall() == []


def test_a_new_column_that_must_not_be_null_is_filled_or_nothing_changes(folder: Path) -> None:
    table_file(folder, "ml_models.bars").write_text(BARS.replace("flag INT64,", "flag INT64,\n  grade INT64 NOT NULL,"))
    half = "SELECT asset_type, symbol, datetime, 1 AS grade FROM ml_models.bars WHERE symbol = 'A'"
    with pytest.raises(SchemaError, match="migration to schema version 2 \\(reason 2\\)"):
        opened(folder, [step(2, FillColumn("ml_models.bars", "grade", half))]).ensure_schema()
    assert version_of(folder) == (1,)
    whole = half.replace(" WHERE symbol = 'A'", "")
    migrated = opened(folder, [step(2, FillColumn("ml_models.bars", "grade", whole))])
    migrated.ensure_schema()
    assert migrated.query("SELECT SUM(grade) AS n FROM ml_models.bars").to_pylist() == [{"n": 2}]


def test_a_later_step_that_fails_undoes_the_earlier_ones(folder: Path) -> None:
    wrong = "SELECT asset_type, symbol, datetime, 'x' AS is_warm FROM ml_models.bars"
    steps = [step(2, DropColumn("ml_models.bars", "flag")), step(3, FillColumn("ml_models.bars", "is_warm", wrong))]
    with pytest.raises(SchemaError, match="migration to schema version 3"):
        opened(folder, steps).ensure_schema()
    untouched = opened(folder)
    assert stored(untouched) == ROWS
    assert "flag" in untouched.query("SELECT * FROM ml_models.bars LIMIT 0").column_names


def test_a_change_that_no_step_covers_names_the_column(folder: Path) -> None:
    table_file(folder, "ml_models.bars").write_text(BARS.replace("close FLOAT64", "close STRING"))
    with pytest.raises(SchemaError, match="column 'close' is FLOAT64 in the warehouse \\(2 rows\\), STRING") as refusal:
        opened(folder, [step(2, DropColumn("ml_models.bars", "flag"))]).ensure_schema()
    assert "warehouse/migrations.py" in refusal.value.remedy
    assert version_of(folder) == (1,)


def test_a_newer_file_is_refused_by_readers_and_writers_and_stays_as_it_is(folder: Path) -> None:
    newer = [step(2), step(9)]
    opened(folder, newer).ensure_schema()
    content = (folder / "warehouse.duckdb").read_bytes()
    old = opened(folder, newer[:1])
    for action in (
        old.ensure_schema,
        lambda: old.query("SELECT 1 AS n"),
        lambda: old.write([Write("ml_models.bars", rows=bars(*ROWS))]),
        old.compact,
    ):
        with pytest.raises(NewerSchemaError, match="has schema version 9, this TradeHits knows versions up to 2") as no:
            action()
        assert "update TradeHits" in no.value.remedy
    assert (folder / "warehouse.duckdb").read_bytes() == content


def test_a_file_from_before_versions_is_of_the_first_one(folder: Path) -> None:
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        [schema] = connection.execute(
            "SELECT schema_name FROM duckdb_tables() WHERE table_name = 'schema_state'"
        ).fetchone() or [""]
        connection.execute(f"CREATE OR REPLACE TABLE {schema}.schema_state AS SELECT 'an old digest' AS digest")
    table_file(folder, "ml_models.bars").write_text(BARS.replace("flag INT64", "sign INT64"))
    migrated = opened(folder, [step(2, RenameColumn("ml_models.bars", "flag", "sign"))])
    migrated.ensure_schema()
    assert stored(migrated) == ROWS
    assert version_of(folder) == (2,)


def test_a_new_file_starts_at_the_newest_version_without_any_step(tmp_path: Path) -> None:
    write_schema(tmp_path / "sql")
    opened(tmp_path, [step(2, DropTable("ml_models.bars"))]).ensure_schema()
    assert version_of(tmp_path) == (2,)
    assert stored(opened(tmp_path, [step(2, DropTable("ml_models.bars"))])) == []


def test_the_projects_steps_are_numbered_without_gaps() -> None:
    assert [one.version for one in STEPS] == list(range(2, len(STEPS) + 2))


def test_re_adjustments_of_an_older_warehouse_learn_their_interval(tmp_path: Path) -> None:
    """The schema as it was before version 2: `symbol_events` without `interval`, no `version_retention`."""
    sql = tmp_path / "sql"
    for kind in ("tables", "views"):
        (sql / kind).mkdir(parents=True)
        for file in (SQL_FOLDER / kind).glob("*.sql"):
            (sql / kind / file.name).write_text(file.read_text())
    (sql / "tables" / "tradehits.version_retention.sql").unlink()
    events = sql / "tables" / "tradehits.symbol_events.sql"
    events.write_text(events.read_text().replace("  `interval` STRING,\n", ""))
    own = load_settings("test").warehouse
    old = DuckDBWarehouse(tmp_path / "w.duckdb", settings=own, staging=tmp_path / "s", sql_folder=sql, steps=())
    old.write(
        [_version("1h", 5), _version("1d", 6), _event("READJUSTED", 5), _event("READJUSTED", 6), _event("RENAMED", 7)]
    )
    now = DuckDBWarehouse(tmp_path / "w.duckdb", settings=own, staging=tmp_path / "s")
    now.ensure_schema()
    found = now.query("SELECT event, `interval` FROM tradehits.symbol_events ORDER BY effective_at").to_pylist()
    assert found == [
        {"event": "READJUSTED", "interval": "1h"},
        {"event": "READJUSTED", "interval": "1d"},
        {"event": "RENAMED", "interval": None},
    ]
    assert now.query("SELECT COUNT(*) AS n FROM tradehits.version_retention").to_pylist() == [{"n": 0}]


def _at(day: int) -> pa.Array:
    from datetime import UTC, datetime

    return pa.array([datetime(2024, 1, day, tzinfo=UTC)], pa.timestamp("us", "UTC"))


def _version(interval: str, day: int) -> Write:
    prices = {name: [1.0] for name in ("open", "high", "low", "close", "volume")}
    times = {"datetime": _at(1), "bar_known_at": _at(2), "ingested_at": _at(day), "knowledge_at": _at(day)}
    names = {"asset_type": ["crypto"], "symbol": ["A"], "interval": [interval], "is_backfill": [False], "source": ["s"]}
    return Write("tradehits.bar_versions", rows=pa.table({**names, **prices, **times}), mode="append")


def _event(event: str, day: int) -> Write:
    names = {"asset_type": ["crypto"], "symbol": ["A"], "event": [event], "source": ["s"]}
    rows = pa.table({**names, "effective_at": _at(day), "recorded_at": _at(day)})
    return Write("tradehits.symbol_events", rows=rows, mode="append")

"""Compaction gives space back, changes no row, and leaves the old file or the new one whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import duckdb
import pytest

import warehouse.duckdb_compact as compacting
from market.errors import WarehouseError, WarehouseLockedError
from tests.contract.warehouse_engines import bars, file_engine, scratch_engine, stored
from warehouse.duckdb import DuckDBWarehouse
from warehouse.warehouse import Write

REPOSITORY = Path(__file__).resolve().parents[2]
KEPT = [("crypto", "KEPT", day, float(day)) for day in range(20)]


def with_holes(folder: Path) -> DuckDBWarehouse:
    """A warehouse most of whose space belonged to rows that are gone."""
    warehouse = file_engine(folder)
    many = bars(*(("stocks", f"S{symbol}", day, day / 7) for symbol in range(300) for day in range(400)))
    warehouse.write([Write("ml_models.bars", rows=many), Write("ml_models.bars", rows=bars(*KEPT))])
    warehouse.write([Write("ml_models.bars", rows=many.slice(0, 0), mode="replace", where={"asset_type": "stocks"})])
    return warehouse


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "state").iterdir())


def test_space_comes_back_and_every_row_view_and_statistic_stays(tmp_path: Path) -> None:
    warehouse = with_holes(tmp_path)
    file = tmp_path / "state" / "warehouse.duckdb"
    file.chmod(0o640)
    before, size = warehouse.statistics(), file.stat().st_size
    done = warehouse.compact()
    assert (done.tables, done.rows, done.bytes_before) == (4, 20 + 2 + 1, size)
    assert done.bytes_after == file.stat().st_size < size / 2
    assert file.stat().st_mode & 0o777 == 0o640
    assert stored(warehouse) == KEPT
    assert [(row.table, row.rows, row.last_modified_at) for row in warehouse.statistics()] == [
        (row.table, row.rows, row.last_modified_at) for row in before
    ]
    assert warehouse.query("SELECT symbol FROM ml_models.a_reads_b").to_pylist() == [{"symbol": "KEPT"}]
    assert files(tmp_path) == ["warehouse.duckdb", "warehouse.duckdb.lock"]
    warehouse.write([Write("ml_models.bars", rows=bars(("stocks", "A", 1, 1.0)))])
    assert len(stored(file_engine(tmp_path))) == 21


def test_a_table_that_no_schema_names_is_kept(tmp_path: Path) -> None:
    with_holes(tmp_path)
    file = tmp_path / "state" / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE main.notes AS SELECT 'mine' AS text")
    file_engine(tmp_path).compact()
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute("SELECT text FROM main.notes").fetchall() == [("mine",)]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM compacted.ml_models.bars WHERE symbol = 'KEPT' AND close = 3.0",
        "UPDATE compacted.ml_models.bars SET close = 99 WHERE close = 3.0",
        "INSERT INTO compacted.ml_models.bars SELECT * FROM compacted.ml_models.bars WHERE close = 3.0",
        "DROP VIEW compacted.ml_models.b_newest",
        "ALTER TABLE compacted.ml_models.bars ADD COLUMN more INTEGER",
    ],
)
def test_a_copy_that_differs_is_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    warehouse = with_holes(tmp_path)
    compared = compacting._compare_definitions

    def damaged_first(cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.execute(damage)
        compared(cursor)

    monkeypatch.setattr(compacting, "_compare_definitions", damaged_first)
    content = (tmp_path / "state" / "warehouse.duckdb").read_bytes()
    with pytest.raises(WarehouseError, match="the compacted copy differs from the warehouse in"):
        warehouse.compact()
    assert (tmp_path / "state" / "warehouse.duckdb").read_bytes() == content
    assert files(tmp_path) == ["warehouse.duckdb", "warehouse.duckdb.lock"]
    monkeypatch.undo()
    assert stored(warehouse) == KEPT


def test_compaction_waits_for_readers_of_other_threads_and_gives_up_by_name(tmp_path: Path) -> None:
    with_holes(tmp_path)
    hasty = file_engine(tmp_path, lock_timeout_seconds=0.2)
    refusals = []

    def compact() -> None:
        try:
            hasty.compact()
        except WarehouseLockedError as error:
            refusals.append(error)

    with hasty.read():
        thread = threading.Thread(target=compact)
        thread.start()
        thread.join(timeout=60)
    assert len(refusals) == 1
    with hasty.read(), pytest.raises(WarehouseError, match="asks to write"):
        hasty.compact()


def test_memory_has_no_file_to_compact(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no file to compact"):
        scratch_engine(tmp_path).compact()


def test_a_disk_without_room_for_the_copy_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    with_holes(tmp_path)
    file = tmp_path / "state" / "warehouse.duckdb"
    many = bars(*(("etf", f"S{symbol}", day, day / 7) for symbol in range(200) for day in range(400)))
    file_engine(tmp_path).write([Write("ml_models.bars", rows=many)])
    body = """
    import resource, sys
    from pathlib import Path
    from market.errors import WarehouseFileError
    from tests.contract.warehouse_engines import file_engine
    engine = file_engine(Path(sys.argv[1]))
    engine.ensure_schema()
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        engine.compact()
    except WarehouseFileError as error:
        print(error.message[:16])
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body), str(tmp_path)],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.stdout.strip() == "the disk is full", ended.stderr[-2000:]
    assert files(tmp_path) == ["warehouse.duckdb", "warehouse.duckdb.lock"]
    assert len(stored(file_engine(tmp_path))) == 20 + 80_000
    assert file.stat().st_size > 500_000


@pytest.mark.parametrize("place", ["copied", "compared", "closed", "swapped"])
def test_a_compaction_killed_anywhere_leaves_a_whole_file_and_the_next_opening_clears_up(
    tmp_path: Path, place: str
) -> None:
    with_holes(tmp_path)
    body = f"""
    import os, signal, sys
    from pathlib import Path
    import warehouse.duckdb as engine, warehouse.duckdb_compact as compacting
    from tests.contract.warehouse_engines import file_engine
    def die(*_): os.kill(os.getpid(), signal.SIGKILL)
    opened = file_engine(Path(sys.argv[1]))
    if {place!r} == "copied": compacting._compare_definitions = die
    if {place!r} == "compared": compacting._compared_rows = die
    if {place!r} == "closed": engine.swap_in = die
    if {place!r} == "swapped":
        whole = engine.swap_in
        engine.swap_in = lambda *given: (whole(*given), die())
    opened.compact()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body), str(tmp_path)],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=False, timeout=120,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL
    assert ("warehouse.duckdb.compacted" in files(tmp_path)) == (place != "swapped")
    reader = file_engine(tmp_path)
    assert stored(reader) == KEPT
    assert files(tmp_path) == ["warehouse.duckdb", "warehouse.duckdb.lock"]
    assert reader.compact().rows == 23

"""The whole file again without its holes: written beside, compared, and renamed over the old one.

DuckDB reuses the blocks of deleted rows and dropped tables, and gives none back to the system.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from market.errors import WarehouseError
from warehouse.duckdb_contents import table_content, table_names
from warehouse.duckdb_host import CATALOG, quoted

COPY = "compacted"


@dataclass(frozen=True)
class Compaction:
    """What a compaction did; bytes are the file's before and after."""

    tables: int
    rows: int
    bytes_before: int
    bytes_after: int


def copy_file(file: Path) -> Path:
    """Where a warehouse's compacted copy is written; the write lock allows one at a time, so the name is fixed."""
    return file.with_name(f"{file.name}.{COPY}")


def remove_leftovers(file: Path) -> None:
    """Remove what a killed compaction left. The caller holds the warehouse's lock, so none is at work."""
    for path in (copy_file(file), _log_of(copy_file(file))):
        path.unlink(missing_ok=True)


def write_copy(cursor: duckdb.DuckDBPyConnection, file: Path) -> Compaction:
    """Copy everything in the attached warehouse into a new file, and compare.

    Args:
        cursor: On the warehouse, attached for writing.
        file: The warehouse's file.

    Raises:
        WarehouseError: A table or view of the copy differs.
    """
    remove_leftovers(file)
    cursor.execute(f"CHECKPOINT {CATALOG}")  # merges the write-ahead log, which must not outlive the file it belongs to
    before = file.stat().st_size
    target = copy_file(file)
    cursor.execute(f"ATTACH {quoted(target)} AS {COPY}")
    try:
        cursor.execute(f"COPY FROM DATABASE {CATALOG} TO {COPY}")
        _compare_definitions(cursor)
        tables = table_names(cursor, CATALOG)
        rows = sum(_compared_rows(cursor, table) for table in tables)
    finally:
        cursor.execute(f"DETACH {COPY}")
    return Compaction(len(tables), rows, before, target.stat().st_size)


def swap_in(file: Path, compaction: Compaction) -> Compaction:
    """Put the copy in the warehouse's place. Both files are closed.

    Raises:
        WarehouseError: Changes still stand in a write-ahead log; the file is as it was.
    """
    target = copy_file(file)
    for log in (_log_of(file), _log_of(target)):
        if log.exists():
            raise WarehouseError(
                f"{log} still holds changes, the file was not compacted",
                remedy="run `tradehits warehouse compact` again",
            )
    shutil.copymode(file, target)
    _sync(target)
    target.replace(file)
    _sync(file.parent)
    return compaction


def _compare_definitions(cursor: duckdb.DuckDBPyConnection) -> None:
    for what, sql in (
        ("columns", "SELECT schema_name, table_name, column_name, data_type, is_nullable FROM duckdb_columns()"),
        ("views", "SELECT schema_name, view_name, sql FROM duckdb_views()"),
        ("macros", "SELECT schema_name, function_name, parameters::VARCHAR, macro_definition FROM duckdb_functions()"),
    ):
        found = [
            cursor.execute(
                f"{sql} WHERE database_name = $name AND NOT internal ORDER BY ALL", {"name": name}
            ).fetchall()
            for name in (CATALOG, COPY)
        ]
        if found[0] != found[1]:
            raise _differs(what)


def _compared_rows(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    """Row count, after comparing it and the rows' hashes."""
    own, copied = (table_content(cursor, catalog, table) for catalog in (CATALOG, COPY))
    if own != copied:
        raise _differs(table)
    return own.rows


def _differs(what: str) -> WarehouseError:
    return WarehouseError(
        f"the compacted copy differs from the warehouse in {what}; it was thrown away",
        remedy="check disk and memory of this machine; the warehouse is as it was",
    )


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.wal")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

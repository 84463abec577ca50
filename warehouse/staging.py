"""Rows on their way into a table: checked, cast and written to parquet before the warehouse is locked."""

from __future__ import annotations

import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from market.errors import DuplicateKeyError, SchemaError
from warehouse.duckdb_host import identifier, process_name, quoted
from warehouse.duckdb_read import write_parquet
from warehouse.duckdb_types import cast_expression
from warehouse.schema import Table
from warehouse.warehouse import Rows, Write

_ORPHAN_AGE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Staged:
    """Rows that fit their table: columns, types, NOT NULL, finite floats, one row a key."""

    write: Write
    table: Table
    file: Path
    rows: int


@contextmanager
def staging_folder(root: Path) -> Iterator[Path]:
    """A folder of this process for one write, removed at the end; leftovers of dead processes are removed first."""
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    folder = root / process_name("write")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Remove what a killed process left. Another host's process ids mean nothing here: its leftovers go by age."""
    for path in root.iterdir():
        _, host, pid, *_ = [*path.name.split("@"), "", "", ""]
        try:
            is_ours = host == socket.gethostname() and pid.isdigit()
            is_old = time.time() - path.stat().st_mtime > _ORPHAN_AGE_SECONDS
            if _is_alive(int(pid)) if is_ours else not is_old:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:  # another process swept it first
            continue


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Stager:
    """Turns a `Write` into a `Staged` file on a DuckDB instance that is not the warehouse's.

    Args:
        connection: A connection that may read any file (Arrow rows and parquet paths come from outside).
        folder: Where the parquet files go.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        """Stage into a folder."""
        self._connection = connection
        self._folder = folder

    def stage_rows(self, write: Write, table: Table, rows: Rows) -> Staged:
        """Stage Arrow rows or a parquet file.

        Raises:
            SchemaError: For columns, types or values the table does not take; the column and first row are named.
            DuplicateKeyError: For two rows with one key.
        """
        reader = _microseconds(rows, table.name)
        relation = (
            self._connection.read_parquet(str(reader))
            if isinstance(reader, Path)
            else self._connection.from_arrow(reader)
        )
        return self.stage_relation(write, table, relation)

    def stage_relation(self, write: Write, table: Table, relation: duckdb.DuckDBPyRelation) -> Staged:
        """Stage what a relation of any connection gives; errors as in `stage_rows`."""
        types = dict(zip(relation.columns, map(str, relation.types), strict=True))
        refuse_wrong_columns(table, types)
        columns = []
        for column in table.columns:
            source = cast_expression(table.name, column, types.get(column.name))
            columns.append(f"{source} AS {identifier(column.name)}")
        file = self._folder / f"{uuid.uuid4().hex}.parquet"
        try:
            write_parquet(relation.project(", ".join(columns)), file)
        except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException) as error:
            raise SchemaError(f"{table.name}: {error}", remedy="mend the rows") from error
        rows = self._refuse_wrong_values(table, file)
        self._refuse_duplicates(table, file)
        self._refuse_outside_scope(write, table, file)
        return Staged(write, table, file, rows)

    def _refuse_wrong_values(self, table: Table, file: Path) -> int:
        """One pass over the staged file; returns its row count."""
        checks = []
        for column in table.columns:
            name = identifier(column.name)
            if not column.nullable:
                checks.append((column.name, "NULL, which the column does not take", f"{name} IS NULL"))
            if column.type == "FLOAT64":
                checks.append((column.name, "NaN or infinity, which no table takes", f"NOT isfinite({name})"))
        firsts = [f"MIN(file_row_number) FILTER (WHERE {condition})" for _, _, condition in checks]
        source = f"read_parquet({quoted(file)}, file_row_number = true)"
        [(rows, *found)] = self._connection.execute(
            f"SELECT {', '.join(['COUNT(*)', *firsts])} FROM {source}"
        ).fetchall()
        for (column_name, what, _), first in zip(checks, found, strict=True):
            if first is not None:
                key = self._key_at(table, source, f"file_row_number = {first}")
                raise SchemaError(
                    f"{table.name}: column '{column_name}' holds {what}, first in row {first + 1} ({key})",
                    remedy="unknown is NULL in a nullable column; mend or drop the row",
                )
        return int(rows)

    def _refuse_duplicates(self, table: Table, file: Path) -> None:
        key = ", ".join(map(identifier, table.key))
        sql = f"SELECT {key}, COUNT(*) FROM read_parquet({quoted(file)}) GROUP BY ALL HAVING COUNT(*) > 1 LIMIT 1"
        found = self._connection.execute(sql).fetchone()
        if found:
            raise DuplicateKeyError(
                f"{table.name}: {found[-1]} of the rows to write have one key ({key_text(table, found[:-1])})",
                remedy="deduplicate the rows before writing them",
            )

    def _refuse_outside_scope(self, write: Write, table: Table, file: Path) -> None:
        if not write.where:
            return
        condition = scope_condition(table, write)
        sql = f"SELECT * FROM read_parquet({quoted(file)}) WHERE NOT ({condition}) LIMIT 1"
        if self._connection.execute(sql, dict(write.where)).fetchone():
            key = self._key_at(table, f"read_parquet({quoted(file)})", f"NOT ({condition})", write)
            raise SchemaError(
                f"{table.name}: a row to write lies outside the replaced scope {dict(write.where)} ({key})",
                remedy="write only rows of the scope, or widen it",
            )

    def _key_at(self, table: Table, source: str, condition: str, write: Write | None = None) -> str:
        key = ", ".join(map(identifier, table.key))
        values = self._connection.execute(
            f"SELECT {key} FROM {source} WHERE {condition} LIMIT 1", dict(write.where) if write else {}
        ).fetchone()
        return key_text(table, values or ())


def scope_condition(table: Table, write: Write) -> str:
    """`replace`'s scope as a condition with the names of `where` as parameters."""
    for name in write.where:
        if table.column(name) is None:
            raise SchemaError(f"{table.name}: unknown column '{name}' in `where`", remedy=f"one of {_names(table)}")
    return " AND ".join(f"{identifier(name)} IS NOT DISTINCT FROM ${name}" for name in write.where)


def key_text(table: Table, values: tuple[object, ...]) -> str:
    """`symbol=AAPL, datetime=2024-01-02 00:00:00+00:00`."""
    return ", ".join(f"{name}={value}" for name, value in zip(table.key, values, strict=False))


def _names(table: Table) -> str:
    return ", ".join(column.name for column in table.columns)


def refuse_wrong_columns(table: Table, given: dict[str, str]) -> None:
    """Raise `SchemaError` for a column that the table lacks, or a missing one that it needs; `given`: name to type."""
    unknown = [name for name in given if table.column(name) is None]
    if unknown:
        raise SchemaError(
            f"{table.name}: unknown column{'s' if len(unknown) > 1 else ''} {', '.join(unknown)}",
            remedy=f"the table has {_names(table)}",
        )
    missing = [column.name for column in table.columns if not column.nullable and column.name not in given]
    if missing:
        raise SchemaError(
            f"{table.name}: missing column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            remedy="these columns are NOT NULL: give them in every row",
        )


def batches_of(rows: Rows, table: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Schema and batches of rows from outside, instants in microseconds.

    Raises:
        SchemaError: No such file, no parquet file, or (while batches are read) an instant that would lose digits.
    """
    import pyarrow.parquet as pq

    rows = _microseconds(rows, table)
    if isinstance(rows, Path):
        file = pq.ParquetFile(rows)
        return file.schema_arrow, file.iter_batches()
    return rows.schema, iter(rows.to_batches() if isinstance(rows, pa.Table) else rows)


def _microseconds(rows: Rows, table: str) -> Rows:
    """Nanosecond instants as microseconds, refusing any that would lose digits (DuckDB would truncate them)."""
    if isinstance(rows, Path):
        import pyarrow.parquet as pq

        if not rows.exists():
            raise SchemaError(f"{table}: there is no file {rows}", remedy="check the path")
        try:
            file = pq.ParquetFile(rows)
        except pa.ArrowInvalid as error:
            raise SchemaError(
                f"{table}: {rows} is not a parquet file: {error}", remedy="give a parquet file"
            ) from error
        if not any(_is_nanoseconds(column.type) for column in file.schema_arrow):
            return rows
        rows = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches())
    if not any(_is_nanoseconds(column.type) for column in rows.schema):
        return rows
    reader = rows.to_reader() if isinstance(rows, pa.Table) else rows
    schema = pa.schema(
        [
            column.with_type(pa.timestamp("us", column.type.tz)) if _is_nanoseconds(column.type) else column
            for column in reader.schema
        ]
    )
    return pa.RecordBatchReader.from_batches(schema, _cast_batches(reader, schema, table))


def _cast_batches(reader: pa.RecordBatchReader, schema: pa.Schema, table: str) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        try:
            yield batch.cast(schema)
        except pa.ArrowInvalid as error:
            raise SchemaError(
                f"{table}: {error}", remedy="times are kept to the microsecond: round them first"
            ) from error


def _is_nanoseconds(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) and kind.unit == "ns")

"""Read connections of the embedded engine: GoogleSQL in, Arrow with BigQuery's types out."""

from __future__ import annotations

import re
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from market.errors import QueryError, WarehouseError
from warehouse.dialect import TableNames, to_duckdb
from warehouse.dialect.overflow import refuse_overflow
from warehouse.duckdb_errors import file_error
from warehouse.duckdb_host import Lender, identifier, process_name, quoted

_ROW_GROUP_ROWS = 122_880
_DICTIONARY_ENTRIES = 1000
"""A dictionary of doubles never pays, and trying one costs a third of writing a file."""

# A result's column has the type BigQuery would give it: integers are INT64, floats FLOAT64, JSON is its text.
_WIDENED = [
    (re.compile(r"\b(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER)\b"), "BIGINT"),
    (re.compile(r'"NULL"'), "BIGINT"),
    (re.compile(r"\bFLOAT\b"), "DOUBLE"),
    (re.compile(r"\bJSON\b"), "VARCHAR"),
]


class DuckDBReadConnection:
    """A consistent read view: no writer comes in while it is open."""

    def __init__(self, lender: Lender, names: TableNames, staging: Path) -> None:
        """Read through a lender of cursors."""
        self._lender = lender
        self._names = names
        self._staging = staging

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one GoogleSQL SELECT and return all rows (TIMESTAMP comes back as timestamp[us, tz=UTC])."""
        with query_errors():
            table = self.relation(sql, parameters).to_arrow_table()
        _refuse_null_elements(table)
        refuse_overflow(table, sql, parameters or {})
        return table

    def stream(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, batch_rows: int = 100_000
    ) -> pa.RecordBatchReader:
        """Run one GoogleSQL SELECT and return its rows in batches; the reader lives as long as the connection."""
        with query_errors():
            reader = self.relation(sql, parameters).to_arrow_reader(batch_rows)
        return pa.RecordBatchReader.from_batches(reader.schema, self._batches(reader))

    def export_parquet(self, sql: str, path: Path, parameters: Mapping[str, Any] | None = None) -> int:
        """Write a SELECT's rows to one parquet file (created whole by an atomic rename); returns the row count."""
        staged = self._staging / process_name("export")
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with query_errors():
                rows = write_parquet(self.relation(sql, parameters), staged)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(staged, beside)
            beside.replace(path)
        finally:
            staged.unlink(missing_ok=True)
            beside.unlink(missing_ok=True)
        return rows

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the engine's own DuckDB SQL, untranslated."""
        with query_errors():
            return self._lender.cursor().execute(sql).fetchall()

    def relation(self, sql: str, parameters: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyRelation:
        """The bound, unexecuted SELECT on a cursor of its own, its columns in BigQuery's types."""
        translated = to_duckdb(sql, self._names)
        with query_errors():
            relation = self._lender.cursor().sql(translated, params=_bound(parameters or {}))
            repeated = [name for name, count in Counter(name.lower() for name in relation.columns).items() if count > 1]
            if repeated:
                raise QueryError(f"duplicate column names in the result: {', '.join(repeated)}", remedy="give aliases")
            return _widened(relation)

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        while not self._lender.is_closed:
            try:
                with query_errors():
                    batch = reader.read_next_batch()
            except StopIteration:
                return
            yield batch
        raise WarehouseError("the read connection was closed before its stream ended", remedy="read inside the block")


@contextmanager
def query_errors() -> Iterator[None]:
    """DuckDB's errors as the project's."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise file_error(error) or WarehouseError(
            str(error), remedy="raise warehouse.memory_limit or select less"
        ) from error
    except duckdb.Error as error:
        raise file_error(error) or QueryError(str(error).strip(), remedy="mend the statement") from error
    except pa.ArrowException as error:
        raise QueryError(str(error).strip(), remedy="mend the statement") from error


def write_parquet(relation: duckdb.DuckDBPyRelation, file: Path) -> int:
    """Execute a relation into one parquet file; returns its rows.

    Version 2 splits doubles into streams of their bytes: smaller than zstd without it, and read at the speed of lz4.
    """
    options = (
        f"FORMAT parquet, PARQUET_VERSION v2, COMPRESSION lz4_raw, ROW_GROUP_SIZE {_ROW_GROUP_ROWS}, "
        f"DICTIONARY_SIZE_LIMIT {_DICTIONARY_ENTRIES}"
    )
    written = relation.query("exported", f"COPY (SELECT * FROM exported) TO {quoted(file)} ({options})")
    [(rows,)] = written.fetchall()  # type: ignore[union-attr]
    return int(rows)


def _widened(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    columns = []
    for name, given in zip(relation.columns, relation.types, strict=True):
        wanted = str(given)
        for pattern, replacement in _WIDENED:
            wanted = pattern.sub(replacement, wanted)
        column = identifier(name)
        columns.append(column if wanted == str(given) else f"CAST({column} AS {wanted}) AS {column}")
    return relation.project(", ".join(columns))


def _bound(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _bound_value(name, value) for name, value in parameters.items()}


def _bound_value(name: str, value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise QueryError(f"parameter @{name} is a time without zone: {value}", remedy="pass a UTC-aware datetime")
    if isinstance(value, list | tuple | set | frozenset):
        return [_bound_value(name, item) for item in value]
    return value.item() if hasattr(value, "item") and hasattr(value, "dtype") else value


def _refuse_null_elements(table: pa.Table) -> None:
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_list(column.type) and any(chunk.flatten().null_count for chunk in column.chunks):
            raise QueryError(
                f"array column '{name}' holds a NULL element, which BigQuery cannot return", remedy="use IGNORE NULLS"
            )

"""Whole-table reads: all rows of a window, or the newest of each key, found from keys and times alone."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa

from feature_repo.offline_engine import Engine, columns
from feature_repo.offline_gather import gather
from feature_repo.offline_job import StreamedJob
from feature_repo.offline_join import Rows
from feature_repo.offline_source import ROW, TableRead


class TableJob(StreamedJob):
    """All rows of a table, or the newest of each key."""

    def __init__(self, engine: Engine, read: TableRead) -> None:
        """Nothing is read yet."""
        super().__init__(engine, full_feature_names=False, metadata=None)
        self._read = read

    def where_equal(self, column: str, value: str) -> TableJob:
        """The same job, of the rows with this value."""
        return TableJob(self._engine, self._read.where_equal(column, value))

    def batches(self) -> Iterator[pa.Table]:
        """The rows in the order of the file."""
        with self._engine.connect() as connection:
            if self._read.newest_of is None:
                yield from _streamed(self._every_row(connection), self._engine.batch_rows)
            else:
                names = {column: column for column in self._read.columns}
                yield gather(connection, self._read.files, newest_rows(connection, self._read), names)

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        if self._read.newest_of is not None:
            return super()._to_arrow_internal(timeout)
        with self._engine.connect() as connection:
            return self._every_row(connection).to_arrow_table()

    def _every_row(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        return connection.sql(self._read.files.scan(columns(list(self._read.columns)), self._read.conditions))


def newest_rows(connection: duckdb.DuckDBPyConnection, read: TableRead) -> Rows:
    """Row numbers in rising order: of each key the newest row of the window, of equal times the one created last.

    A missing creation time counts as the oldest, and of rows equal in both the last in the file wins.
    """
    keys = list(read.newest_of or ())
    event = read.files.microseconds(read.timestamp)
    created = f"coalesce({read.files.microseconds(read.created)}, -9223372036854775808)" if read.created else "0"
    select = ", ".join(
        [*([columns(keys)] if keys else []), f"{event} AS event", f"{created} AS created", f"{ROW} AS row"]
    )
    grouped = f"GROUP BY {columns(keys)}" if keys else ""
    scan = read.files.scan(select, read.conditions)
    found = connection.execute(
        f"SELECT arg_max(row, ROW(event, created, row)) AS row FROM ({scan}) {grouped}"
    ).fetchnumpy()["row"]
    return np.sort(np.ma.compressed(found)).astype(np.int64)


def _streamed(relation: duckdb.DuckDBPyRelation, rows: int) -> Iterator[pa.Table]:
    reader = relation.to_arrow_reader(rows)
    empty = True
    for batch in reader:
        empty = False
        yield pa.Table.from_batches([batch])
    if empty:
        yield reader.schema.empty_table()

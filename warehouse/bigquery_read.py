"""Read connections on BigQuery: GoogleSQL in, Arrow with BigQuery's types out."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions as google
from google.cloud import bigquery

from market.errors import QueryError, WarehouseError
from warehouse.bigquery_client import BigQuery
from warehouse.bigquery_errors import bigquery_errors
from warehouse.bigquery_parameters import bound
from warehouse.bigquery_sql import as_of, parameter_names, to_bigquery
from warehouse.bigquery_storage import storage_client
from warehouse.bigquery_types import arrow_schema
from warehouse.dialect import TableNames

log = logging.getLogger(__name__)

_NOW = "SELECT CURRENT_TIMESTAMP() AS now"
DEFAULT_BATCH_ROWS = 100_000


class BigQueryReadConnection:
    """A consistent read view: every statement reads the tables as of the instant of the first one.

    Args:
        bigquery_: Runs the jobs.
        names: What a statement may name.
        is_pinned: False for a connection of one statement, which is consistent by itself.
        timeless: Asked before the first pinned statement: the contract's tables in whose place a view stands.
    """

    def __init__(
        self,
        bigquery_: BigQuery,
        names: TableNames,
        *,
        is_pinned: bool = True,
        timeless: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        """Nothing is asked yet."""
        self._bigquery = bigquery_
        self._names = names
        self._is_pinned = is_pinned
        self._timeless = timeless
        self._instant: datetime | None = None
        self.is_closed = False

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one GoogleSQL SELECT and return all rows (TIMESTAMP comes back as timestamp[us, tz=UTC])."""
        rows = self._run(sql, parameters)
        schema = arrow_schema(rows.schema)
        return pa.Table.from_batches(self._batches(rows, schema), schema)

    def stream(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, batch_rows: int = DEFAULT_BATCH_ROWS
    ) -> pa.RecordBatchReader:
        """Run one GoogleSQL SELECT and return its rows in batches; the reader lives as long as the connection."""
        rows = self._run(sql, parameters, page_rows=batch_rows)
        schema = arrow_schema(rows.schema)
        return pa.RecordBatchReader.from_batches(schema, self._sliced(self._batches(rows, schema), batch_rows))

    def export_parquet(self, sql: str, path: Path, parameters: Mapping[str, Any] | None = None) -> int:
        """Write a SELECT's rows to one parquet file (created whole by an atomic rename); returns the row count."""
        reader = self.stream(sql, parameters)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        written = 0
        try:
            with pq.ParquetWriter(beside, reader.schema, compression="zstd") as writer:
                for batch in reader:
                    writer.write_batch(batch)
                    written += batch.num_rows
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        return written

    def prepare(self, sql: str, parameters: Mapping[str, Any]) -> str:
        """The statement as BigQuery gets it.

        Raises:
            QueryError: For a parameter that is missing or that the statement does not have.
        """
        known, given = parameter_names(sql), {name.lower() for name in parameters}
        if known != given:
            missing, excess = sorted(known - given), sorted(given - known)
            what = f"missing {', '.join(missing)}" if missing else f"{', '.join(excess)} not in the statement"
            raise QueryError(f"parameters: {what}", remedy="give exactly the statement's @parameters")
        if not self._is_pinned:
            return to_bigquery(sql, self._names)
        return as_of(sql, self._names, self._now(), self._timeless())

    def _run(
        self, sql: str, parameters: Mapping[str, Any] | None, page_rows: int = DEFAULT_BATCH_ROWS
    ) -> bigquery.table.RowIterator:
        self._refuse_closed()
        statement = self.prepare(sql, parameters or {})
        return self._bigquery.query(
            statement, bound(parameters or {}), doing="query", known_as=sql, page_rows=page_rows
        )

    def _now(self) -> datetime:
        """BigQuery's own clock at the first statement: this machine's may be late or early."""
        if self._instant is None:
            [row] = self._bigquery.query(_NOW, doing="read BigQuery's clock")
            self._instant = row.now
        return self._instant

    def _batches(self, rows: bigquery.table.RowIterator, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        storage = storage_client(self._bigquery)
        with bigquery_errors("read a result"):
            try:
                arrived = rows.to_arrow_iterable(bqstorage_client=storage)
                first = next(arrived, None)
            except (google.Forbidden, google.NotFound, google.MethodNotImplemented) as error:
                if storage is None:
                    raise
                log.warning("the Storage API refuses to read (%s): reading over REST, which is slower", error)
                arrived = rows.to_arrow_iterable()
                first = next(arrived, None)
            while first is not None:
                self._refuse_closed()
                yield first.cast(schema) if first.schema != schema else first
                first = next(arrived, None)

    @staticmethod
    def _sliced(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)

    def _refuse_closed(self) -> None:
        if self.is_closed:
            raise WarehouseError("this connection is closed", remedy="query inside the `with warehouse.read()` block")

"""Rows on their way into BigQuery: a staging table that expires by itself, filled by a load job or by a SELECT.

Rows from outside are checked by the embedded engine's stager before anything is sent; rows of a SELECT stay inside
BigQuery and are checked there, by the same rules and with the same words.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from market.errors import QueryError, WarehouseError
from warehouse.bigquery_client import BigQuery
from warehouse.bigquery_errors import bigquery_errors
from warehouse.bigquery_parameters import bound
from warehouse.bigquery_read import BigQueryReadConnection
from warehouse.bigquery_select import SelectChecks
from warehouse.bigquery_sql import table_path
from warehouse.bigquery_types import cast_expression, google_type, staging_fields
from warehouse.bigquery_waiting import Waiting, ranged_columns
from warehouse.dialect import TableNames
from warehouse.duckdb_host import identifier, quoted
from warehouse.schema import Column, SchemaFolder, Table
from warehouse.staging import Stager, refuse_wrong_columns
from warehouse.warehouse import Rows, Write

log = logging.getLogger(__name__)


class BigQueryStager:
    """Stages the writes of one call; use it as a context, which drops the staging tables at its end.

    Args:
        bigquery_: Runs the jobs.
        schema: The tables.
        names: Their configured names.
        local: The checks of rows from outside.
        folder: Where parquet files lie until they are loaded.
        reads: Prepares the SELECTs; all of one call see one instant.
    """

    def __init__(
        self,
        bigquery_: BigQuery,
        schema: SchemaFolder,
        names: TableNames,
        local: duckdb.DuckDBPyConnection,
        folder: Path,
        reads: BigQueryReadConnection,
    ) -> None:
        """Nothing is staged yet."""
        self._bigquery = bigquery_
        self._schema = schema
        self._names = names
        self._local = local
        self._folder = folder
        self._reads = reads
        self._made: list[str] = []

    @contextmanager
    def staging(self, writes: Sequence[Write]) -> Iterator[list[Waiting]]:
        """Every write staged and checked; the staging tables go with the block.

        Raises:
            SchemaError: Rows do not fit their table.
            DuplicateKeyError: Two rows have one key.
            QueryError: A SELECT is refused.
        """
        try:
            yield [self._stage(write) for write in writes]
        finally:
            self._drop()

    def _stage(self, write: Write) -> Waiting:
        table = self._schema.table(write.table)
        if write.rows is not None and write.sql is None:
            return self._stage_rows(write, table, write.rows)
        if write.sql is None or write.rows is not None:
            raise QueryError(f"{write.table}: give either `rows` or `sql`", remedy="mend the Write")
        return self._stage_select(write, table, write.sql)

    def _stage_rows(self, write: Write, table: Table, rows: Rows) -> Waiting:
        staged = Stager(self._local, self._folder).stage_rows(write, table, rows)
        if not staged.rows:
            return Waiting(write, table, "", 0)
        file = self._for_loading(table, staged.file)
        target = self._new_table()
        self._bigquery.load(file, ".".join(target), staging_fields(table), doing=f"load rows of {table.name}")
        ranged = ranged_columns(table)
        bounds = {}
        if ranged:
            picks = ", ".join(f"MIN({identifier(name)}), MAX({identifier(name)})" for name in ranged)
            [found] = self._local.execute(f"SELECT {picks} FROM read_parquet({quoted(file)})").fetchall()
            bounds = {name: (found[2 * i], found[2 * i + 1]) for i, name in enumerate(ranged)}
        kinds = {column.name: "STRING" if column.type == "JSON" else column.type for column in table.columns}
        return Waiting(write, table, table_path(*target), staged.rows, _expressions(table, kinds), bounds)

    def _for_loading(self, table: Table, file: Path) -> Path:
        """The staged rows in what every load job reads: parquet 1 with Snappy, and JSON as plain text."""
        texts = [identifier(column.name) for column in table.columns if column.type == "JSON"]
        casts = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in texts)
        plain = file.with_suffix(".load.parquet")
        self._local.execute(
            f"COPY (SELECT *{f' REPLACE ({casts})' if texts else ''} FROM read_parquet({quoted(file)})) "
            f"TO {quoted(plain)} (FORMAT parquet, PARQUET_VERSION v1, COMPRESSION snappy)"
        ).fetchall()
        file.unlink()
        return plain

    def _stage_select(self, write: Write, table: Table, sql: str) -> Waiting:
        target = self._new_table()
        doing = f"rows of {table.name}"
        statement = self._reads.prepare(sql, write.parameters)
        rows = self._bigquery.query(
            statement, bound(write.parameters), doing=doing, known_as=sql, destination=".".join(target)
        )
        given = {item.name: google_type(item) for item in rows.schema}
        refuse_wrong_columns(table, given)
        checks = SelectChecks(self._bigquery, write, table, table_path(*target), _expressions(table, given))
        return checks.run()

    def _new_table(self) -> tuple[str, str, str]:
        target = (
            self._names.project,
            self._bigquery.settings.bigquery.staging_dataset,
            f"staged_{uuid.uuid4().hex}",
        )
        self._made.append(".".join(target))
        return target

    def _drop(self) -> None:
        """Expiry removes what cannot be removed now."""
        for target in self._made:
            try:
                with bigquery_errors("drop a staging table"):
                    self._bigquery.client.delete_table(target, not_found_ok=True, retry=self._bigquery.retry)
            except WarehouseError as error:
                log.warning("%s stays until it expires: %s", target, error.message)
        self._made.clear()


def _expressions(table: Table, given: dict[str, str]) -> tuple[str, ...]:
    def one(column: Column) -> str:
        return cast_expression(table.name, column, given.get(column.name))

    return tuple(map(one, table.columns))

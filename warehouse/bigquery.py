"""The production engine: tables in BigQuery, rows through load jobs, the Storage API and one transaction a write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from configs.settings import WarehouseSettings
from warehouse.bigquery_apply import apply_waiting
from warehouse.bigquery_client import BigQuery
from warehouse.bigquery_ddl import bring_up, in_place_of_tables, look_up, path_of
from warehouse.bigquery_read import BigQueryReadConnection
from warehouse.bigquery_sql import literal, table_path
from warehouse.bigquery_staging import BigQueryStager
from warehouse.dialect import TableNames
from warehouse.duckdb_host import start_instance
from warehouse.locks import ThreadGate
from warehouse.schema import ENGINE_TABLE, load_schema
from warehouse.staging import staging_folder
from warehouse.warehouse import TableStatistics, Write, WriteResult


class BigQueryWarehouse:
    """The warehouse protocol on BigQuery.

    Args:
        settings: Project, datasets, location, limits, emulator.
        staging: Disposable folder for rows on their way in.
        sql_folder: Where `tables/*.sql` and `views/*.sql` lie; default the project's own.
        labels: Of every job, beside `app: tradehits`.
    """

    def __init__(
        self,
        settings: WarehouseSettings,
        *,
        staging: Path,
        sql_folder: Path | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is connected or created yet."""
        self.bigquery = BigQuery(settings, labels)
        self._settings = settings
        self._staging = staging
        self._schema = load_schema(sql_folder)
        self._names = TableNames.of(settings, self._schema)
        self._gate = ThreadGate()
        self._in_place_of_tables: frozenset[str] | None = None

    def ensure_schema(self) -> None:
        """Create every dataset, table and view that is missing, and refresh views whose text changed. Idempotent.

        Raises:
            SchemaError: A table differs from its file (the column is named), or was not made by the platform.
            WarehouseAccessError: Credentials, project or a permission is missing, or a dataset lies elsewhere.
        """
        self._gate.refuse_own_hold("write")
        self._in_place_of_tables = bring_up(self.bigquery, self._schema, self._names)

    @contextmanager
    def read(self) -> Iterator[BigQueryReadConnection]:
        """Open a read connection: its statements see the tables of one instant. It holds back no writer.

        The thread that holds it cannot write, as on the embedded engine.
        """
        with self._gate.read(self._settings.lock_timeout_seconds):
            connection = self._connection()
            try:
                yield connection
            finally:
                connection.is_closed = True

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one SELECT on a connection of its own."""
        return BigQueryReadConnection(self.bigquery, self._names, is_pinned=False).query(sql, parameters)

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Apply all writes in one transaction, or none. Rows are staged before it begins.

        Raises:
            SchemaError: Rows do not fit their table.
            DuplicateKeyError: Two rows would have one key.
            WarehouseLockedError: Other writers leave no turn for longer than the configured timeout.
            WarehouseError: And its subclasses: something is missing, used up or too dear; nothing was written.
        """
        self._gate.refuse_own_hold("write")
        if self._in_place_of_tables is None:
            self.ensure_schema()
        with staging_folder(self._staging) as folder:
            local = start_instance(self._settings, self._staging)
            try:
                stager = BigQueryStager(self.bigquery, self._schema, self._names, local, folder, self._connection())
                with stager.staging(writes) as waiting:
                    return apply_waiting(self.bigquery, waiting, self._names)
            finally:
                local.close()

    def statistics(self) -> list[TableStatistics]:
        """Rows, bytes and last change of every table."""
        datasets = {name.split(".")[0]: self._names.local_table(name)[0] for name in self._schema.tables}
        metadata = " UNION ALL ".join(
            f"SELECT CONCAT({literal(dataset)}, '.', table_id) AS name, row_count, size_bytes "
            f"FROM {table_path(self._names.project, local, '__TABLES__')} WHERE type = 1"
            for dataset, local in sorted(datasets.items())
        )
        book = f"SELECT * FROM {path_of(self._names, ENGINE_TABLE)} WHERE write_count > 0"
        rows = self.bigquery.query(
            f"SELECT name, row_count, size_bytes, last_modified_at FROM ({metadata}) AS meta "
            f"LEFT JOIN ({book}) AS book ON book.table_name = meta.name ORDER BY name",
            doing="table sizes",
        )
        return [TableStatistics(*row.values()) for row in rows if row.name in self._schema.tables]

    def _connection(self) -> BigQueryReadConnection:
        return BigQueryReadConnection(self.bigquery, self._names, timeless=self._timeless)

    def _timeless(self) -> frozenset[str]:
        if self._in_place_of_tables is None:
            stored = look_up(self.bigquery, self._names, sorted(self._schema.tables))
            self._in_place_of_tables = in_place_of_tables(self._schema, stored)
        return self._in_place_of_tables

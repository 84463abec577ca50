"""The embedded engine: one DuckDB file, many readers or one writer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from configs.settings import WarehouseSettings
from market.errors import QueryError, WarehouseError
from warehouse.dialect import TableNames
from warehouse.dialect.metadata import TABLES_VIEW
from warehouse.duckdb_apply import apply_staged
from warehouse.duckdb_ddl import bring_up, schema_digest, stored_digest
from warehouse.duckdb_host import Host
from warehouse.duckdb_read import DuckDBReadConnection, query_errors
from warehouse.locks import Gate
from warehouse.schema import load_schema
from warehouse.staging import Staged, Stager, staging_folder
from warehouse.warehouse import TableStatistics, Write, WriteResult


class DuckDBWarehouse:
    """The warehouse protocol on one DuckDB file.

    Reading needs an existing file: a missing one is a `WarehouseError`. `ensure_schema` and `write` create it.

    Args:
        file: The database file; None for a private database in memory, which ends with this object.
        settings: Names, limits and the lock's timeout.
        staging: Disposable folder for rows on their way in and for spilled intermediate results.
        sql_folder: Where `tables/*.sql` and `views/*.sql` lie; default the project's own.
    """

    def __init__(
        self, file: Path | None, *, settings: WarehouseSettings, staging: Path, sql_folder: Path | None = None
    ) -> None:
        """Nothing is opened, created or locked yet."""
        self._file = file
        self._settings = settings
        self._staging = staging
        self._schema = load_schema(sql_folder)
        self._names = TableNames.of(settings, self._schema)
        self._gate = Gate(file, settings.lock_timeout_seconds)
        self._host = Host(file, settings, staging)
        self._is_brought_up = False
        self._own_folder: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def scratch(cls, settings: WarehouseSettings, *, sql_folder: Path | None = None) -> DuckDBWarehouse:
        """A private warehouse in memory, its schema ready; its staging folder goes with the object."""
        folder = tempfile.TemporaryDirectory(prefix="tradehits-scratch-")
        warehouse = cls(None, settings=settings, staging=Path(folder.name), sql_folder=sql_folder)
        warehouse._own_folder = folder
        warehouse.ensure_schema()
        return warehouse

    def ensure_schema(self) -> None:
        """Create every dataset, table and view that is missing, and refresh views whose text changed. Idempotent.

        Raises:
            SchemaError: For a table that holds rows and differs from its file; the column is named.
        """
        self._gate.refuse_own_hold("write")
        if self._is_current():
            self._is_brought_up = True
            return
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._gate.write(), self._host.attached(read_only=False) as lender:
            bring_up(lender.cursor(), self._schema, self._names)
        self._is_brought_up = True

    @contextmanager
    def read(self) -> Iterator[DuckDBReadConnection]:
        """Open a read connection; close it soon, a writer waits for it.

        Raises:
            WarehouseError: When there is no warehouse file yet.
            WarehouseLockedError: When a writer stays longer than the configured timeout.
        """
        if self._file is not None and not self._file.exists():
            raise WarehouseError(f"there is no warehouse yet at {self._file}", remedy="fill it with `tradehits ingest`")
        with self._gate.read(), self._host.attached(read_only=True) as lender:
            yield DuckDBReadConnection(lender, self._names, self._staging)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one SELECT on a connection of its own."""
        with self.read() as connection:
            return connection.query(sql, parameters)

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Apply all writes in one transaction, or none. Rows are staged before the lock is taken.

        Raises:
            SchemaError: Rows do not fit their table.
            DuplicateKeyError: Two rows would have one key.
            WarehouseLockedError: Others hold the warehouse longer than the configured timeout.
            WarehouseError: The calling thread holds a read connection of this warehouse.
        """
        self._gate.refuse_own_hold("write")
        if not self._is_brought_up:
            self.ensure_schema()
        with staging_folder(self._staging) as folder:
            staged = self._stage(writes, folder)
            with self._gate.write(), self._host.attached(read_only=False) as lender:
                return apply_staged(lender.cursor(), staged, self._names)

    def statistics(self) -> list[TableStatistics]:
        """Rows, bytes and last change of every table."""
        with self.read() as connection:
            rows = connection.rows(
                f"SELECT name, row_count, size_bytes, last_modified_at FROM {TABLES_VIEW} WHERE type = 1 ORDER BY name"
            )
        return [TableStatistics(*row) for row in rows]

    def _is_current(self) -> bool:
        if self._file is not None and not self._file.exists():
            return False
        with self._gate.read(), self._host.attached(read_only=True) as lender:
            return stored_digest(lender.cursor()) == schema_digest(self._schema, self._names)

    def _stage(self, writes: Sequence[Write], folder: Path) -> list[Staged]:
        connection = self._host.stager()
        try:
            stager = Stager(connection, folder)
            return [self._stage_one(stager, write) for write in writes]
        except duckdb.OutOfMemoryException as error:
            raise WarehouseError(str(error), remedy="raise warehouse.memory_limit or write less at once") from error
        finally:
            connection.close()

    def _stage_one(self, stager: Stager, write: Write) -> Staged:
        table = self._schema.table(write.table)
        if write.rows is not None and write.sql is None:
            return stager.stage_rows(write, table, write.rows)
        if write.sql is None or write.rows is not None:
            raise QueryError(f"{write.table}: give either `rows` or `sql`", remedy="mend the Write")
        with self.read() as connection, query_errors():
            return stager.stage_relation(write, table, connection.relation(write.sql, write.parameters))

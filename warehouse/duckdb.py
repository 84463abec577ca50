"""The embedded engine: one DuckDB file, many readers or one writer."""

from __future__ import annotations

import shutil
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
from warehouse.duckdb_compact import Compaction, remove_leftovers, swap_in, write_copy
from warehouse.duckdb_contents import TableContent, table_content, table_names
from warehouse.duckdb_ddl import bring_up, schema_digest
from warehouse.duckdb_errors import file_errors
from warehouse.duckdb_host import CATALOG, Host, Lender
from warehouse.duckdb_migrate import refuse_newer, stored_state
from warehouse.duckdb_read import DuckDBReadConnection, query_errors
from warehouse.duckdb_staging import PartStager, Staged
from warehouse.locks import Gate
from warehouse.migrations import STEPS, Step, newest_version
from warehouse.schema import load_schema
from warehouse.staging import staging_folder
from warehouse.warehouse import TableStatistics, Write, WriteResult


class DuckDBWarehouse:
    """The warehouse protocol on one DuckDB file.

    Reading needs an existing file: a missing one is a `WarehouseError`. `ensure_schema` and `write` create it.

    Args:
        file: The database file; None for a private database in memory, which ends with this object.
        settings: Names, limits and the lock's timeout.
        staging: Disposable folder for rows on their way in and for spilled intermediate results.
        sql_folder: Where `tables/*.sql` and `views/*.sql` lie; default the project's own.
        steps: How files of earlier schema versions are migrated.
    """

    def __init__(
        self,
        file: Path | None,
        *,
        settings: WarehouseSettings,
        staging: Path,
        sql_folder: Path | None = None,
        steps: Sequence[Step] = STEPS,
    ) -> None:
        """Nothing is opened, created or locked yet."""
        self._file = file
        self._steps = steps
        self._settings = settings
        self._staging = staging
        self._schema = load_schema(sql_folder)
        self._names = TableNames.of(settings, self._schema)
        self._gate = Gate(file, settings.lock_timeout_seconds)
        self._host = Host(file, settings, staging)
        self._is_brought_up = False
        self._is_known = False
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
        """Bring the schema up to its SQL files: create what is missing, migrate what is older. Idempotent.

        Raises:
            NewerSchemaError: The file was written by a newer version of this software.
            SchemaError: For a table that holds rows and differs from its file; the column is named.
            WarehouseFileError: The file or its folder cannot be used.
        """
        self._gate.refuse_own_hold("write")
        with file_errors():
            if not self._is_current():
                if self._file is not None:
                    self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._gate.write(), self._host.attached(read_only=False) as lender:
                    bring_up(lender.cursor(), self._schema, self._names, self._steps)
        self._is_brought_up = self._is_known = True

    @contextmanager
    def read(self) -> Iterator[DuckDBReadConnection]:
        """Open a read connection; close it soon, a writer waits for it.

        Raises:
            WarehouseError: When there is no warehouse file yet.
            NewerSchemaError: The file was written by a newer version of this software.
            WarehouseFileError: The file or its folder cannot be used.
            WarehouseLockedError: When a writer stays longer than the configured timeout.
        """
        if self._file is not None and not self._file.exists():
            raise WarehouseError(f"there is no warehouse yet at {self._file}", remedy="fill it with `tradehits ingest`")
        with self._gate.read(), self._host.attached(read_only=True) as lender:
            if not self._is_known:
                self._stored_state(lender)
                self._is_known = True
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
            WarehouseFileError: The disk is full, or the file cannot be used; nothing was written.
            WarehouseError: The calling thread holds a read connection of this warehouse.
        """
        self._gate.refuse_own_hold("write")
        if not self._is_brought_up:
            self.ensure_schema()
        with file_errors(), staging_folder(self._staging) as folder:
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

    def compact(self) -> Compaction:
        """Rewrite the file without the space of deleted and replaced rows, and put it in the old one's place.

        Readers and writers wait. The copy is compared table by table before the swap, which is one rename: a process
        killed anywhere leaves the old file or the new one.

        Raises:
            WarehouseError: This warehouse lies in memory, or the copy is not what it should be; the file is as it was.
            WarehouseFileError: The disk has no room for the copy.
            WarehouseLockedError: Others hold the warehouse longer than the configured timeout.
        """
        if self._file is None:
            raise WarehouseError("a warehouse in memory has no file to compact", remedy="compact one on disk")
        self.ensure_schema()
        file = self._file.resolve()
        with file_errors(), self._gate.write():
            try:
                with self._host.attached(read_only=False) as lender:
                    compaction = write_copy(lender.cursor(), file)
                return swap_in(file, compaction)
            finally:
                remove_leftovers(file)

    def copy_to(self, target: Path) -> list[TableContent]:
        """Copy the file as it stands between two writes; readers and writers wait meanwhile.

        Args:
            target: The new file.

        Returns:
            What the copy holds, table by table.

        Raises:
            WarehouseError: This warehouse lies in memory or does not exist.
            WarehouseFileError: The disk has no room for the copy.
            WarehouseLockedError: Others hold the warehouse longer than the configured timeout.
        """
        if self._file is None or not self._file.exists():
            raise WarehouseError("there is no warehouse file to copy", remedy="fill it with `tradehits ingest`")
        with file_errors(), self._gate.write():
            with self._host.attached(read_only=False) as lender:
                cursor = lender.cursor()
                cursor.execute(f"CHECKPOINT {CATALOG}")  # the log's changes into the file, which is copied alone
                contents = [table_content(cursor, CATALOG, table) for table in table_names(cursor, CATALOG)]
            shutil.copyfile(self._file, target)
        return contents

    def contents(self) -> list[TableContent]:
        """What the file holds, table by table.

        Raises:
            WarehouseError: There is no warehouse.
            WarehouseFileError: The file is damaged.
        """
        with file_errors(), self._gate.read(), self._host.attached(read_only=True) as lender:
            cursor = lender.cursor()
            return [table_content(cursor, CATALOG, table) for table in table_names(cursor, CATALOG)]

    def _is_current(self) -> bool:
        if self._file is not None and not self._file.exists():
            return False
        with self._gate.read(), self._host.attached(read_only=True) as lender:
            return self._stored_state(lender) == (schema_digest(self._schema, self._names), newest_version(self._steps))

    def _stored_state(self, lender: Lender) -> tuple[str, int] | None:
        """Refuse a newer file; and clear away what a killed compaction left, as none runs while this holds the lock."""
        with file_errors():
            if self._file is not None:
                remove_leftovers(self._file.resolve())
            state = stored_state(lender.cursor())
        refuse_newer(state, self._steps)
        return state

    def _stage(self, writes: Sequence[Write], folder: Path) -> list[Staged]:
        try:
            stager = PartStager(self._host.stager, folder, self._settings.threads)
            return [self._stage_one(stager, write) for write in writes]
        except duckdb.OutOfMemoryException as error:
            raise WarehouseError(str(error), remedy="raise warehouse.memory_limit or write less at once") from error

    def _stage_one(self, stager: PartStager, write: Write) -> Staged:
        table = self._schema.table(write.table)
        if write.rows is not None and write.sql is None:
            return stager.stage_rows(write, table, write.rows)
        if write.sql is None or write.rows is not None:
            raise QueryError(f"{write.table}: give either `rows` or `sql`", remedy="mend the Write")
        sql = write.sql
        with self.read() as connection, query_errors():
            return stager.stage_select(write, table, lambda parameters: connection.relation(sql, parameters))

"""One DuckDB instance per warehouse object, to which the file is attached while it is read or written.

Starting an instance costs 20–40 ms, attaching a file to a running one 2 ms, and only an attached file is held open. So
the instance lives as long as the warehouse object, and the file is attached for the life of a connection.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from configs.settings import WarehouseSettings
from market.errors import WarehouseError, WarehouseLockedError
from warehouse.duckdb_errors import file_error

CATALOG = "warehouse"


def quoted(text: str | Path) -> str:
    """A SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


class Host:
    """Lends cursors on the attached warehouse.

    Args:
        file: The database file; None for a private database in memory.
        settings: Memory and threads.
        staging: The one folder, beside the file's own, that SQL may touch.
    """

    def __init__(self, file: Path | None, settings: WarehouseSettings, staging: Path) -> None:
        """Nothing is started or created yet."""
        self._file = file
        self._settings = settings
        self._staging = staging
        self._lock = threading.Lock()
        self._instance: duckdb.DuckDBPyConnection | None = None
        self._stager: duckdb.DuckDBPyConnection | None = None
        self._attached = 0

    def stager(self) -> duckdb.DuckDBPyConnection:
        """A cursor on a second instance, which may read any file and knows no warehouse; the caller closes it."""
        with self._lock:
            if self._stager is None:
                self._stager = start_instance(self._settings, self._staging)
            return self._stager.cursor()

    @contextmanager
    def attached(self, *, read_only: bool) -> Iterator[Lender]:
        """Attach the file (once for all readers of this object) and lend cursors until the block ends."""
        with self._lock:
            instance = self._started()
            if self._file is not None and self._attached == 0:
                self._attach(instance, self._file, read_only)
            self._attached += 1
        lender = Lender(instance)
        try:
            yield lender
        finally:
            lender.close()
            with self._lock:
                self._attached -= 1
                if self._file is not None and self._attached == 0:
                    self._detach(instance)

    def _detach(self, instance: duckdb.DuckDBPyConnection) -> None:
        try:
            instance.execute(f"DETACH {CATALOG}")
        except duckdb.Error:  # a fatal error has ended this instance; the next use starts another
            instance.close()
            self._instance = None

    def _started(self) -> duckdb.DuckDBPyConnection:
        if self._instance is None:
            self._instance = start_instance(self._settings, self._staging)
            folders = [self._staging, *([self._file.parent] if self._file else [])]
            allowed = ", ".join(quoted(f"{folder.resolve()}/") for folder in folders)
            if self._file is None:
                self._instance.execute(f"ATTACH ':memory:' AS {CATALOG}")
            # The last order matters: once external access is off it cannot be switched on again.
            self._instance.execute(f"SET allowed_directories = [{allowed}]")
            self._instance.execute("SET enable_external_access = false")
        return self._instance

    def _attach(self, instance: duckdb.DuckDBPyConnection, file: Path, read_only: bool) -> None:
        if read_only and not file.exists():
            raise WarehouseError(f"there is no warehouse yet at {file}", remedy="fill it with `tradehits ingest`")
        try:
            instance.execute(f"ATTACH {quoted(file)} AS {CATALOG}{' (READ_ONLY)' if read_only else ''}")
        except duckdb.Error as error:
            named = file_error(error)
            if named is not None:
                raise named from error
            if isinstance(error, duckdb.IOException) and "lock" in str(error).lower():
                raise WarehouseLockedError(
                    f"{file} is open in a program that does not take the warehouse's lock: {error}",
                    remedy="close the other program (a DuckDB shell, a notebook), or let it read an export",
                ) from error
            raise WarehouseError(f"cannot open {file}: {error}", remedy="restore the file from its backup") from error


class Lender:
    """Cursors with the warehouse as default catalog; closing the lender closes them."""

    def __init__(self, instance: duckdb.DuckDBPyConnection) -> None:
        """Lend from a running instance."""
        self._instance = instance
        self._cursors: list[duckdb.DuckDBPyConnection] = []
        self.is_closed = False

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A new cursor: a running result blocks its own cursor only."""
        if self.is_closed:
            raise WarehouseError("this connection is closed", remedy="query inside the `with warehouse.read()` block")
        cursor = self._instance.cursor()
        cursor.execute(f"USE {CATALOG}")
        self._cursors.append(cursor)
        return cursor

    def close(self) -> None:
        """Close every cursor; results that were not fetched are lost."""
        self.is_closed = True
        for cursor in self._cursors:
            cursor.close()
        self._cursors.clear()


def process_name(kind: str) -> str:
    """A unique name that tells which process on which host made it, so that leftovers can be recognised."""
    return f"{kind}@{socket.gethostname()}@{os.getpid()}@{uuid.uuid4().hex}"


def start_instance(settings: WarehouseSettings, staging: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory instance with the session settings that GoogleSQL needs, and the configured limits.

    `ieee_floating_point_ops` off makes x / 0, LN(0) and SQRT(-1) errors, as in BigQuery.
    """
    staging.mkdir(parents=True, exist_ok=True)
    instance = duckdb.connect(
        config={
            "memory_limit": settings.memory_limit,
            "threads": str(settings.threads),
            # Two instances in one spill folder would overwrite each other's files.
            "temp_directory": str(staging.resolve() / process_name("spill")),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    instance.execute("SET GLOBAL TimeZone = 'UTC'")
    instance.execute("SET GLOBAL ieee_floating_point_ops = false")
    return instance

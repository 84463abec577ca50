"""Staged rows → tables, in one transaction. Keys stay unique by these statements: the tables carry no index."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import duckdb

from market.errors import DuplicateKeyError, WarehouseError
from warehouse.dialect import TableNames
from warehouse.duckdb_errors import file_error
from warehouse.duckdb_host import identifier
from warehouse.duckdb_staging import Part, Staged, mapped
from warehouse.schema import ENGINE_TABLE
from warehouse.staging import key_text, scope_condition
from warehouse.warehouse import WriteResult

_ROWS = "staged_rows"


def apply_staged(cursor: duckdb.DuckDBPyConnection, staged: Sequence[Staged], names: TableNames) -> list[WriteResult]:
    """Apply all, or none."""
    cursor.execute("BEGIN")
    try:
        results = [_Apply(cursor, one, names).run() for one in staged]
        changed = {r.table for r in results if r.inserted or r.updated or r.deleted}
        _note_writes(cursor, sorted(changed), names)
        cursor.execute("COMMIT")
    except BaseException as error:
        rollback(cursor)
        if isinstance(error, duckdb.Error):
            raise file_error(error) or WarehouseError(
                f"the write failed and left nothing behind: {error}", remedy="see the cause"
            ) from error
        raise
    return results


def rollback(cursor: duckdb.DuckDBPyConnection) -> None:
    """Undo the open transaction; a COMMIT that failed has undone itself, and then there is none."""
    with suppress(duckdb.TransactionException, duckdb.FatalException):
        cursor.execute("ROLLBACK")


class _Apply:
    """One staged write inside the open transaction; no two of its parts share a key."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, staged: Staged, names: TableNames) -> None:
        self._cursor = cursor
        self._staged = staged
        self._target = ".".join(map(identifier, names.local_table(staged.table.name)))
        self._columns = ", ".join(identifier(column.name) for column in staged.table.columns)
        self._same_key = " AND ".join(f"old.{identifier(k)} = new.{identifier(k)}" for k in staged.table.key)

    def run(self) -> WriteResult:
        write, rows = self._staged.write, self._staged.rows
        if write.mode == "merge":
            updated = self._each(f"DELETE FROM {self._target} AS old USING {_ROWS} AS new WHERE {self._same_key}")
            return WriteResult(write.table, self._insert() - updated, updated, 0, 0)
        if write.mode == "replace":
            deleted = self._delete_scope()
            if not set(write.where) <= set(self._staged.table.key):
                self._refuse_existing()
            return WriteResult(write.table, self._insert(), 0, deleted, 0)
        if write.skip_existing:
            inserted = self._insert(f"WHERE NOT EXISTS (SELECT 1 FROM {self._target} AS old WHERE {self._same_key})")
            return WriteResult(write.table, inserted, 0, 0, rows - inserted)
        self._refuse_existing()
        return WriteResult(write.table, self._insert(), 0, 0, 0)

    def _insert(self, condition: str = "") -> int:
        return self._each(
            f"INSERT INTO {self._target} ({self._columns}) SELECT {self._columns} FROM {_ROWS} AS new {condition}"
        )

    def _each(self, sql: str) -> int:
        """Run a statement for every part, mapping one at a time; returns the rows it changed."""
        return sum(int(self._run(sql, part)[0][0]) for part in self._staged.parts)

    def _run(self, sql: str, part: Part) -> list[tuple[Any, ...]]:
        """A registered part would stay mapped until the transaction ends; one that a relation names does not."""
        with mapped([part]) as [rows]:
            result = self._cursor.from_arrow(rows).query(_ROWS, sql)
            return result.fetchall() if result is not None else []

    def _delete_scope(self) -> int:
        write = self._staged.write
        if not write.where:
            return self._count(f"DELETE FROM {self._target}")
        condition = scope_condition(self._staged.table, write)
        return self._count(f"DELETE FROM {self._target} WHERE {condition}", dict(write.where))

    def _refuse_existing(self) -> None:
        key = ", ".join(f"new.{identifier(name)}" for name in self._staged.table.key)
        sql = f"SELECT {key} FROM {_ROWS} AS new SEMI JOIN {self._target} AS old ON {self._same_key} LIMIT 1"
        for part in self._staged.parts:
            found = self._run(sql, part)
            if found:
                raise DuplicateKeyError(
                    f"{self._staged.table.name}: a row with this key exists ({key_text(self._staged.table, found[0])})",
                    remedy="append with skip_existing=True, or merge",
                )

    def _count(self, sql: str, parameters: dict[str, object] | None = None) -> int:
        found = self._cursor.execute(sql, parameters or {}).fetchone()
        return int(found[0]) if found else 0


def _note_writes(cursor: duckdb.DuckDBPyConnection, tables: list[str], names: TableNames) -> None:
    target = ".".join(map(identifier, names.local_table(ENGINE_TABLE)))
    for table in sorted({*tables, *([ENGINE_TABLE] if tables else [])}):
        before = cursor.execute(
            f"DELETE FROM {target} WHERE table_name = $t RETURNING write_count", {"t": table}
        ).fetchone()
        cursor.execute(
            f"INSERT INTO {target} VALUES ($t, now(), $n)", {"t": table, "n": (before[0] if before else 0) + 1}
        )

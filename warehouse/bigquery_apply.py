"""Staged rows → tables, in one multi-statement transaction: all writes or none.

BigQuery isolates by snapshot. Transactions that change rows of one table cancel each other, but two that only insert
do not, and both would insert the same key. So every transaction changes the engine's own row of
`tradehits.table_writes`, to itself at its beginning, so that the later one loses no time, and with the count of writes
at its end: of two at once one is cancelled, runs again, and finds what the other wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from market.errors import DuplicateKeyError, QueryError, WarehouseError
from warehouse.bigquery_client import BigQuery
from warehouse.bigquery_ddl import path_of
from warehouse.bigquery_parameters import Bound, bound
from warehouse.bigquery_sql import literal
from warehouse.bigquery_waiting import Waiting, scope
from warehouse.dialect import TableNames
from warehouse.schema import ENGINE_TABLE, Table
from warehouse.staging import key_text
from warehouse.warehouse import WriteResult

_CLASH = "tradehits-clash:"
_NO_TURN = "tradehits-no-turn"


def apply_waiting(bigquery: BigQuery, waiting: Sequence[Waiting], names: TableNames) -> list[WriteResult]:
    """Apply all, or none.

    Raises:
        DuplicateKeyError: A write would leave two rows with one key; the key is named.
        WarehouseLockedError: Other writers left no turn within `lock_timeout_seconds`.
        WarehouseError: BigQuery refused the transaction; it left nothing behind.
    """
    parts = [_Part(number, one, names, bigquery.can_merge) for number, one in enumerate(waiting)]
    if not any(part.has_work for part in parts):
        return [part.result({}) for part in parts]
    doing = f"write {', '.join(sorted({one.table.name for one in waiting}))}"
    parameters = [parameter for part in parts for parameter in part.parameters]
    try:
        [counts] = bigquery.transaction(_script(parts, names), parameters, doing=doing)
    except QueryError as error:
        raise _failure(error, parts) from error
    return [part.result(counts) for part in parts]


def _script(parts: Sequence[_Part], names: TableNames) -> str:
    """DECLARE, then the transaction, then one row of counts.

    An error ends the script, and the end of a script rolls its open transaction back.
    """
    variables = [name for part in parts for name in part.variables]
    book = path_of(names, ENGINE_TABLE)
    me = literal(ENGINE_TABLE)
    return "\n".join(
        [
            "DECLARE clash STRING;",
            f"DECLARE {', '.join(variables)} INT64 DEFAULT 0;",
            "BEGIN TRANSACTION;",
            f"UPDATE {book} SET write_count = write_count WHERE table_name = {me};",
            f"IF @@row_count = 0 THEN RAISE USING MESSAGE = '{_NO_TURN}'; END IF;",
            *(statement for part in parts for statement in part.statements()),
            *_note_writes(parts, book, me),
            "COMMIT TRANSACTION;",
            f"SELECT {', '.join(variables)};",
        ]
    )


def _note_writes(parts: Sequence[_Part], book: str, me: str) -> list[str]:
    """Every changed table's line in the engine's book, and the book's own."""
    by_table: dict[str, list[str]] = {}
    for part in parts:
        by_table.setdefault(part.table.name, []).append(part.changed)
    lines = [
        f"SELECT {literal(name)} AS table_name, {' + '.join(changed)} AS changed" for name, changed in by_table.items()
    ]
    every = " + ".join(changed for part in by_table.values() for changed in part)
    lines.append(f"SELECT {me} AS table_name, {every} AS changed")
    changed = f"SELECT table_name FROM ({' UNION ALL '.join(lines)}) AS changes WHERE changed > 0"
    return [
        f"INSERT INTO {book} (table_name, last_modified_at, write_count) "
        f"SELECT table_name, CURRENT_TIMESTAMP(), 0 FROM ({changed}) AS new "
        f"WHERE NOT EXISTS (SELECT 1 FROM {book} AS old WHERE old.table_name = new.table_name);",
        f"UPDATE {book} SET last_modified_at = CURRENT_TIMESTAMP(), write_count = write_count + 1 "
        f"WHERE table_name IN ({changed});",
    ]


class _Part:
    """The statements of one write; its variables are `inserted_n`, `updated_n` and `deleted_n`."""

    def __init__(self, number: int, waiting: Waiting, names: TableNames, can_merge: bool) -> None:
        self._number = number
        self._can_merge = can_merge
        self._waiting = waiting
        self._write = waiting.write
        self.table: Table = waiting.table
        self._target = path_of(names, waiting.table.name)
        self.variables = [f"{what}_{number}" for what in ("inserted", "updated", "deleted")]
        self._inserted, self._updated, self._deleted = self.variables
        self.changed = f"({' + '.join(self.variables)})"
        self._columns = ", ".join(f"`{column.name}`" for column in self.table.columns)
        self._scope, self._scope_parameters = scope(self.table, self._write, f"where_{number}")

    @property
    def has_work(self) -> bool:
        """Whether the write can change anything."""
        return bool(self._waiting.rows) or self._write.mode == "replace"

    @property
    def parameters(self) -> list[Bound]:
        """Bound values of the statements."""
        if not self._waiting.rows:
            return self._scope_parameters if self._write.mode == "replace" else []
        limits: dict[str, Any] = {}
        for name, (low, high) in self._waiting.bounds.items():
            limits |= {f"low_{self._number}_{name}": low, f"high_{self._number}_{name}": high}
        given = bound(limits)
        return [*given, *self._scope_parameters]

    def statements(self) -> list[str]:
        """The write, in the order in which it must run."""
        write = self._write
        if write.mode == "replace":
            delete = [
                f"DELETE FROM {self._target} WHERE {self._scope or 'TRUE'};",
                f"SET {self._deleted} = @@row_count;",
            ]
            is_safe = set(write.where) <= set(self.table.key) or not self._waiting.rows
            return [*delete, *([] if is_safe else self._refuse_existing()), *self._insert()]
        if not self._waiting.rows:
            return []
        if write.mode == "merge":
            return self._merge()
        if write.skip_existing:
            same = f"EXISTS (SELECT 1 FROM {self._target} AS old WHERE {self._same_key()})"
            return self._insert(f"WHERE NOT {same}")
        return [*self._refuse_existing(), *self._insert()]

    def result(self, counts: dict[str, Any]) -> WriteResult:
        """What the write changed, from the script's last row."""
        inserted, updated, deleted = (int(counts.get(name, 0)) for name in self.variables)
        skipped = self._waiting.rows - inserted if self._write.skip_existing else 0
        return WriteResult(self._write.table, inserted, updated, deleted, skipped)

    def clash_error(self, values: Sequence[str]) -> DuplicateKeyError:
        """The error for a key that is there already."""
        key = tuple(_value(self.table, name, text) for name, text in zip(self.table.key, values, strict=True))
        return DuplicateKeyError(
            f"{self.table.name}: a row with this key exists ({key_text(self.table, key)})",
            remedy="append with skip_existing=True, or merge",
        )

    def _same_key(self) -> str:
        """Equal keys; the bounds say nothing new, but BigQuery leaves out partitions by them."""
        equal = [f"old.`{name}` = new.`{name}`" for name in self.table.key]
        limits = [
            f"old.`{name}` BETWEEN @low_{self._number}_{name} AND @high_{self._number}_{name}"
            for name in self._waiting.bounds
        ]
        return " AND ".join([*equal, *limits])

    def _rows(self) -> str:
        """The staged rows with the table's columns and types."""
        picks = ", ".join(
            f"{sql} AS `{column.name}`"
            for column, sql in zip(self.table.columns, self._waiting.expressions, strict=True)
        )
        return f"(SELECT {picks} FROM {self._waiting.path})"

    def _insert(self, condition: str = "") -> list[str]:
        if not self._waiting.rows:
            return []
        return [
            f"INSERT INTO {self._target} ({self._columns}) "
            f"SELECT {self._columns} FROM {self._rows()} AS new {condition};",
            f"SET {self._inserted} = @@row_count;",
        ]

    def _merge(self) -> list[str]:
        count = (
            f"SET {self._updated} = (SELECT COUNT(*) FROM {self._waiting.path} AS new JOIN {self._target} AS old "
            f"ON {self._same_key()});"
        )
        inserted = f"SET {self._inserted} = {self._waiting.rows} - {self._updated};"
        if not self._can_merge:
            delete = (
                f"DELETE FROM {self._target} AS old WHERE EXISTS "
                f"(SELECT 1 FROM {self._waiting.path} AS new WHERE {self._same_key()});"
            )
            return [count, delete, self._insert()[0], inserted]
        return [count, self.merge_statement(), inserted]

    def merge_statement(self) -> str:
        """Rows of known keys replaced, the others inserted."""
        values = [column.name for column in self.table.columns if column.name not in self.table.key]
        assignments = ", ".join(f"`{name}` = new.`{name}`" for name in values)
        update = f"WHEN MATCHED THEN UPDATE SET {assignments} " if values else ""
        inserted = ", ".join(f"new.`{column.name}`" for column in self.table.columns)
        return (
            f"MERGE {self._target} AS old USING {self._rows()} AS new ON {self._same_key()} {update}"
            f"WHEN NOT MATCHED THEN INSERT ({self._columns}) VALUES ({inserted});"
        )

    def _refuse_existing(self) -> list[str]:
        """RAISE with the key's values, as JSON behind the number of the write."""
        key = ", ".join(f"CAST(new.`{name}` AS STRING)" for name in self.table.key)
        return [
            f"SET clash = (SELECT TO_JSON_STRING([{key}]) FROM {self._rows()} AS new JOIN {self._target} AS old "
            f"ON {self._same_key()} LIMIT 1);",
            f"IF clash IS NOT NULL THEN RAISE USING MESSAGE = CONCAT('{_CLASH}{self._number}:', clash); END IF;",
        ]


def _value(table: Table, name: str, text: str) -> object:
    """A key's value from its text, so that messages read as on the embedded engine."""
    column = table.column(name)
    return datetime.fromisoformat(text) if column is not None and column.type == "TIMESTAMP" else text


def _failure(error: QueryError, parts: Sequence[_Part]) -> WarehouseError:
    clash = re.search(rf"{_CLASH}(\d+):", error.message)
    if clash:
        values, _ = json.JSONDecoder().raw_decode(error.message, clash.end())  # BigQuery adds the place behind it
        return parts[int(clash[1])].clash_error(values)
    if _NO_TURN in error.message:
        return WarehouseError(
            f"{ENGINE_TABLE} has lost the row that writers take turns on",
            remedy=f"drop {ENGINE_TABLE}: the next command makes it again",
        )
    return WarehouseError(f"{error.message}; nothing was written", remedy="see the cause; ask `tradehits doctor`")

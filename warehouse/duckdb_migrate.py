"""The steps of `warehouse.migrations` on a DuckDB file, inside the transaction that brings its schema up."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from market.errors import NewerSchemaError, SchemaError
from warehouse.dialect import TableNames, to_duckdb
from warehouse.dialect.macros import ENGINE_SCHEMA
from warehouse.dialect.translate import referenced_tables
from warehouse.duckdb_host import identifier
from warehouse.duckdb_types import duckdb_type
from warehouse.migrations import (
    BASELINE,
    Action,
    DropColumn,
    DropTable,
    DropView,
    FillColumn,
    RenameColumn,
    RenameTable,
    Step,
    newest_version,
    steps_after,
)
from warehouse.schema import Column, SchemaFolder, Table

STATE = f"{ENGINE_SCHEMA}.schema_state"


def stored_state(cursor: duckdb.DuckDBPyConnection) -> tuple[str, int] | None:
    """Digest and version of the schema that a file was last brought to; None for a file without one."""
    columns = cursor.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() "
        f"AND schema_name = '{ENGINE_SCHEMA}' AND table_name = 'schema_state'"
    ).fetchall()
    if not columns:
        return None
    version = "version" if ("version",) in columns else str(BASELINE)
    found = cursor.execute(f"SELECT digest, {version} FROM {STATE}").fetchone()
    return (str(found[0]), int(found[1])) if found else None


def refuse_newer(state: tuple[str, int] | None, steps: Sequence[Step]) -> None:
    """Raise `NewerSchemaError` for a schema version that this software does not know."""
    if state is not None and state[1] > newest_version(steps):
        raise NewerSchemaError(
            f"the warehouse has schema version {state[1]}, this TradeHits knows versions up to {newest_version(steps)}",
            remedy="update TradeHits, or give this version a warehouse of its own with another TRADEHITS_HOME",
        )


def apply_steps(
    cursor: duckdb.DuckDBPyConnection, version: int, steps: Sequence[Step], schema: SchemaFolder, names: TableNames
) -> None:
    """Apply what a file of this version lacks; the caller holds the transaction.

    Raises:
        SchemaError: A step does not fit what the file holds; the step is named.
    """
    migration = _Migration(cursor, schema, names)
    for step in steps_after(version, steps):
        try:
            for action in step.actions:
                migration.apply(action)
        except duckdb.Error as error:
            raise SchemaError(
                f"migration to schema version {step.version} ({step.why}): {error}",
                remedy="nothing was changed; restore the warehouse of the version before, or report this",
            ) from error


class _Migration:
    """Actions on one open transaction."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, schema: SchemaFolder, names: TableNames) -> None:
        self._cursor = cursor
        self._schema = schema
        self._names = names

    def apply(self, action: Action) -> None:
        match action:
            case RenameTable(old, new):
                if self._columns(old) and not self._columns(new):
                    self._rename_table(old, new)
            case RenameColumn(table, old, new):
                if old in self._columns(table):
                    self._alter(table, f"RENAME COLUMN {identifier(old)} TO {identifier(new)}")
            case DropColumn(table, column):
                if column in self._columns(table):
                    self._alter(table, f"DROP COLUMN {identifier(column)}")
            case DropTable(table):
                self._cursor.execute(f"DROP TABLE IF EXISTS {self._target(table)}")
            case DropView(view):
                self._cursor.execute(f"DROP VIEW IF EXISTS {self._target(view)}")
            case FillColumn():
                self._fill(action)

    def _rename_table(self, old: str, new: str) -> None:
        (dataset, _), (new_dataset, new_name) = self._names.local_table(old), self._names.local_table(new)
        if dataset == new_dataset:
            self._alter(old, f"RENAME TO {identifier(new_name)}")
        else:
            self._cursor.execute(f"CREATE TABLE {self._target(new)} AS SELECT * FROM {self._target(old)}")
            self._cursor.execute(f"DROP TABLE {self._target(old)}")

    def _fill(self, action: FillColumn) -> None:
        read = referenced_tables(action.select, self._names)
        if action.table not in self._schema.tables or not all(self._columns(name) for name in {action.table, *read}):
            return
        table = self._schema.table(action.table)
        column = table.column(action.column)
        if column is None:
            return
        self._rebuild(table, column, to_duckdb(action.select, self._names))

    def _rebuild(self, table: Table, column: Column, values: str) -> None:
        """The table anew with the column's values: DuckDB sets no NOT NULL on a column updated in the transaction."""
        target, name = self._target(table.name), identifier(column.name)
        dataset, local_name = self._names.local_table(table.name)
        aside = f"{identifier(dataset)}.{identifier(f'{local_name}__filled')}"
        kept = {name: definition for name, definition in self._definitions(table.name).items() if name != column.name}
        filled = {**kept, column.name: f"{duckdb_type(column.type)}{'' if column.nullable else ' NOT NULL'}"}
        before = f"old.{name}" if column.name in self._columns(table.name) else "NULL"
        same_key = " AND ".join(f"old.{identifier(key)} = new.{identifier(key)}" for key in table.key)
        chosen = ", ".join([*(f"old.{identifier(one)}" for one in kept), f"COALESCE(new.{name}, {before})"])
        columns = ", ".join(f"{identifier(one)} {definition}" for one, definition in filled.items())
        self._cursor.execute(f"CREATE TABLE {aside} ({columns})")
        self._cursor.execute(
            f"INSERT INTO {aside} SELECT {chosen} FROM {target} AS old LEFT JOIN ({values}) AS new ON {same_key}"
        )
        self._cursor.execute(f"DROP TABLE {target}")
        self._cursor.execute(f"ALTER TABLE {aside} RENAME TO {identifier(local_name)}")

    def _alter(self, table: str, change: str) -> None:
        self._cursor.execute(f"ALTER TABLE {self._target(table)} {change}")

    def _target(self, name: str) -> str:
        return ".".join(map(identifier, self._names.local_table(name)))

    def _columns(self, name: str) -> list[str]:
        """Columns of a table as the file has it; none without the table."""
        return list(self._definitions(name))

    def _definitions(self, name: str) -> dict[str, str]:
        dataset, table = self._names.local_table(name)
        found = self._cursor.execute(
            "SELECT column_name, data_type || CASE WHEN is_nullable THEN '' ELSE ' NOT NULL' END FROM duckdb_columns() "
            "WHERE database_name = current_database() AND schema_name = $dataset AND table_name = $name "
            "ORDER BY column_index",
            {"dataset": dataset, "name": table},
        ).fetchall()
        return {str(column): str(definition) for column, definition in found}

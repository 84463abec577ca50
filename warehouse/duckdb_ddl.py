"""The schema of the embedded warehouse: GoogleSQL files → schemas, macros, tables and views of a DuckDB file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import duckdb

from market.errors import SchemaError, WarehouseError
from warehouse.dialect import TableNames, to_duckdb
from warehouse.dialect.macros import ENGINE_SCHEMA, MACROS
from warehouse.dialect.metadata import metadata_views
from warehouse.dialect.translate import referenced_tables
from warehouse.duckdb_apply import rollback
from warehouse.duckdb_host import identifier, quoted
from warehouse.duckdb_migrate import STATE, apply_steps, refuse_newer, stored_state
from warehouse.duckdb_types import duckdb_type, google_type
from warehouse.migrations import STEPS, Step, newest_version
from warehouse.schema import SchemaFolder, Table

_DIALECT = Path(__file__).parent / "dialect"


def schema_digest(schema: SchemaFolder, names: TableNames) -> str:
    """Changes with any SQL file, the translation's own source and the configured names; nothing is parsed for it."""
    digest = hashlib.sha256(schema.digest().encode())
    digest.update(repr((names.project, names.datasets)).encode())
    for source in (*sorted(_DIALECT.glob("*.py")), Path(__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def bring_up(
    cursor: duckdb.DuckDBPyConnection, schema: SchemaFolder, names: TableNames, steps: Sequence[Step] = STEPS
) -> None:
    """Bring a file of any earlier schema version to this one, in one transaction.

    Migration steps that the file lacks are applied in order; missing tables and missing nullable columns are added;
    macros and views are refreshed.

    Raises:
        NewerSchemaError: The file knows more steps than this software.
        SchemaError: For a table that holds rows and differs from its file in a way that no step covers, or views that
            need each other.
    """
    cursor.execute("BEGIN")
    try:
        for _, local in (("", ENGINE_SCHEMA), *names.datasets):
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(local)}")
        for macro in MACROS:
            cursor.execute(macro)
        state = stored_state(cursor)
        refuse_newer(state, steps)
        if state is not None:
            apply_steps(cursor, state[1], steps, schema, names)
        for name in schema.tables:
            _bring_up_table(cursor, schema.table(name), names)
        for view in metadata_views(schema, names):
            cursor.execute(view)
        for name, sql in _views(names, schema.digest()).items():
            dataset, local_name = names.local_table(name)
            _create_view(cursor, f"{identifier(dataset)}.{identifier(local_name)}", name, sql)
        digest, version = quoted(schema_digest(schema, names)), newest_version(steps)
        cursor.execute(f"CREATE OR REPLACE TABLE {STATE} AS SELECT {digest} AS digest, {version}::BIGINT AS version")
        cursor.execute("COMMIT")
    except BaseException:
        rollback(cursor)
        raise


def _create_view(cursor: duckdb.DuckDBPyConnection, target: str, name: str, sql: str) -> None:
    try:
        cursor.execute(f"CREATE OR REPLACE VIEW {target} AS {sql}")
    except duckdb.Error as error:
        raise SchemaError(f"view {name}: {error}", remedy=f"mend warehouse/sql/views/{name}.sql") from error


def _bring_up_table(cursor: duckdb.DuckDBPyConnection, table: Table, names: TableNames) -> None:
    dataset, local_name = names.local_table(table.name)
    target = f"{identifier(dataset)}.{identifier(local_name)}"
    found = cursor.execute(
        "SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE schema_name = $dataset "
        "AND table_name = $name AND database_name = current_database()",
        {"dataset": dataset, "name": local_name},
    ).fetchall()
    wanted = [(column.name, duckdb_type(column.type), column.nullable) for column in table.columns]
    if sorted(found) == sorted(wanted):
        return
    missing = [column for column in wanted if column[0] not in {name for name, _, _ in found}]
    if found and sorted([*found, *missing]) == sorted(wanted) and all(nullable for _, _, nullable in missing):
        for name, kind, _ in missing:
            cursor.execute(f"ALTER TABLE {target} ADD COLUMN {identifier(name)} {kind}")
        return
    if found:
        counted = cursor.execute(f"SELECT COUNT(*) FROM {target}").fetchone()
        if counted and counted[0]:
            raise _changed(table, found, wanted, counted[0])
        cursor.execute(f"DROP TABLE {target}")  # an empty table has nothing to lose
    columns = ", ".join(
        f"{identifier(name)} {kind}{'' if nullable else ' NOT NULL'}" for name, kind, nullable in wanted
    )
    cursor.execute(f"CREATE TABLE {target} ({columns})")


def _changed(
    table: Table, found: list[tuple[str, str, bool]], wanted: list[tuple[str, str, bool]], rows: int
) -> SchemaError:
    here, there = {c[0]: c[1:] for c in found}, {c[0]: c[1:] for c in wanted}
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            texts = [
                f"{google_type(side[name][0])}{'' if side[name][1] else ' NOT NULL'}" if name in side else "missing"
                for side in (here, there)
            ]
            return SchemaError(
                f"{table.name}: column '{name}' is {texts[0]} in the warehouse ({rows} rows), {texts[1]} in its file",
                remedy=f"export the table (tradehits sql --format csv) and rebuild, restore {table.name}.sql, or add a "
                "step to warehouse/migrations.py that says where the new content comes from",
            )
    raise WarehouseError(
        f"{table.name}: columns differ only in a way that cannot be named", remedy="rebuild the warehouse"
    )


@lru_cache(maxsize=8)
def _views(names: TableNames, digest: str) -> dict[str, str]:
    """Translated views of the names' schema in the state of this digest, every one after the views it reads."""
    schema = names.schema
    if schema is None:
        return {}
    reads = {name: referenced_tables(schema.view_sql(name), names) & schema.views.keys() for name in schema.views}
    ordered: dict[str, str] = {}
    while len(ordered) < len(reads):
        ready = sorted(name for name, needed in reads.items() if name not in ordered and needed <= ordered.keys())
        if not ready:
            raise SchemaError(
                f"views need each other: {', '.join(sorted(reads.keys() - ordered.keys()))}", remedy="break the circle"
            )
        for name in ready:
            ordered[name] = to_duckdb(schema.view_sql(name), names)
    return ordered

"""The schema of the embedded warehouse: GoogleSQL files → schemas, macros, tables and views of a DuckDB file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb

from market.errors import SchemaError, WarehouseError
from warehouse.dialect import TableNames, to_duckdb
from warehouse.dialect.macros import ENGINE_SCHEMA, MACROS
from warehouse.dialect.metadata import metadata_views
from warehouse.dialect.translate import referenced_tables
from warehouse.duckdb_host import identifier, quoted
from warehouse.duckdb_types import duckdb_type, google_type
from warehouse.schema import SchemaFolder, Table

_DIALECT = Path(__file__).parent / "dialect"
_STATE = f"{ENGINE_SCHEMA}.schema_state"


def schema_digest(schema: SchemaFolder, names: TableNames) -> str:
    """Changes with any SQL file, the translation's own source and the configured names; nothing is parsed for it."""
    digest = hashlib.sha256(schema.digest().encode())
    digest.update(repr((names.project, names.datasets)).encode())
    for source in (*sorted(_DIALECT.glob("*.py")), Path(__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def stored_digest(cursor: duckdb.DuckDBPyConnection) -> str | None:
    """The digest of the schema that the file was last brought to, or None."""
    known = cursor.execute(
        f"SELECT 1 FROM duckdb_tables() WHERE schema_name = '{ENGINE_SCHEMA}' AND table_name = 'schema_state'"
    ).fetchone()
    found = cursor.execute(f"SELECT digest FROM {_STATE}").fetchone() if known else None
    return str(found[0]) if found else None


def bring_up(cursor: duckdb.DuckDBPyConnection, schema: SchemaFolder, names: TableNames) -> None:
    """Create what is missing and refresh every macro and view, in one transaction.

    Raises:
        SchemaError: For a table that holds rows and has other columns than its file, or views that need each other.
    """
    cursor.execute("BEGIN")
    try:
        for _, local in (("", ENGINE_SCHEMA), *names.datasets):
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(local)}")
        for macro in MACROS:
            cursor.execute(macro)
        for name in schema.tables:
            _bring_up_table(cursor, schema.table(name), names)
        for view in metadata_views(schema, names):
            cursor.execute(view)
        for name, sql in _views(schema, names).items():
            dataset, local_name = names.local_table(name)
            _create_view(cursor, f"{identifier(dataset)}.{identifier(local_name)}", name, sql)
        cursor.execute(f"CREATE OR REPLACE TABLE {_STATE} AS SELECT {quoted(schema_digest(schema, names))} AS digest")
        cursor.execute("COMMIT")
    except BaseException:
        cursor.execute("ROLLBACK")
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
                remedy=f"export the table (tradehits sql --format csv) and rebuild, or restore {table.name}.sql",
            )
    raise WarehouseError(
        f"{table.name}: columns differ only in a way that cannot be named", remedy="rebuild the warehouse"
    )


def _views(schema: SchemaFolder, names: TableNames) -> dict[str, str]:
    """Translated views, every one after the views it reads."""
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

"""`dataset.__TABLES__` and `dataset.INFORMATION_SCHEMA` on the embedded engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp, parse_one

from warehouse.dialect.macros import ENGINE_SCHEMA
from warehouse.dialect.registry import unsupported

if TYPE_CHECKING:
    from warehouse.dialect.names import TableNames
    from warehouse.schema import SchemaFolder

TABLES_VIEW = f"{ENGINE_SCHEMA}.tables_meta"
_BLOCK_BYTES = 262_144
_LEGACY = "project_id, dataset_id, table_id, creation_time, last_modified_time, row_count, size_bytes, type"
_QUERIES = {
    "__TABLES__": f"SELECT {_LEGACY} FROM {TABLES_VIEW} WHERE dataset_id = {{dataset}}",
    "INFORMATION_SCHEMA.TABLES": f"""SELECT project_id AS table_catalog, dataset_id AS table_schema,
        table_id AS table_name, CASE WHEN type = 1 THEN 'BASE TABLE' ELSE 'VIEW' END AS table_type
        FROM {TABLES_VIEW} WHERE dataset_id = {{dataset}}""",
    "INFORMATION_SCHEMA.COLUMNS": f"""SELECT {{project}} AS table_catalog, schema_name AS table_schema, table_name,
        column_name, CAST(column_index AS BIGINT) AS ordinal_position,
        CASE WHEN is_nullable THEN 'YES' ELSE 'NO' END AS is_nullable,
        {ENGINE_SCHEMA}.google_type(data_type) AS data_type
        FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = {{dataset}}""",
}


def metadata_query(dataset: str, table: str, names: TableNames) -> exp.Expr | None:
    """The query behind `dataset.__TABLES__` or `dataset.INFORMATION_SCHEMA.…`; None for an ordinary table.

    Raises:
        UnsupportedSqlError: For another view of INFORMATION_SCHEMA.
    """
    key = table.upper()
    if key not in _QUERIES:
        if key.startswith("INFORMATION_SCHEMA"):
            raise unsupported(table, "TABLES and COLUMNS are there")
        return None
    local = names.local_dataset(dataset)
    text = _QUERIES[key].format(dataset=_quoted(local), project=_quoted(names.project))
    return parse_one(text, dialect="duckdb")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def metadata_views(schema: SchemaFolder, names: TableNames) -> tuple[str, ...]:
    """CREATE VIEW statements of the engine schema: one line per table and view of the contract.

    `size_bytes` counts the storage blocks that hold a table's columns; rows that are in no block yet (in memory, or in
    the write-ahead log) count 8 bytes a value.
    """
    rows = []
    for name in sorted(schema.tables):
        dataset, table = names.local_table(name)
        storage = f"pragma_storage_info({_quoted(f'{dataset}.{table}')})"
        values = f"(SELECT 8 * COUNT(*) FROM duckdb_columns() WHERE {_here(dataset, table)})"
        rows.append(
            f"SELECT {_quoted(dataset)} AS dataset_id, {_quoted(table)} AS table_id, 1 AS type, "
            f"{_quoted(name)} AS name, "
            f'(SELECT COUNT(*) FROM "{dataset}"."{table}") AS row_count, {values} AS row_bytes, '
            f"(SELECT {_BLOCK_BYTES} * COUNT(DISTINCT block_id) FROM {storage} WHERE block_id >= 0) AS block_bytes"
        )
    for name in sorted(schema.views):
        dataset, view = names.local_table(name)
        rows.append(
            f"SELECT {_quoted(dataset)} AS dataset_id, {_quoted(view)} AS table_id, 2 AS type, "
            f"{_quoted(name)} AS name, 0 AS row_count, 0 AS row_bytes, 0 AS block_bytes"
        )
    writes = '"{}"."{}"'.format(*names.local_table("tradehits.table_writes"))
    return (
        f"""CREATE OR REPLACE VIEW {TABLES_VIEW} AS
        SELECT {_quoted(names.project)} AS project_id, dataset_id, table_id, CAST(NULL AS BIGINT) AS creation_time,
            CAST(epoch_ms(last_modified_at) AS BIGINT) AS last_modified_time, CAST(row_count AS BIGINT) AS row_count,
            CAST(CASE WHEN block_bytes > 0 THEN block_bytes ELSE row_count * row_bytes END AS BIGINT) AS size_bytes,
            CAST(type AS BIGINT) AS type, name, last_modified_at
        FROM ({" UNION ALL ".join(rows)}) AS meta
        LEFT JOIN {writes} AS writes ON writes.table_name = meta.name""",
    )


def _here(dataset: str, table: str) -> str:
    return f"database_name = current_database() AND schema_name = {_quoted(dataset)} AND table_name = {_quoted(table)}"

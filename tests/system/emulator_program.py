"""Runs the BigQuery emulator with quicker look-ups; the emulator's own Python starts it, the project never imports it.

For every statement the emulator asks DuckDB for one table's kind and columns through functions that list all tables of
all projects, results of earlier queries included: its time grows with every statement. Here the same committed state is
read from DuckLake's own catalogue, for the one table that was asked for.
"""

from __future__ import annotations

import sys
from typing import Any

import duckdb
from local_bigquery import cli
from local_bigquery.engine import database

TABLES = """
SELECT t.table_name, 'TABLE', COALESCE(s.record_count, 0)::BIGINT FROM {catalogue}.ducklake_table AS t
JOIN {catalogue}.ducklake_schema AS d ON d.schema_id = t.schema_id AND d.end_snapshot IS NULL
LEFT JOIN {catalogue}.ducklake_table_stats AS s ON s.table_id = t.table_id
WHERE t.end_snapshot IS NULL AND d.schema_name = $1 AND t.table_name = COALESCE($2, t.table_name)
UNION ALL
SELECT v.view_name, 'VIEW', 0 FROM {catalogue}.ducklake_view AS v
JOIN {catalogue}.ducklake_schema AS d ON d.schema_id = v.schema_id AND d.end_snapshot IS NULL
WHERE v.end_snapshot IS NULL AND d.schema_name = $1 AND v.view_name = COALESCE($2, v.view_name)
ORDER BY 1
"""
COLUMNS = """
SELECT c.column_name, c.nulls_allowed FROM {catalogue}.ducklake_column AS c
JOIN {catalogue}.ducklake_table AS t ON t.table_id = c.table_id AND t.end_snapshot IS NULL
JOIN {catalogue}.ducklake_schema AS d ON d.schema_id = t.schema_id AND d.end_snapshot IS NULL
WHERE c.end_snapshot IS NULL AND c.parent_column IS NULL AND d.schema_name = $1 AND t.table_name = $2
"""

ask = database.fetch


def catalogue_of(project: str) -> str:
    """Where DuckLake keeps what a project holds."""
    return database.quote(f"__ducklake_metadata_{project}")


def objects(project: str, dataset: str, table: str | None = None) -> list[tuple[str, str, int]]:
    """A dataset's tables and views, or the one that was asked for, with their kind and rows."""
    if project != "emulator":
        return ask(TABLES.format(catalogue=catalogue_of(project)), [dataset, table])
    if table is None:
        return listed(project, dataset, table)
    try:
        [(rows,)] = ask(f"SELECT COUNT(*) FROM {database.quote(project, dataset, table)}")
    except duckdb.CatalogException:
        return []
    return [(table, "TABLE", rows)]


def fetch(sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Answers the two questions about one table's columns by itself."""
    if "FROM duckdb_columns()" not in sql or not parameters:
        return ask(sql, parameters)
    project, dataset, table, *column = parameters
    if project == "emulator":
        return []  # results of queries: no column is required, none is hidden
    found = ask(COLUMNS.format(catalogue=catalogue_of(project)), [dataset, table])
    if column:
        return [(1,) for name, _ in found if name == column[0]]
    return [(name,) for name, nulls_allowed in found if not nulls_allowed]


if __name__ == "__main__":
    listed, database.objects, database.fetch = database.objects, objects, fetch
    sys.exit(cli.main())

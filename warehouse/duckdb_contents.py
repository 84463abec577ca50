"""What every table of a DuckDB catalog holds, as numbers that can be compared with another file's."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from warehouse.duckdb_host import identifier


@dataclass(frozen=True)
class TableContent:
    """One table's rows.

    Attributes:
        table: Quoted `"schema"."table"`.
        rows: Their number.
        content_hash: Sum of the rows' hashes, the same in any order of rows; 0 without rows. DuckDB's own hash, which
            another version of DuckDB may compute differently.
    """

    table: str
    rows: int
    content_hash: int


def table_names(cursor: duckdb.DuckDBPyConnection, catalog: str) -> list[str]:
    """Quoted names of the catalog's tables, in order."""
    found = cursor.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $catalog ORDER BY ALL",
        {"catalog": catalog},
    ).fetchall()
    return [f"{identifier(schema)}.{identifier(table)}" for schema, table in found]


def table_content(cursor: duckdb.DuckDBPyConnection, catalog: str, table: str) -> TableContent:
    """One table's content; `table` as `table_names` gives it."""
    found = cursor.execute(f"SELECT COUNT(*), SUM(CAST(hash(t) AS HUGEINT)) FROM {catalog}.{table} AS t").fetchone()
    rows, total = found or (0, None)
    return TableContent(table, int(rows), int(total or 0))

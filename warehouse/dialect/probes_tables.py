"""Probes of parameters, of written tables (MERGE) and of a dataset's metadata.

The table is written before the probes run: two rows are appended, then merged with one row of a known key and one new
row. On BigQuery that is a MERGE statement.
"""

# ruff: noqa: E501  a statement stays in one piece, so that it can be pasted into a console
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from warehouse.dialect.probe import Probe, many, one, utc
from warehouse.warehouse import Write

TABLE = "tradehits.probe_bars"
_TABLE_SQL = f"""-- Grain: one row per (symbol, datetime).
CREATE TABLE IF NOT EXISTS `{TABLE}` (
  symbol STRING NOT NULL,
  datetime TIMESTAMP NOT NULL,
  close FLOAT64,
  flag INT64,
  is_warm BOOL,
  session DATE,
  PRIMARY KEY (symbol, datetime) NOT ENFORCED
)
PARTITION BY TIMESTAMP_TRUNC(datetime, MONTH)
CLUSTER BY symbol
"""
_VIEW_SQL = f"""-- Grain: one row per symbol.
SELECT symbol, MAX(close) AS highest FROM `{TABLE}` GROUP BY symbol
"""

PARAMETERS: list[Probe] = [
    one("parameters keep their types", "Parameterized queries", "@n + 1, @x / 2, CONCAT(@s, '!'), NOT @b, DATE_ADD(@d, INTERVAL 1 DAY), DATE(@at)",
        3, 0.75, "it's!", False, date(2024, 3, 1), date(2024, 1, 1),
        n=2, x=1.5, s="it's", b=True, d=date(2024, 2, 29), at=datetime(2024, 1, 1, 23, tzinfo=UTC)),
    one("a parameter is never spliced", "Parameterized queries", "@s, LENGTH(@s)", "x'; DROP TABLE t; --", 20, s="x'; DROP TABLE t; --"),
    one("array parameters", "Parameterized queries: Using arrays in parameterized queries", "2 IN UNNEST(@numbers), ARRAY_LENGTH(@names), @names[OFFSET(1)]", True, 2, "b", numbers=[1, 2], names=["a", "b"]),
    many("two array parameters side by side", "Parameterized queries: Using arrays in parameterized queries", "SELECT s, n FROM UNNEST(@names) AS s WITH OFFSET AS i JOIN UNNEST(@numbers) AS n WITH OFFSET AS j ON i = j ORDER BY i",
         ("a", 1), ("b", 2), numbers=[1, 2], names=["a", "b"]),
]  # fmt: skip

_READS = [
    many("MERGE replaces the rows of a key and inserts the others", "DML syntax: MERGE statement", f"SELECT symbol, datetime, close, flag FROM `{TABLE}` ORDER BY symbol, datetime",
         ("A", utc(2024, 1, 1), 1.0, 1), ("A", utc(2024, 1, 2), 9.0, None), ("B", utc(2024, 1, 1), 5.0, 5)),
    many("a table by project, dataset and name", "Lexical structure: Table names", f"SELECT COUNT(*) FROM `any-project.{TABLE}`", (3,)),
    many("a view", "DDL: CREATE VIEW statement", f"SELECT symbol, highest FROM `{TABLE}_highest` ORDER BY symbol", ("A", 9.0), ("B", 5.0)),
    many("INFORMATION_SCHEMA.TABLES", "INFORMATION_SCHEMA: TABLES view", "SELECT table_name, table_type FROM tradehits.INFORMATION_SCHEMA.TABLES WHERE table_name LIKE 'probe%' ORDER BY table_name",
         ("probe_bars", "BASE TABLE"), ("probe_bars_highest", "VIEW")),
    many("INFORMATION_SCHEMA.COLUMNS", "INFORMATION_SCHEMA: COLUMNS view", "SELECT column_name, ordinal_position, is_nullable, data_type FROM tradehits.INFORMATION_SCHEMA.COLUMNS "
         "WHERE table_name = 'probe_bars' ORDER BY ordinal_position",
         ("symbol", 1, "NO", "STRING"), ("datetime", 2, "NO", "TIMESTAMP"), ("close", 3, "YES", "FLOAT64"), ("flag", 4, "YES", "INT64"), ("is_warm", 5, "YES", "BOOL"), ("session", 6, "YES", "DATE")),
    many("__TABLES__", "Table metadata: __TABLES__", "SELECT table_id, row_count, size_bytes > 0, type, TIMESTAMP_MILLIS(last_modified_time) > TIMESTAMP '2024-01-01 00:00:00+00' "
         "FROM `tradehits.__TABLES__` WHERE table_id = 'probe_bars'", ("probe_bars", 3, True, 1, True)),
]  # fmt: skip
TABLES: list[Probe] = [replace(probe, needs_table=True) for probe in _READS]


def write_probe_schema(folder: Path) -> Path:
    """The SQL folder of a warehouse that holds the probe table and its view only."""
    for kind, name, text in (("tables", TABLE, _TABLE_SQL), ("views", f"{TABLE}_highest", _VIEW_SQL)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / f"{name}.sql").write_text(text, encoding="utf-8")
    return folder


def probe_writes() -> list[list[Write]]:
    """What is written before the probes are asked: one transaction after the other."""
    first = _rows([("A", utc(2024, 1, 1), 1.0, 1), ("A", utc(2024, 1, 2), 2.0, 2)])
    second = _rows([("A", utc(2024, 1, 2), 9.0, None), ("B", utc(2024, 1, 1), 5.0, 5)])
    return [[Write(TABLE, rows=first, mode="append")], [Write(TABLE, rows=second, mode="merge")]]


def _rows(rows: list[tuple[str, datetime, float, int | None]]) -> pa.Table:
    schema = pa.schema(
        [
            ("symbol", pa.string()),
            ("datetime", pa.timestamp("us", "UTC")),
            ("close", pa.float64()),
            ("flag", pa.int64()),
        ]
    )
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)

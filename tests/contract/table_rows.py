"""Rows for the warehouse's tables from a few literal values: what a test does not say is NULL or a neutral filler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any

import pyarrow as pa

from configs.settings import load_settings
from warehouse.duckdb import DuckDBWarehouse
from warehouse.schema import ENGINE_TABLE, Table, load_schema
from warehouse.warehouse import Warehouse, Write

ARROW_TYPES: dict[str, pa.DataType] = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}
FILLERS: dict[str, Any] = {
    "STRING": "-",
    "INT64": 0,
    "FLOAT64": 0.0,
    "BOOL": False,
    "DATE": date(2000, 1, 1),
    "TIMESTAMP": datetime(2000, 1, 1, tzinfo=UTC),
}


@lru_cache
def table(name: str) -> Table:
    return load_schema().table(name)


def scratch_warehouse() -> DuckDBWarehouse:
    """The project's tables and views on the embedded engine, in memory."""
    return DuckDBWarehouse.scratch(load_settings("test").warehouse)


def utc(text: str) -> datetime:
    """An instant from `2024-06-28` or `2024-06-28 20:15`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def rows_of(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Arrow rows with every column of the table; unsaid NOT NULL columns get a filler, unknown names are an error."""
    columns = table(name).columns
    rows = list(rows)
    said = {key for row in rows for key in row}
    unknown = said - {column.name for column in columns}
    assert not unknown, f"{name} has no columns {sorted(unknown)}"
    filled = {}
    for column in columns:
        kind, filler = ARROW_TYPES[column.type], None if column.nullable else FILLERS[column.type]
        if column.name in said:
            filled[column.name] = pa.array([row.get(column.name, filler) for row in rows], kind)
        else:
            filled[column.name] = pa.repeat(pa.scalar(filler, kind), len(rows))
    return pa.table(filled)


def insert(warehouse: Warehouse, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    warehouse.write([Write(name, rows=rows_of(name, rows), mode="append")])


def empty(warehouse: Warehouse) -> None:
    """Delete all rows of every table that has any; the engine's own book stays."""
    filled = [found.table for found in warehouse.statistics() if found.rows and found.table != ENGINE_TABLE]
    warehouse.write([Write(name, rows=rows_of(name, []), mode="replace") for name in filled])


def select(warehouse: Warehouse, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    return warehouse.query(sql, parameters).to_pylist()

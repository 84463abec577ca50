"""The engines under the conformance suite, on a small schema of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from configs.settings import WarehouseSettings, load_settings
from warehouse.duckdb import DuckDBWarehouse
from warehouse.warehouse import Warehouse

START = datetime(2024, 1, 1, tzinfo=UTC)
TABLES = {
    "ml_models.bars": """-- Grain: one row per (asset_type, symbol, datetime).
CREATE TABLE IF NOT EXISTS `ml_models.bars` (
  asset_type STRING NOT NULL,
  symbol STRING NOT NULL,
  datetime TIMESTAMP NOT NULL,
  close FLOAT64 OPTIONS (description = 'dollars'),
  flag INT64,
  is_warm BOOL,
  session DATE,
  parameters JSON,
  PRIMARY KEY (asset_type, symbol, datetime) NOT ENFORCED
)
PARTITION BY DATE_TRUNC(DATE(datetime), MONTH)
CLUSTER BY asset_type, symbol
""",
    "tradehits.counters": """-- Grain: one row per (name).
CREATE TABLE IF NOT EXISTS `tradehits.counters` (
  name STRING NOT NULL,
  value INT64 NOT NULL,
  PRIMARY KEY (name) NOT ENFORCED
)
""",
}
VIEWS = {
    "ml_models.a_reads_b": "-- Grain: one row per symbol.\nSELECT symbol, newest FROM `ml_models.b_newest`",
    "ml_models.b_newest": "-- Grain: one row per symbol.\n"
    "SELECT symbol, MAX(datetime) AS newest FROM `any-project.ml_models.bars` GROUP BY symbol",
}


def write_schema(folder: Path) -> Path:
    """The suite's SQL folder."""
    for kind, files in (("tables", TABLES), ("views", VIEWS)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / kind / f"{name}.sql").write_text(text)
    return folder


def settings(**changes: Any) -> WarehouseSettings:
    """Profile test's settings with a short lock timeout."""
    return load_settings("test").warehouse.model_copy(update={"lock_timeout_seconds": 5.0, **changes})


def file_engine(folder: Path, **changes: Any) -> DuckDBWarehouse:
    """The engine on a file below `folder`."""
    return DuckDBWarehouse(
        folder / "state" / "warehouse.duckdb",
        settings=settings(**changes),
        staging=folder / "staging",
        sql_folder=write_schema(folder / "sql"),
    )


def scratch_engine(folder: Path, **changes: Any) -> DuckDBWarehouse:
    """The engine in memory."""
    return DuckDBWarehouse.scratch(settings(**changes), sql_folder=write_schema(folder / "sql"))


ENGINES: dict[str, Callable[[Path], Warehouse]] = {"duckdb-file": file_engine, "duckdb-scratch": scratch_engine}


def bars(*rows: tuple[str, str, int, float | None]) -> pa.Table:
    """Rows (asset_type, symbol, day, close) as Arrow."""
    return pa.table(
        {
            "asset_type": pa.array([row[0] for row in rows], pa.string()),
            "symbol": pa.array([row[1] for row in rows], pa.string()),
            "datetime": pa.array([START + timedelta(days=row[2]) for row in rows], pa.timestamp("us", "UTC")),
            "close": pa.array([row[3] for row in rows], pa.float64()),
        }
    )


def stored(warehouse: Warehouse) -> list[tuple[str, str, int, float | None]]:
    """What `bars` holds, in key order."""
    found = warehouse.query("SELECT * FROM `ml_models.bars` ORDER BY asset_type, symbol, datetime").to_pylist()
    return [(row["asset_type"], row["symbol"], (row["datetime"] - START).days, row["close"]) for row in found]


@contextmanager
def untouched(warehouse: Warehouse) -> Iterator[None]:
    """The block leaves every table and its statistics as they were."""
    before, statistics = stored(warehouse), warehouse.statistics()
    yield
    assert stored(warehouse) == before
    assert warehouse.statistics() == statistics

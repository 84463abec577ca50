"""The engines under the conformance suite, on a small schema of their own."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from configs.settings import WarehouseSettings, load_settings
from warehouse.duckdb import DuckDBWarehouse
from warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from tests.system.emulator import Emulator
    from warehouse.bigquery import BigQueryWarehouse

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


def bigquery_settings(emulator: Emulator, project: str, **changes: Any) -> WarehouseSettings:
    """Profile test's settings on the emulator; results come through its Storage API."""
    given = settings()
    here = {"emulator_host": emulator.host, "storage_emulator_host": emulator.storage_host}
    bigquery = given.bigquery.model_copy(update=here | {"show_cost_above_bytes": None})
    fixed = {"engine": "bigquery", "project": project, "bigquery": bigquery, "lock_timeout_seconds": 60.0}
    return given.model_copy(update=fixed | changes)


def bigquery_engine(emulator: Emulator, folder: Path, **changes: Any) -> BigQueryWarehouse:
    """The production engine with Google's client on the emulator, in a project of the folder's own."""
    from warehouse.bigquery import BigQueryWarehouse

    configured = bigquery_settings(emulator, f"p-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}", **changes)
    return BigQueryWarehouse(configured, staging=folder / "staging", sql_folder=write_schema(folder / "sql"))


@cache
def shared_bigquery_engine(emulator: Emulator) -> BigQueryWarehouse:
    """One engine for all tests that only need empty tables: a project takes the emulator seconds to make."""
    folder = Path(tempfile.mkdtemp(prefix="tradehits-contract-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return bigquery_engine(emulator, folder)


def emptied(warehouse: BigQueryWarehouse) -> BigQueryWarehouse:
    """The suite's tables without rows, as never written."""
    warehouse.ensure_schema()
    empty = "TRUNCATE TABLE `ml_models.bars`; TRUNCATE TABLE `tradehits.counters`"
    book = "DELETE FROM `tradehits.table_writes` WHERE table_name != 'tradehits.table_writes'"
    unwritten = "UPDATE `tradehits.table_writes` SET write_count = 0 WHERE TRUE"
    warehouse.bigquery.transaction("; ".join([empty, book, unwritten]), (), doing="empty the tables")
    return warehouse


DUCKDB_ENGINES: dict[str, Callable[..., Warehouse]] = {"duckdb-file": file_engine, "duckdb-scratch": scratch_engine}
BIGQUERY = pytest.param("bigquery", marks=pytest.mark.system)
ENGINES = [*DUCKDB_ENGINES, BIGQUERY]
"""Parameters of a fixture or test that runs on every engine; BigQuery only where the emulator runs."""
KEPT_ENGINES = ["duckdb-file", BIGQUERY]
"""Engines whose tables outlive the object that opened them."""


def open_engine(name: str, request: pytest.FixtureRequest, folder: Path, **changes: Any) -> Warehouse:
    """One of `ENGINES` with tables of the folder's own: the same folder means the same tables."""
    if name == "bigquery":
        return bigquery_engine(request.getfixturevalue("emulator"), folder, **changes)
    return DUCKDB_ENGINES[name](folder, **changes)


def empty_engine(name: str, request: pytest.FixtureRequest, folder: Path) -> Warehouse:
    """One of `ENGINES` with empty tables, for one test."""
    if name == "bigquery":
        return emptied(shared_bigquery_engine(request.getfixturevalue("emulator")))
    engine = DUCKDB_ENGINES[name](folder)
    engine.ensure_schema()
    return engine


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

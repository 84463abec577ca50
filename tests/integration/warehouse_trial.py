"""What the processes of the warehouse's trials do: write, read, build, and die."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import polars as pl

import tests.integration.incremental_market as market
from configs.settings import Settings, load_settings
from warehouse.duckdb import DuckDBWarehouse
from warehouse.migrations import FillColumn, Step
from warehouse.schema import load_schema
from warehouse.warehouse import Write

LOG, EVENTS = "ml_models.deployment_log", "tradehits.alert_events"
ROWS = 5
PREDICTIONS_TABLE = "ml_models.walk_forward_predictions_v2"
STAMP = datetime(2024, 1, 1, tzinfo=UTC)
VOLATILE = (
    *("created_timestamp", "ingested_at", "knowledge_at", "changed_at", "built_at", "written_at", "compacted_at"),
)
STEPS = (
    Step(
        2,
        "the trial's own",
        (
            FillColumn(
                "ml_models.walk_forward_features_v2",
                "atr_pct",
                "SELECT asset_type, symbol, datetime, atr / close * 100 AS atr_pct "
                "FROM ml_models.walk_forward_features_v2",
            ),
        ),
    ),
)


def settings() -> Settings:
    return load_settings("test")


def on_file(folder: Path) -> DuckDBWarehouse:
    own = settings().warehouse.model_copy(update={"lock_timeout_seconds": 240.0})
    return DuckDBWarehouse(folder / "warehouse.duckdb", settings=own, staging=folder / "staging", steps=STEPS)


# --- at once ---------------------------------------------------------------------------------------------------------


def _rows(writer: str, operation: int, version: int) -> list[Write]:
    ids = [f"{writer}-{operation}-{row}" for row in range(ROWS)]
    log = {"deployment_id": ids, "deployed_at": STAMP, "component": "TABLE", "component_name": writer}
    event = {"event_id": ids, "alert_id": writer, "event_at": STAMP, "event_type": str(version)}
    return [
        Write(LOG, rows=pl.DataFrame({**log, "version": str(version), "status": "SUCCESS"}).to_arrow()),
        Write(EVENTS, rows=pl.DataFrame(event).to_arrow()),
    ]


def expected_rows(writer: str, operations: int) -> list[tuple[str, str]]:
    """Every row of a writer and its last version: each operation also rewrites the rows of the one before."""
    last = operations - 1
    return [(f"{writer}-{n}-{row}", str(min(n + 1, last))) for n in range(operations) for row in range(ROWS)]


def write_much(results: Connection, folder: Path, writer: str, operations: int) -> None:
    """Two tables in every transaction: new rows, and the rows of the operation before in a new version."""
    warehouse = on_file(folder)
    for n in range(operations):
        writes = _rows(writer, n, n) + (_rows(writer, n - 1, n) if n else [])
        warehouse.write(writes)
    results.send(operations)


def read_much(results: Connection, folder: Path, operations: int) -> None:
    """Each read sees whole transactions: both tables alike, every key once, five rows an operation."""
    warehouse = on_file(folder)
    sql = f"""
    SELECT
      (SELECT COUNT(*) FROM `{LOG}`) AS log, (SELECT COUNT(DISTINCT deployment_id) FROM `{LOG}`) AS log_keys,
      (SELECT COUNT(*) FROM `{EVENTS}`) AS events,
      (SELECT COUNT(*) FROM `{LOG}` AS l JOIN `{EVENTS}` AS e
         ON e.event_id = l.deployment_id AND e.event_type = l.version) AS alike
    """
    newest = 0
    for _ in range(operations):
        [row] = warehouse.query(sql).to_pylist()
        torn = len(set(row.values())) != 1 or row["log"] % ROWS or row["log"] < newest
        if torn:
            raise AssertionError(f"a read saw half a transaction: {row}")
        newest = row["log"]
    results.send(operations)


def build_much(results: Connection, folder: Path, days: pl.DataFrame) -> None:
    """A new day of bars and its features, day by day: two operations a day."""
    warehouse, own = on_file(folder), settings()
    done = 0
    for day in days.sort("datetime").partition_by("datetime", maintain_order=True):
        market.ingest(warehouse, own, day)
        market.features(warehouse, own)
        done += 2
    results.send(done)


# --- killed ----------------------------------------------------------------------------------------------------------


def history(symbols: int = 4, length: int = 600) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bars to begin with, and the batch that comes then: twenty days, some bars of them corrections."""
    bars = market.bars({f"S{number}/USD": length for number in range(symbols)}, end_day=2000, seed=17)
    first_new = bars["datetime"].max() - timedelta(days=19)  # type: ignore[operator]
    early = bars.filter(pl.col("datetime") < first_new)
    wrong = pl.col("datetime") == first_new - timedelta(days=40)
    return early.with_columns(close=pl.when(wrong).then("low").otherwise("close")), bars.filter(
        (pl.col("datetime") >= first_new) | wrong
    )


def record(warehouse: DuckDBWarehouse, version: str) -> pl.DataFrame:
    """Predictions for every feature row, as a champion's record."""
    sql = """
    SELECT asset_type, symbol, datetime, close, bar_known_at, 0.5 AS up_probability, 1 AS predicted_direction,
      'TEST' AS data_split, 0 AS fold, datetime AS fold_start, datetime AS trained_through, 'r' AS run_id,
      @version AS model_version
    FROM `ml_models.walk_forward_features_v2`
    """
    return pl.DataFrame(warehouse.query(sql, {"version": version}))


def publish(warehouse: DuckDBWarehouse, version: str) -> None:
    rows = record(warehouse, version).to_arrow()
    warehouse.write([Write(PREDICTIONS_TABLE, rows=rows, mode="replace", where={"asset_type": "crypto"})])


def prepare(folder: Path) -> None:
    """Bars, features and a published record."""
    folder.mkdir(parents=True)
    warehouse, own = on_file(folder), settings()
    warehouse.ensure_schema()
    market.ingest(warehouse, own, history()[0])
    market.features(warehouse, own)
    publish(warehouse, "v1")


def make_ready(path: str, folder: Path) -> None:
    """Bring a prepared warehouse to where a write path is to be killed."""
    warehouse, own = on_file(folder), settings()
    if path in ("features", "compact"):
        market.ingest(warehouse, own, history()[1])
    if path == "compact":
        market.features(warehouse, own)
        for version in ("v2", "v3"):
            publish(warehouse, version)
    if path == "migrate":
        with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
            found = connection.execute("SELECT schema_name FROM duckdb_tables() WHERE table_name = 'schema_state'")
            [schema] = found.fetchone() or [""]
            connection.execute("ALTER TABLE ml_models.walk_forward_features_v2 DROP COLUMN atr_pct")
            connection.execute(f"UPDATE {schema}.schema_state SET version = 1, digest = 'older'")
    shutil.rmtree(folder / "staging")


def run_path(path: str, warehouse: DuckDBWarehouse) -> None:
    """One write path from its start to its end; a second run completes a killed first one."""
    own = settings()
    if path == "ingest":
        market.ingest(warehouse, own, history()[1])
    elif path == "features":
        market.features(warehouse, own)
    elif path == "publish":
        publish(warehouse, "v9")
    elif path == "compact":
        warehouse.compact()
    else:
        warehouse.ensure_schema()


def work(ready: Connection, path: str, folder: Path) -> None:
    """Warm up on a private warehouse, say so, and run the path; the parent kills in the middle of it."""
    scratch = DuckDBWarehouse.scratch(settings().warehouse)
    scratch.query("SELECT COUNT(*) AS n FROM `ml_models.walk_forward_features_v2`")
    warehouse = on_file(folder)
    ready.send(os.getpid())
    started = time.monotonic()
    run_path(path, warehouse)
    ready.send(time.monotonic() - started)


def contents(warehouse: DuckDBWarehouse) -> dict[str, pl.DataFrame]:
    """Every row of every table, read whole, without the times at which it was written."""
    schema = load_schema()
    found = {}
    for name in schema.tables:
        if name != "tradehits.table_writes":
            key = ", ".join(f"`{column}`" for column in schema.table(name).key if column not in VOLATILE)
            rows = pl.DataFrame(warehouse.query(f"SELECT * FROM `{name}` ORDER BY {key}"))
            found[name] = rows.drop(*VOLATILE, strict=False)
    return found

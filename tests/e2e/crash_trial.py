"""What the processes of the crash trials do: one scheduled flow each, in a home of their own, until they are killed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from datetime import date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import pytest

# Forked processes start with these in memory, so that a kill hits the work and not the imports.
import flows.backtest
import flows.deploy
import flows.deploy_services
import flows.inference
import flows.monitor
import flows.retrain
import monitoring.reports  # noqa: F401
from configs.settings import Settings, load_settings
from flows.context import Context, exclusive, open_context
from flows.month_checks import violations
from flows.prefecting import PlainTasks
from flows.progress import LogReporter
from flows.scheduled import backtest_recent, infer, monitor_models, retrain
from flows.scheduled_ingest import ingest_configured
from registry.models import ModelRegistry
from registry.store import RunStore
from serving.snapshot import load_snapshot
from warehouse.clock import newest_known_at
from warehouse.engines import open_warehouse
from warehouse.schema import load_schema

END: Final = date(2024, 6, 21)
"""A Friday: the last day that the prepared home knows."""

NEW_DAYS: Final = 3
CLASSES: Final = ("stocks", "crypto")

FLOWS: Final[dict[str, Callable[[Context], object]]] = {
    "ingest": lambda context: ingest_configured(context),
    "daily_inference": lambda context: infer(context, (), 0.55),
    "model_monitoring": lambda context: monitor_models(context, True, 0.85),
    "backtest_daily": lambda context: backtest_recent(context, 7, ["HIGH", "MEDIUM"]),
    "weekly_retrain": lambda context: retrain(context, ["crypto"], 30),
    "deploy": lambda context: flows.deploy.deploy(context),
}
"""Each flow as its schedule runs it."""

WRITE_TIMES: Final = frozenset(
    (
        *("created_timestamp", "ingested_at", "knowledge_at", "changed_at", "built_at", "written_at", "compacted_at"),
        *("recorded_at", "deployed_at", "published_at", "quarantined_at", "planned_at", "last_modified_at"),
    )
)
RUN_IDS: Final = frozenset(("run_id", "change_id", "deployment_id"))
CREATED_BY_THE_WALL_CLOCK: Final = frozenset(
    ("ml_models.backtest_results", "ml_models.feature_distributions", "tradehits.evidently_results")
)
"""`created_at` of other tables is the class's clock: a figure like any other."""


def settings_of(home: Path, days: int) -> Settings:
    """The smallest market: four symbols of two classes, bars so many days after `END`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        given = load_settings("test")
    simulation = given.simulation.model_copy(
        update={"planted_symbols": 3, "noise_symbols": 1, "end": END + timedelta(days=days)}
    )
    update = {
        "simulation": simulation,
        "sources": given.sources.model_copy(update={"etf": None}),
        "backtest": given.backtest.model_copy(
            update={"monte_carlo": given.backtest.monte_carlo.model_copy(update={"paths": 100, "shuffles": 5})}
        ),
        "training": given.training.model_copy(update={"max_trees": 20, "min_train_rows": 150}),
    }
    return given.model_copy(update=update)


def context_of(settings: Settings) -> Context:
    return open_context(settings, LogReporter(), PlainTasks())


def run(flow: str, settings: Settings) -> None:
    """One run of a scheduled flow, in its turn."""
    if flow == "deploy":  # takes its turn by itself
        FLOWS[flow](Context(settings, open_warehouse(settings), LogReporter(), PlainTasks()))
        return
    with exclusive(settings, patience_seconds=600):
        FLOWS[flow](context_of(settings))


def prepare(home: Path) -> None:
    """Bars through `END`, champions, a day's predictions, monitoring and backtests."""
    settings = settings_of(home, 0)
    context = context_of(settings)
    ingest_configured(context)
    flows.features.features(context)
    flows.retrain.train(context)
    for flow in ("daily_inference", "model_monitoring", "backtest_daily"):
        run(flow, settings)


def make_ready(flow: str, home: Path) -> None:
    """Bring a prepared home to where a flow is to be killed."""
    settings = settings_of(home, NEW_DAYS)
    if flow in ("model_monitoring", "backtest_daily"):
        run("daily_inference", settings)
    if flow == "deploy":  # an older schema to migrate; without a snapshot no service is started
        settings.paths.snapshot_file.unlink()
        with duckdb.connect(str(settings.paths.warehouse_file)) as connection:
            [[schema]] = connection.execute(
                "SELECT schema_name FROM duckdb_tables() WHERE table_name = 'schema_state'"
            ).fetchall()
            connection.execute("ALTER TABLE ml_models.backtest_results DROP COLUMN notes")
            connection.execute(f"UPDATE {schema}.schema_state SET digest = 'older'")


def work(ready: Connection, flow: str, home: Path) -> None:
    """Lead a process group, say so, and run the flow; the parent kills the group in the middle of it."""
    os.setsid()
    settings = settings_of(home, NEW_DAYS)
    ready.send(os.getpid())
    started = time.monotonic()
    run(flow, settings)
    ready.send(time.monotonic() - started)


def contents(flow: str, home: Path) -> dict[str, pl.DataFrame]:
    """Business columns of every table, sorted by all of them."""
    warehouse = open_warehouse(settings_of(home, NEW_DAYS))
    found = {}
    with warehouse.read() as read:
        for name in load_schema().tables:
            if name == "tradehits.table_writes":  # when each table was written
                continue
            rows = pl.DataFrame(read.query(f"SELECT * FROM `{name}`"))
            dropped = {*WRITE_TIMES, *RUN_IDS}
            if name in CREATED_BY_THE_WALL_CLOCK:
                dropped.add("created_at")
            if name == "ml_models.deployment_log":
                # a log: what was deployed again after a kill stands in it again
                rows = rows.drop("details").unique(["component", "component_name", "status"])
            if flow == "weekly_retrain":
                # a killed training may have left a registered version: the next one counts on; and it was a trial
                dropped |= {"model_version", "version", "trials", "deflated_sharpe_ratio"}
            rows = rows.drop(dropped, strict=False)
            found[name] = rows.sort(rows.columns)
    return found


def content_hash(rows: pl.DataFrame) -> str:
    """Of all values in their order."""
    return hashlib.sha256(rows.write_csv().encode()).hexdigest()


def broken(home: Path) -> list[str]:
    """What is wrong with a home beside its tables: registry, snapshot, rules of a day's end, leftovers."""
    settings = settings_of(home, NEW_DAYS)
    warehouse = open_warehouse(settings)
    registry = ModelRegistry(RunStore(settings))
    with warehouse.read() as read:
        known = max(one for one in newest_known_at(read).values() if one is not None)
        told = [one.rule for one in violations(read, registry, {}, known)]
    if settings.paths.snapshot_file.exists():
        load_snapshot(settings.paths.snapshot_file)
    staging, feast = settings.paths.cache / "staging", settings.paths.state / "feast"
    left = [path.name for path in (*staging.glob("*"), *feast.glob(".*.parquet"), *feast.glob(".*.json"))]
    return told + [f"left behind: {name}" for name in left]

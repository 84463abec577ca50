"""A small simulated market with champions, made once and copied: six crypto symbols and six stocks."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from configs.settings import Settings, load_settings
from feature_repo import store as feast
from flows.context import Context
from flows.features import features
from flows.inference import predict
from flows.inference_report import PredictReport
from flows.prefecting import PlainTasks
from flows.progress import LogReporter
from market.assets import AssetType
from registry.models import ModelRegistry
from registry.store import RunStore
from training.calibrate import calibrate_walk_forward
from training.dataset import load_dataset
from training.promotion import settle
from training.tracking import fold_facts, make_bundle, register
from training.walk_forward import run_walk_forward
from warehouse.engines import open_warehouse
from warehouse.ingest import ingest_asset_type
from warehouse.sources.simulated import SimulatedSource
from warehouse.warehouse import Warehouse

END = date(2024, 6, 21)
"""A Friday: the last day that the champions know."""

CLASSES: tuple[AssetType, ...] = ("stocks", "crypto")
REALTIME = "ml_models.realtime_predictions"
RECORD = "ml_models.walk_forward_predictions_v2"
FEATURES = "ml_models.walk_forward_features_v2"
EAGER = {"buy": 0.51, "sell": 0.49, "high": 0.53, "medium": 0.505}
"""Thresholds of crypto, so that honest probabilities make signals."""


@dataclass(frozen=True)
class World:
    """One home on one day of its market."""

    context: Context

    @property
    def settings(self) -> Settings:
        return self.context.settings

    @property
    def warehouse(self) -> Warehouse:
        return self.context.warehouse

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(RunStore(self.settings))

    def ask(self, sql: str) -> pl.DataFrame:
        return pl.DataFrame(self.warehouse.query(sql))

    def rows(self, table: str = REALTIME) -> pl.DataFrame:
        return self.ask(f"SELECT * FROM `{table}` ORDER BY asset_type, symbol, datetime")

    def predict(self, day: date | None = None, *, classes: Sequence[AssetType] = (), **options: bool) -> PredictReport:
        return predict(self.context, classes, day, **options)


def settings_at(home: Path, **changes: object) -> Settings:
    """Profile `test` in a home, its clock at the end of the stored bars, crypto's thresholds eager."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        given = load_settings("test")
    crypto = given.thresholds.crypto.model_copy(update=EAGER)
    thresholds = given.thresholds.model_copy(update={"crypto": crypto})
    return given.model_copy(update={"thresholds": thresholds, **changes})


def world_at(home: Path, prepared: Path | None = None, **changes: object) -> World:
    """Open the world of a home; a new home is copied from a prepared one."""
    settings = settings_at(home, **changes)
    if prepared is not None:
        shutil.copytree(prepared / "test", settings.paths.home)
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    return World(Context(settings, warehouse, LogReporter(), PlainTasks()))


def prepared_home(home: Path) -> Path:
    """Bars and features through `END`, and one champion a class; nothing is predicted yet."""
    world = world_at(home)
    for asset_type in CLASSES:
        deliver(world, bars(world.settings, asset_type, END))
    features(world.context)
    for asset_type in CLASSES:
        train(world, asset_type)
    return home


def bars(settings: Settings, asset_type: AssetType, last: date, first: date | None = None) -> pl.DataFrame:
    """Simulated bars from a day through another; later days change none of the earlier ones."""
    simulation = settings.simulation.model_copy(update={"end": last})
    source = SimulatedSource(settings.model_copy(update={"simulation": simulation}), now=datetime.now(UTC))
    drawn = source.read(asset_type)
    return drawn if first is None else drawn.filter(pl.col("datetime") >= midnight(first))


def deliver(world: World, batch: pl.DataFrame) -> None:
    """Bars arrive."""
    ingest_asset_type(world.warehouse, world.settings, batch, source="simulated")


def days_pass(world: World, days: int, *, classes: Sequence[AssetType] = CLASSES) -> None:
    """The bars of the days after `END` arrive."""
    for asset_type in classes:
        batch = bars(world.settings, asset_type, END + timedelta(days=days), END + timedelta(days=1))
        if batch.height:
            deliver(world, batch)


def train(world: World, asset_type: AssetType, *, seed: int | None = None) -> str:
    """Train walk-forward, register, and publish as champion; without plots and audit, which other tests are about."""
    settings = world.settings
    if seed is not None:
        settings = settings.model_copy(update={"training": settings.training.model_copy(update={"seed": seed})})
    feast.apply(settings)  # a copied home has Feast's definitions of the one it was copied from
    store, registry, dataset = RunStore(settings), world.registry, load_dataset(settings, asset_type)
    walk_forward, calibration = calibrate_walk_forward(dataset, run_walk_forward(dataset, settings), settings)
    with store.start_run(asset_type) as run_id:
        store.log_table(run_id, walk_forward.predictions, "predictions/out_of_sample.parquet")
        store.log_json(run_id, [fold_facts(one, calibration) for one in walk_forward.folds], "folds/folds.json")
        for one in walk_forward.folds:
            store.log_bytes(run_id, bytes(one.model.booster.save_raw("ubj")), f"folds/fold_{one.fold.index:03d}.ubj")
        bundle = make_bundle(settings, run_id, dataset, walk_forward, calibration)
        version = register(registry, run_id, bundle, dataset.matrix[-5:])
    registry.set_alias(asset_type, "champion", version)
    settle(world.warehouse, settings, registry, asset_type)
    return version


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

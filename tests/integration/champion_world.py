"""A small warehouse and registry in which champions come and go: four symbols, three features, records in MLflow."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from configs.settings import Settings, ThresholdSettings, load_settings
from market.assets import AssetType
from registry.bundle import Bundle
from registry.calibration import NoCalibration, PlattCalibration
from registry.champion import new_change
from registry.models import ModelRegistry
from registry.store import RunStore
from registry.switch import PREDICTIONS_ARTIFACT, switch_champion
from tests.bundles import FEATURES, info, train
from training.promotion import Settled, judge, promote_judged, promotion_asked, settle
from warehouse.engines import open_warehouse
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import Warehouse, Write

V1, V2, V3, V4 = (f"walk_forward_stocks/{n}" for n in (1, 2, 3, 4))
FIRST_DAY = datetime(2023, 6, 1, tzinfo=UTC)
DAYS, TRAINED_DAYS = 300, 280
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
PASSED = [{"check": "identity", "status": "passed", "subject": "bars", "detail": "all of them", "remedy": ""}]
ZEROS = (
    *("rsi_overbought", "rsi_oversold", "macd_rising", "macd_cross_up", "macd_cross", "pivot_high_flag"),
    *("pivot_low_flag", "in_rise_cycle", "rise_cycle_start", "fall_cycle_start", "golden_cross", "death_cross"),
    "growth_score",
)
SERVICES = ("default", "reference", "validated_16")


@dataclass(frozen=True)
class World:
    """Settings, warehouse and registry of one home."""

    settings: Settings
    warehouse: Warehouse
    registry: ModelRegistry


def settings_at(home: Path) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        return load_settings("test")


def prepare_home(home: Path) -> Path:
    """Features, three registered versions, the first of them champion: made once, then copied."""
    settings = settings_at(home)
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    warehouse.write([Write(FEATURES_TABLE, rows=feature_rows().to_arrow(), mode="append")])
    world = world_at(home)
    for seed in (1, 2, 3):
        put_version(world, seed)
    promote(world, V1)
    return home


def promote(world: World, version: str, **options: bool) -> Settled | None:
    """Judge, switch and publish, as the command does."""
    registry = world.registry
    decision = judge(world.warehouse, registry, "stocks", version, registry.champion_version("stocks"))
    promote_judged(registry, "stocks", promotion_asked(decision, by="Ann", why="it is better", **options), decision)
    return settle(world.warehouse, world.settings, registry, "stocks")


def roll_back(world: World, to: str) -> Settled | None:
    """Switch back and publish."""
    current = world.registry.champion_version("stocks")
    change = new_change("rollback", current, to, by="Bob", why="it went wrong")
    switch_champion(world.registry, "stocks", change)
    return settle(world.warehouse, world.settings, world.registry, "stocks")


def world_at(home: Path, prepared: Path | None = None) -> World:
    """Open the world of a home; a new home is copied from a prepared one."""
    settings = settings_at(home)
    if prepared is not None:
        shutil.copytree(settings_at(prepared).paths.home, settings.paths.home)
    return World(settings, open_warehouse(settings), ModelRegistry(RunStore(settings)))


def feature_rows(days: int = DAYS, asset_type: AssetType = "stocks") -> pl.DataFrame:
    """Features and labels of every symbol on every day; the newest bar has no label."""
    random = np.random.default_rng(8)
    frames = []
    for symbol in SYMBOLS:
        stamps = [FIRST_DAY + timedelta(days=day) for day in range(days)]
        values = random.normal(size=(DAYS, len(FEATURES)))[:days]
        close = 50 * np.exp(np.cumsum(random.normal(0, 0.02, DAYS)))[:days]
        labels = [int(b > a) for a, b in itertools.pairwise(close)]
        returns = [float(100 * (b / a - 1)) for a, b in itertools.pairwise(close)]
        frames.append(
            pl.DataFrame(
                {
                    "asset_type": asset_type,
                    "symbol": symbol,
                    "datetime": stamps,
                    "close": close,
                    **{name: values[:, i] for i, name in enumerate(FEATURES)},
                    **dict.fromkeys(ZEROS, 0),
                    "is_warm": True,
                    "trend_regime": "CONSOLIDATION",
                    "volume_ratio_clean": 1.0,
                    "indicator_variant": "wilder",
                    "bar_known_at": [stamp + timedelta(hours=21) for stamp in stamps],
                    "created_timestamp": datetime(2025, 1, 1, tzinfo=UTC),
                    "data_split": ["TEST" if stamp.year == 2023 else "VALIDATE" for stamp in stamps],
                    "target_direction": pl.Series([*labels, None], dtype=pl.Int64),
                    "forward_return_pct": pl.Series([*returns, None], dtype=pl.Float64),
                    "label_known_at": [stamp + timedelta(hours=45) for stamp in stamps[:-1]] + [None],
                },
                schema_overrides={
                    name: pl.Datetime("us", "UTC")
                    for name in ("datetime", "bar_known_at", "created_timestamp", "label_known_at")
                },
            )
        )
    return pl.concat(frames)


def predictions(seed: int, days: int = TRAINED_DAYS, skill: float = 0.02) -> pl.DataFrame:
    """An out-of-sample record over the first days: what was known when the newest of them closed.

    Records of equal skill differ as those of retrained models do: a little.
    """
    rows = feature_rows(days).sort("datetime", "symbol")
    shared = np.random.default_rng(0).normal(0, 0.02, len(SYMBOLS) * DAYS)[: rows.height]
    noise = shared + np.random.default_rng(seed).normal(0, 0.0001, rows.height)
    lean = np.where(rows["target_direction"].fill_null(0).to_numpy() == 1, skill, -skill)
    return rows.select(
        "asset_type", "symbol", "datetime", "bar_known_at", "target_direction", "forward_return_pct", "label_known_at"
    ).with_columns(
        data_split=rows["data_split"],
        fold=pl.lit(0, dtype=pl.Int64),
        fold_start=pl.lit(FIRST_DAY).cast(pl.Datetime("us", "UTC")),
        trained_through=pl.lit(FIRST_DAY - timedelta(days=1)).cast(pl.Datetime("us", "UTC")),
        up_probability=pl.Series(np.clip(0.5 + lean + noise, 0.01, 0.99)),
    )


def trained_through(days: int = TRAINED_DAYS) -> datetime:
    """When the newest label of a model over so many days became known: its newest bar's close."""
    return FIRST_DAY + timedelta(days=days - 1, hours=21)


def put_version(
    world: World,
    seed: int,
    *,
    days: int = TRAINED_DAYS,
    skill: float = 0.02,
    checks: Sequence[dict[str, str]] = PASSED,
) -> str:
    """Register a version whose trees, thresholds, service and calibration tell it from every other."""
    store, trees = world.registry.store, 5 + seed
    with store.start_run("stocks") as run_id:
        bundle = Bundle(
            train(trees=trees),
            info(
                run_id=run_id,
                trees=trees,
                trained_through=trained_through(days),
                thresholds=ThresholdSettings(buy=0.6 + seed / 1000, sell=0.4, high=0.65 + seed / 1000, medium=0.55),
                feature_service=SERVICES[seed % len(SERVICES)],
                calibration=calibration(seed, days),
            ),
        )
        store.log_table(run_id, predictions(seed, days, skill), PREDICTIONS_ARTIFACT)
        store.log_text(run_id, json.dumps(list(checks)), "audit/checks.json")
        store.log_metrics(run_id, [("validate_base_rate", 51.5, 0)])
        version = world.registry.register(bundle, world.registry.log_bundle(run_id, bundle))
        world.registry.set_alias("stocks", "challenger", version)
    return version


def calibration(seed: int, days: int = TRAINED_DAYS) -> NoCalibration | PlattCalibration:
    """Every second version is calibrated."""
    if seed % 2:
        return NoCalibration()
    return PlattCalibration(rows=100, labels_through=trained_through(days), slope=1.0 + seed / 100, intercept=0.01)


def published(world: World) -> pl.DataFrame:
    """The published rows, in order of their key."""
    sql = "SELECT * FROM `ml_models.walk_forward_predictions_v2` ORDER BY asset_type, symbol, datetime"
    return pl.DataFrame(world.warehouse.query(sql))


def deployments(world: World) -> list[dict[str, object]]:
    """The deployment log, oldest first."""
    return world.warehouse.query("SELECT * FROM `ml_models.deployment_log` ORDER BY deployed_at").to_pylist()

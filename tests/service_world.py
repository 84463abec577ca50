"""A small published state for tests of the HTTP service, and the service itself as a process of its own.

Version `n` of every class has its own booster, and prices between 1000 * n and 1000 * n + 999: what an answer holds
shows which version made it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from configs.settings import Settings, load_settings
from flows.compat_service import running_service
from market.assets import AssetType
from registry.bundle import Bundle
from serving.snapshot_build import build_snapshot
from tests.bundles import FEATURES, info, train
from warehouse.champions import PublishedChampion, champion_write, configured_thresholds
from warehouse.clock import refresh_asset_settings
from warehouse.engines import open_warehouse
from warehouse.warehouse import Warehouse, Write

NOW = datetime(2024, 6, 29, 1, tzinfo=UTC)
DAYS = 14
SYMBOLS: dict[AssetType, tuple[str, ...]] = {
    "stocks": ("AAPL", "MSFT", "NVDA", "NVDS"),
    "etf": ("QQQ", "SPY"),
    "crypto": ("BTC/USDT", "ETH/USDT"),
}
THRESHOLDS = {"buy": 0.6, "sell": 0.4, "high": 0.65, "medium": 0.55}
INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class ServiceWorld:
    """Settings and warehouse of one home."""

    settings: Settings

    @cached_property
    def warehouse(self) -> Warehouse:
        return open_warehouse(self.settings)

    def publish(self, version: int) -> Path:
        """Make `version` every class's champion, with rows of its own, and publish the snapshot."""
        bundles = {name: bundle(name, version) for name in SYMBOLS}
        writes = [champion_write(champion(self.settings, name, version)) for name in SYMBOLS]
        for table, rows in (
            ("walk_forward_predictions_v2", record(version)),
            ("realtime_predictions", newest_predictions(version)),
        ):
            writes.append(Write(f"ml_models.{table}", rows=rows.to_arrow(), mode="replace"))
        self.warehouse.write(writes)
        return build_snapshot(self.warehouse, self.settings, bundles)

    def serve(self, workers: int = 1, host: str = "127.0.0.1") -> AbstractContextManager[str]:
        """The service as `tradehits serve` starts it; yields its base address."""
        return running_service(self.settings, workers=workers, host=host)


def service_world(home: Path, **variables: str) -> ServiceWorld:
    """A world in `home`, with version 1 published."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        patch.delenv("TRADEHITS_PROFILE", raising=False)
        for name in SYMBOLS:
            patch.setenv(f"TRADEHITS__CLOCK__{name.upper()}", NOW.isoformat())
        for name, value in variables.items():
            patch.setenv(name, value)
        world = ServiceWorld(load_settings("test"))
    world.warehouse.ensure_schema()
    refresh_asset_settings(world.warehouse, world.settings)
    world.publish(1)
    return world


def version_name(asset_type: AssetType, version: int) -> str:
    return f"walk_forward_{asset_type}/{version}"


def bundle(asset_type: AssetType, version: int) -> Bundle:
    """A booster that tells its version by its scores."""
    told = info(asset_type=asset_type, trees=4 + version, model_version=version_name(asset_type, version))
    return Bundle(train(trees=4 + version), told)


def champion(settings: Settings, asset_type: AssetType, version: int) -> PublishedChampion:
    return PublishedChampion(
        asset_type=asset_type,
        model_version=version_name(asset_type, version),
        run_id=f"run-{version}",
        feature_service="default",
        indicator_variant="wilder",
        calibration="none",
        trained_through=datetime(2024, 1, 2, tzinfo=UTC),
        **{f"{name}_threshold": value for name, value in THRESHOLDS.items()},  # type: ignore[arg-type]
        configured_thresholds=configured_thresholds(settings, asset_type),
        change_id=f"change-{version}",
        published_at=NOW,
    )


def _bars(version: int) -> pl.DataFrame:
    """Key, times, price and probability of every row."""
    random = np.random.default_rng(version)
    rows = []
    for name, symbols in SYMBOLS.items():
        for symbol in symbols:
            for day in range(DAYS):
                stamp = datetime(2024, 6, 28, tzinfo=UTC) - timedelta(days=DAYS - 1 - day)
                is_newest = day == DAYS - 1
                p = 0.7 if is_newest and symbol == "BTC/USDT" else float(random.uniform(0.42, 0.58))
                rows.append(
                    {
                        "asset_type": name,
                        "symbol": symbol,
                        "datetime": stamp,
                        "bar_known_at": stamp + timedelta(hours=24),
                        "label_known_at": None if is_newest else stamp + timedelta(hours=48),
                        "close": 1000.0 * version + day,
                        "up_probability": p,
                        "actual_direction": None if is_newest else int(random.integers(2)),
                    }
                )
    stamps = dict.fromkeys(("datetime", "bar_known_at", "label_known_at"), INSTANT)
    return pl.DataFrame(rows, schema_overrides={**stamps, "actual_direction": pl.Int64})


INDICATORS = {"rsi": 55.5, "macd_histogram": 0.25, "adx": 21.0, "atr": 12.0, "percent_change": 0.5}


def record(version: int) -> pl.DataFrame:
    """The walk-forward record of a version."""
    return _bars(version).with_columns(
        *(pl.lit(value).alias(name) for name, value in INDICATORS.items()),
        *(
            pl.lit(value, dtype=pl.Int64).alias(name)
            for name, value in {"growth_score": 75, "in_rise_cycle": 1, "rise_cycle_start": 0, "fold": 0}.items()
        ),
        *(pl.lit(0, dtype=pl.Int64).alias(name) for name in ("pivot_high_flag", "pivot_low_flag", "golden_cross")),
        pl.lit("CONSOLIDATION").alias("trend_regime"),
        (pl.col("up_probability") >= 0.5).cast(pl.Int64).alias("predicted_direction"),
        pl.when(pl.col("actual_direction").is_not_null()).then(0.5).alias("forward_return_pct"),
        pl.lit("VALIDATE").alias("data_split"),
        pl.lit(datetime(2024, 1, 3, tzinfo=UTC)).cast(INSTANT).alias("fold_start"),
        pl.lit(datetime(2024, 1, 2, tzinfo=UTC)).cast(INSTANT).alias("trained_through"),
        pl.lit(f"run-{version}").alias("run_id"),
        pl.format("walk_forward_{}/{}", "asset_type", pl.lit(version)).alias("model_version"),
    )


def newest_predictions(version: int) -> pl.DataFrame:
    """One real-time prediction per symbol, without Gemini."""
    p = pl.col("up_probability")
    side = pl.when(p >= 0.6).then(pl.lit("BUY")).when(p <= 0.4).then(pl.lit("SELL")).otherwise(pl.lit("HOLD"))
    direction = pl.when(p >= 0.5).then(pl.lit("UP")).otherwise(pl.lit("DOWN"))
    confidence = pl.when(p >= 0.65).then(pl.lit("HIGH")).when(p >= 0.55).then(pl.lit("MEDIUM")).otherwise(pl.lit("LOW"))
    newest = _bars(version).filter(pl.col("actual_direction").is_null())
    return newest.select(
        pl.format("{}-{}-{}", pl.lit(version), "asset_type", "symbol").alias("prediction_id"),
        pl.col("bar_known_at").alias("created_at"),
        "asset_type",
        "symbol",
        "datetime",
        *(pl.col("close").alias(name) for name in ("open", "high", "low", "close")),
        *(pl.lit(value).alias(name) for name, value in INDICATORS.items()),
        pl.lit(75, dtype=pl.Int64).alias("growth_score"),
        pl.lit("CONSOLIDATION").alias("trend_regime"),
        p.alias("xgb_up_probability"),
        direction.alias("xgb_predicted_direction"),
        confidence.alias("xgb_confidence"),
        pl.lit("disabled").alias("gemini_status"),
        p.alias("ensemble_up_probability"),
        direction.alias("ensemble_direction"),
        confidence.alias("ensemble_confidence"),
        side.alias("signal"),
        ((p - 0.5).abs() * 200).alias("signal_strength"),
        pl.format("walk_forward_{}/{}", "asset_type", pl.lit(version)).alias("model_version"),
    )


def scores(asset_type: AssetType, version: int, rows: list[list[float | None]]) -> list[float]:
    """What `/predict` must answer for this version: scored here, outside the service."""
    matrix = np.array(rows, dtype=np.float64)
    assert matrix.shape[1] == len(FEATURES)
    return [float(value) for value in bundle(asset_type, version).predict(matrix)]

"""A simulated class with features in a scratch warehouse, a champion who knows all but its newest weeks, and faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest

from configs.settings import Settings, load_settings
from feature_repo.services import feature_names
from market.assets import CLEAN_TABLES, AssetType
from market.errors import NoChampionError
from market.indicators import add_indicators
from market.sessions import bar_known_at
from market.simulate import simulate_market
from monitoring.conditions import Condition, Moment
from monitoring.drift import DriftFound, measure
from registry.bundle import BundleInfo
from tests.bundles import info
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import FEATURES_TABLE, build_features
from warehouse.warehouse import Warehouse, Write

START, TRAINED, TODAY = date(2020, 1, 1), date(2024, 1, 31), date(2024, 3, 27)
VERSION = "walk_forward_{}/1"


@dataclass(frozen=True)
class Champions:
    """What monitoring asks a registry: who the champion is and what it was trained on."""

    bundle: BundleInfo | None

    def resolve(self, asset_type: AssetType) -> str:
        if self.bundle is None:
            raise NoChampionError(f"there is no champion for {asset_type} yet")
        return str(self.bundle.model_version)

    def info(self, asset_type: AssetType, model_version: str) -> BundleInfo:
        assert self.bundle is not None and self.bundle.model_version == model_version
        return self.bundle


@dataclass(frozen=True)
class World:
    """One class: settings with a cache of their own, tables, and the champion."""

    settings: Settings
    warehouse: Warehouse
    asset_type: AssetType
    champions: Champions

    def measure(self, day: date = TODAY, champions: Champions | None = None) -> DriftFound:
        registry = self.champions if champions is None else champions
        return measure(self.warehouse, registry, self.settings, moment(self.asset_type, day))  # type: ignore[arg-type]

    def rows(self, since: date | None = None) -> pl.DataFrame:
        first = START if since is None else since
        sql = f"SELECT * FROM `{FEATURES_TABLE}` WHERE asset_type = @a AND datetime > @since ORDER BY symbol, datetime"
        return pl.DataFrame(self.warehouse.query(sql, {"a": self.asset_type, "since": midnight(first)}))

    def put(self, rows: pl.DataFrame) -> None:
        self.warehouse.write([Write(FEATURES_TABLE, rows=rows.to_arrow(), mode="merge")])

    def distributions(self) -> pl.DataFrame:
        return pl.DataFrame(
            self.warehouse.query("SELECT * FROM `ml_models.feature_distributions` ORDER BY date, feature_name")
        )


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def moment(asset_type: AssetType, day: date = TODAY) -> Moment:
    """The end of a day."""
    return Moment(asset_type, day, midnight(day) + timedelta(hours=23, minutes=59))


def settings_in(folder: Path) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(folder))
        return load_settings("test")


def champion(asset_type: AssetType, through: date = TRAINED, **changes: object) -> Champions:
    """Trained on every label known by the end of a day, with the features of service `default`."""
    given = {
        "features": feature_names("default"),
        "model_version": VERSION.format(asset_type),
        "asset_type": asset_type,
    }
    return Champions(info(trained_through=midnight(through) + timedelta(hours=23), **{**given, **changes}))


def clean_rows(
    asset_type: AssetType, seed: int, symbols: int, *, start: date = START, end: date = TODAY
) -> pl.DataFrame:
    """Simulated bars with indicators, as the clean table holds them; half of the symbols have an edge."""
    market = simulate_market(
        asset_type, seed=seed, start=start, end=end, planted_symbols=symbols - symbols // 2, noise_symbols=symbols // 2
    )
    known_at = bar_known_at(market.bars, calendars={"stocks": "XNYS", "etf": "XNYS"}, delay_minutes=15)
    rows = add_indicators(market.bars, "wilder").drop("asset_type").with_columns(indicator_variant=pl.lit("wilder"))
    return rows.with_columns(bar_known_at=known_at, ingested_at=known_at)


def simulated(
    folder: Path, asset_type: AssetType = "stocks", seed: int = 1, symbols: int = 24, start: date = START
) -> World:
    """A world with features of simulated bars."""
    settings = settings_in(folder)
    warehouse = DuckDBWarehouse.scratch(settings.warehouse)
    return filled(settings, warehouse, asset_type, clean_rows(asset_type, seed, symbols, start=start))


def filled(settings: Settings, warehouse: Warehouse, asset_type: AssetType, rows: pl.DataFrame) -> World:
    """A world of clean rows on any engine."""
    warehouse.ensure_schema()
    warehouse.write([Write(CLEAN_TABLES[asset_type], rows=rows.to_arrow(), mode="append")])
    build_features(warehouse, settings, [asset_type])
    return World(settings, warehouse, asset_type, champion(asset_type))


Change = Callable[[pl.Expr], pl.Expr]


def with_fault(world: World, feature: str, change: Change, day: date = TODAY) -> DriftFound:
    """What is found when a feature of the newest 7 days was changed; the table is as before afterwards."""
    return with_faults(world, {feature: change}, day)


def with_faults(world: World, changes: Mapping[str, Change], day: date = TODAY) -> DriftFound:
    """The same with several features at once."""
    before = world.rows(day - timedelta(days=7)).filter(pl.col("datetime") <= midnight(day))
    changed = {}
    for feature, change in changes.items():
        kind, values = before.schema[feature], change(pl.col(feature).cast(pl.Float64))
        changed[feature] = (values if kind == pl.Float64 else values.round()).cast(kind)
    world.put(before.with_columns(**changed))
    try:
        return world.measure(day)
    finally:
        world.put(before)


def raised(found: DriftFound, alert_type: str = "FEATURE_DRIFT") -> dict[str, Condition]:
    """Raised conditions of a type by metric."""
    return {one.metric_name: one for one in found.conditions if one.alert_type == alert_type and one.severity}


def kinds(found: DriftFound) -> dict[str, tuple[str, ...]]:
    """What is wrong with each feature with which something is."""
    return {one.name: one.kinds for one in found.features if one.kinds}

"""Bars that a record lacks are scored with the features that training saw, on-demand ones included."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from configs.settings import Settings, load_settings
from feature_repo.services import SERVICES, feature_names
from market.simulate import simulate_market
from training.dataset import KEY, stored_training_set
from training.record import _features
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import build_features
from warehouse.ingest import ingest_asset_type
from warehouse.warehouse import Warehouse


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings("test")


@pytest.fixture(scope="module")
def warehouse(settings: Settings) -> Warehouse:
    market = simulate_market(
        "crypto", seed=5, start=date(2021, 1, 1), end=date(2021, 12, 31), planted_symbols=2, noise_symbols=1
    )
    built = DuckDBWarehouse.scratch(settings.warehouse)
    ingest_asset_type(built, settings, market.bars, source="simulated")
    build_features(built, settings, ["crypto"])
    return built


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_they_equal_the_training_set_in_every_column(warehouse: Warehouse, settings: Settings, service: str) -> None:
    training = settings.training.model_copy(update={"feature_service": service})
    trained_on = stored_training_set(warehouse, settings.model_copy(update={"training": training}), "crypto")
    newest = trained_on.filter(pl.col("datetime") >= pl.datetime(2021, 10, 1, time_zone="UTC"))
    names = feature_names(service)
    found = _features(warehouse, "crypto", newest.select(*KEY, "bar_known_at"), names)
    assert found.height == newest.height == 3 * 92
    wanted = newest.select(*KEY, *(pl.col(name).alias(f"feature_{name}") for name in names))
    assert_frame_equal(found.sort(KEY), wanted.sort(KEY))
    assert found.select(pl.all().null_count()).sum_horizontal().item() < found.height

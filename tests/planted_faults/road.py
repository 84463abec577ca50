"""The way from bars to the audit on a small simulated market, in memory, through the functions that training uses.

Functions are looked up in their modules at each call, so that what is planted there is what runs.
"""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

import training.audit as audit
import training.calibrate as calibrate
import training.dataset as datasets
import training.walk_forward as walk_forward
import warehouse.features as features
import warehouse.ingest as ingest
from configs.settings import Settings, load_settings
from market.assets import AssetType
from market.simulate import simulate_market
from training.checks import CheckResult
from warehouse.duckdb import DuckDBWarehouse

AUDITED: AssetType = "stocks"
OTHER: AssetType = "crypto"

SMALL = {
    "SIMULATION__PLANTED_SYMBOLS": "3",
    "SIMULATION__NOISE_SYMBOLS": "1",
    "CALIBRATION__METHOD": "platt",
    "CALIBRATION__MIN_ROWS": "200",
    "CALIBRATION__MIN_DAYS": "60",
    "AUDIT__CANARY__TEST_ROWS": "1500",
    "AUDIT__CANARY__DAYS": "600",
    "AUDIT__CANARY__MAX_TREES": "10",
}
"""The profile of tests, calibrated, with a canary that is small: what it can catch is studied elsewhere."""


def settings_with(home: object, variables: dict[str, str]) -> Settings:
    """The profile of tests with some variables, in a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        for name, value in variables.items():
            patch.setenv(f"TRADEHITS__{name}", value)
        return load_settings("test")


def market_bars(settings: Settings, asset_type: AssetType, seed: int) -> pl.DataFrame:
    """Bars of one class as the profile describes them."""
    simulation = settings.simulation
    return simulate_market(
        asset_type,
        seed=seed,
        start=simulation.start,
        end=simulation.end or date(2024, 6, 28),
        planted_symbols=simulation.planted_symbols,
        noise_symbols=simulation.noise_symbols,
    ).bars


def built(settings: Settings, *, seed: int = 11) -> DuckDBWarehouse:
    """Bars, indicators and features of two classes in memory."""
    warehouse = DuckDBWarehouse.scratch(settings.warehouse)
    for asset_type in (OTHER, AUDITED):
        ingest.ingest_asset_type(warehouse, settings, market_bars(settings, asset_type, seed), source="simulated")
    features.build_features(warehouse, settings, [OTHER, AUDITED])
    return warehouse


def audited(settings: Settings, warehouse: DuckDBWarehouse) -> list[CheckResult]:
    """Every result of the audit of a training run on what is stored."""
    rows = datasets.stored_training_set(warehouse, settings, AUDITED)
    dataset = datasets.as_dataset(settings, AUDITED, rows)
    record = walk_forward.run_walk_forward(dataset, settings)
    record, _ = calibrate.calibrate_walk_forward(dataset, record, settings)
    return audit.audit_run(warehouse, settings, dataset, record)


def told(results: list[CheckResult]) -> str:
    """What did not pass, for the message of an assertion."""
    return "\n".join(f"{r.status} {r.check} of {r.subject}: {r.detail}" for r in results if r.status != "passed")

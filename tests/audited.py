"""Small training sets and warehouses for the tests of the audit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from configs.settings import Settings, load_settings
from market.assets import AssetType
from market.simulate import simulate_market
from training.dataset import Dataset
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import build_features
from warehouse.ingest import ingest_asset_type

FIRST = datetime(2021, 1, 1, tzinfo=UTC)
TRAIN_END = datetime(2023, 1, 1, tzinfo=UTC)
TEST_END = datetime(2024, 1, 1, tzinfo=UTC)


def audit_settings(home: str, **variables: str) -> Settings:
    """Profile `test` with a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", home)
        for name, value in variables.items():
            patch.setenv(f"TRADEHITS__{name.upper()}", value)
        return load_settings("test")


def stored_market(
    settings: Settings, asset_type: AssetType = "crypto", *, end: date = date(2022, 6, 30), symbols: int = 2
) -> DuckDBWarehouse:
    """A warehouse in memory with simulated bars of one class, their indicators and features."""
    warehouse = DuckDBWarehouse.scratch(settings.warehouse)
    warehouse.ensure_schema()
    add_class(warehouse, settings, asset_type, end=end, symbols=symbols)
    build_features(warehouse, settings, [asset_type])
    return warehouse


def add_class(
    warehouse: DuckDBWarehouse, settings: Settings, asset_type: AssetType, *, end: date, symbols: int = 1
) -> None:
    """Simulated bars of one more class."""
    bars = simulate_market(
        asset_type, seed=5, start=date(2021, 1, 1), end=end, planted_symbols=symbols, noise_symbols=1
    ).bars
    ingest_asset_type(warehouse, settings, bars, source="simulated")


def drawn_dataset(matrix: np.ndarray, label: np.ndarray, *, symbols: int) -> Dataset:
    """A crypto training set in time order from 2021 on, one row a symbol and day; the newest bars have no label.

    Args:
        matrix: float32 (days * symbols, features), rows by day and then symbol.
        label: 0 or 1, likewise; those of the last day are taken away.
    """
    days = len(label) // symbols
    stamps = [FIRST + timedelta(days=day) for day in range(days)]
    names = [f"S{number:02d}/USDT" for number in range(symbols)]
    keys = pl.DataFrame(
        {
            "asset_type": ["crypto"] * (days * symbols),
            "symbol": names * days,
            "datetime": [stamp for stamp in stamps for _ in names],
        },
        schema_overrides={"datetime": pl.Datetime("us", "UTC")},
    )
    is_last = (keys["datetime"] == stamps[-1]).to_numpy()
    known = np.where(is_last, np.nan, label).astype(np.float32)
    split = pl.when(pl.col("datetime") < TRAIN_END).then(pl.lit("TRAIN"))
    keys = keys.with_columns(
        bar_known_at=pl.col("datetime") + pl.duration(days=1),
        target_direction=pl.Series(known).fill_nan(None).cast(pl.Int64),
        forward_return_pct=pl.lit(0.0),
        label_known_at=pl.when(pl.Series(is_last)).then(None).otherwise(pl.col("datetime") + pl.duration(days=2)),
        data_split=split.when(pl.col("datetime") < TEST_END).then(pl.lit("TEST")).otherwise(pl.lit("VALIDATE")),
    )

    def instants(name: str) -> np.ndarray:
        return keys[name].dt.replace_time_zone(None).to_numpy()

    features = tuple(f"f{number}" for number in range(matrix.shape[1]))
    return Dataset(
        "crypto", features, np.ascontiguousarray(matrix, dtype=np.float32), known, instants("datetime"),
        instants("bar_known_at"), instants("label_known_at"), keys, "hash",
    )  # fmt: skip


def noise_dataset(*, days: int = 1300, symbols: int = 4, features: int = 4, seed: int = 3) -> Dataset:
    """Features and labels that know nothing of each other."""
    random = np.random.default_rng(seed)
    rows = days * symbols
    matrix = random.normal(size=(rows, features)).astype(np.float32)
    return drawn_dataset(matrix, random.integers(0, 2, rows), symbols=symbols)

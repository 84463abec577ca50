"""Warehouses for the benchmarks, in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa

from bench.bars import random_bars
from configs.settings import Settings, load_settings
from market.assets import CLEAN_TABLES
from market.indicators import add_indicators
from warehouse.duckdb import DuckDBWarehouse
from warehouse.warehouse import Write

_SYMBOLS_A_BATCH = 100


def settings() -> Settings:
    """Profile `local`, the one for a user's own bars."""
    return load_settings("local")


def open_at(folder: Path) -> DuckDBWarehouse:
    """The warehouse of a folder."""
    return DuckDBWarehouse(folder / "warehouse.duckdb", settings=settings().warehouse, staging=folder / "staging")


def filled_clean_table(folder: Path, symbols: int, length: int) -> None:
    """A warehouse whose clean table of crypto holds `symbols` x `length` bars with indicators, and nothing else."""
    warehouse = open_at(folder)
    warehouse.ensure_schema()
    for first in range(0, symbols, _SYMBOLS_A_BATCH):
        bars = random_bars(min(_SYMBOLS_A_BATCH, symbols - first), length, first_symbol=first)
        warehouse.write([Write(CLEAN_TABLES["crypto"], rows=_with_indicators(bars), mode="append")])


def _with_indicators(bars: pl.DataFrame) -> pa.Table:
    known_at = pl.col("datetime") + pl.duration(days=1)
    return (
        add_indicators(bars, "wilder")
        .drop("asset_type")
        .with_columns(bar_known_at=known_at, ingested_at=known_at, indicator_variant=pl.lit("wilder"))
        .to_arrow()
    )

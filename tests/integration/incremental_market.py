"""Bars as they arrive in real life: day by day, some late, some corrected; and the comparison of two warehouses."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import warehouse.duckdb
import warehouse.duckdb_apply
from configs.settings import Settings, load_settings
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import build_features
from warehouse.ingest import ingest_asset_type
from warehouse.warehouse import Warehouse

CLEAN = "crypto_trading_data.crypto_daily_clean"
FEATURES = "ml_models.walk_forward_features_v2"
FIRST_DAY = datetime(2017, 1, 1, tzinfo=UTC)
RELATIVE = 1e-9
THRESHOLDS = {"rsi": (30.0, 50.0, 70.0), "adx": (25.0,), "macd_histogram": (0.0,)}


def bars(lengths: dict[str, int], *, end_day: int, seed: int) -> pl.DataFrame:
    """Random walks that end together on `end_day`, with volumes of many digits and some flat stretches."""
    random = np.random.default_rng(seed)
    frames = []
    for symbol, length in lengths.items():
        moves = random.normal(0.0, 0.04, length) * (random.random(length) > 0.03)
        close = 50.0 * np.exp(np.cumsum(moves))
        opened = np.concatenate(([50.0], close[:-1]))
        reach = np.abs(random.normal(0.0, 0.01, (2, length))) * (random.random(length) > 0.03)
        days = [FIRST_DAY + timedelta(days=end_day - length + 1 + i) for i in range(length)]
        frames.append(
            pl.DataFrame(
                {
                    "asset_type": "crypto",
                    "symbol": symbol,
                    "datetime": pl.Series(days, dtype=pl.Datetime("us", "UTC")),
                    "open": opened,
                    "high": np.maximum(opened, close) * (1 + reach[0]),
                    "low": np.minimum(opened, close) * (1 - reach[1]),
                    "close": close,
                    "volume": random.lognormal(8.0, 1.0, length) * (random.random(length) > 0.02),
                }
            )
        )
    return pl.concat(frames)


def arrivals(days: pl.DataFrame, *, seed: int, late: float = 0.05, corrected: float = 0.02) -> list[pl.DataFrame]:
    """The days' bars as batches in random order: some come with a later batch, some come again with other prices."""
    random = np.random.default_rng(seed)
    order = {day: i for i, day in enumerate(random.permutation(days["datetime"].unique().sort().to_list()))}
    batch = np.array([order[day] for day in days["datetime"]])
    last = len(order) - 1
    is_late = random.random(days.height) < late
    batch = np.where(is_late, random.integers(batch, last + 1), batch)
    again = np.flatnonzero((random.random(days.height) < corrected) & (batch < last))
    wrong = days.with_columns(batch=pl.Series(batch))
    factors = np.ones(days.height)
    factors[again] = random.uniform(0.8, 1.25, again.size)
    first = wrong.with_columns(pl.col("open", "high", "low", "close", "volume") * pl.Series(factors))
    right = wrong[again.tolist()].with_columns(batch=pl.Series(random.integers(batch[again] + 1, last + 1)))
    delivered = pl.concat([first, right]).sort("batch", "symbol", "datetime")
    return [part.drop("batch") for part in delivered.partition_by("batch", maintain_order=True)]


def scratch(settings: Settings) -> DuckDBWarehouse:
    return DuckDBWarehouse.scratch(settings.warehouse)


def ingest(into: Warehouse, settings: Settings, *batches: pl.DataFrame) -> None:
    for batch in batches:
        ingest_asset_type(into, settings, batch, source="test")


def features(of: Warehouse, settings: Settings) -> None:
    build_features(of, settings, ["crypto"])


def rows(of: Warehouse, table: str, without: Sequence[str] = ()) -> pl.DataFrame:
    found = pl.DataFrame(of.query(f"SELECT * FROM `{table}` ORDER BY symbol, datetime"))
    return found.drop("ingested_at", "created_timestamp", *without, strict=False)


def differences(found: pl.DataFrame, wanted: pl.DataFrame) -> list[str]:
    """Columns that differ: numbers by more than `RELATIVE`, everything else (NULLs too) at all; [] when equal."""
    if found.columns != wanted.columns or not found.select("symbol", "datetime").equals(
        wanted.select("symbol", "datetime")
    ):
        return [f"keys or columns: {found.height} rows, {wanted.height} wanted"]
    near = _near_threshold(wanted)
    told = []
    for name in found.columns:
        one, other = found[name], wanted[name]
        equal = one.eq_missing(other)
        if one.dtype.is_float():
            larger = pl.DataFrame([one.abs().alias("a"), other.abs().alias("b")]).max_horizontal()
            equal |= ((one - other).abs() <= RELATIVE * larger).fill_null(value=False)
        elif one.dtype != pl.String or name != "symbol":
            equal |= near
        if not equal.all():
            where = int((~equal).arg_max() or 0)
            told.append(f"{name}: {(~equal).sum()} rows, first {found.row(where)[:3]}: {one[where]} for {other[where]}")
    return told


def _near_threshold(wanted: pl.DataFrame) -> pl.Series:
    near = pl.Series([False] * wanted.height)
    for name, values in THRESHOLDS.items():
        for value in values:
            near |= ((wanted[name] - value).abs() <= RELATIVE * max(value, 1.0)).fill_null(value=False)
    return near


def assert_same_tables(found: Warehouse, wanted: Warehouse) -> None:
    for table in (CLEAN, FEATURES):
        assert differences(rows(found, table), rows(wanted, table)) == [], table


def write_times(of: Warehouse) -> dict[tuple[str, datetime], Any]:
    found = of.query(f"SELECT symbol, datetime, created_timestamp FROM `{FEATURES}`").to_pylist()
    return {(row["symbol"], row["datetime"]): row["created_timestamp"] for row in found}


class CrashError(Exception):
    """Stands for the end of a process in the middle of its work."""


def end_at(point: int, end: Callable[[], None]) -> None:
    """Call `end` when the tables are written to for the `point`-th time: inside a transaction, or right after one."""
    seen = itertools.count()

    def passing() -> None:
        if next(seen) == point:
            end()

    applied, run = warehouse.duckdb.apply_staged, warehouse.duckdb_apply._Apply.run

    def run_then_maybe_end(self: Any) -> Any:
        result = run(self)
        passing()
        return result

    def apply_then_maybe_end(*given: Any) -> Any:
        results = applied(*given)
        passing()
        return results

    warehouse.duckdb.apply_staged = apply_then_maybe_end
    warehouse.duckdb_apply._Apply.run = run_then_maybe_end  # type: ignore[method-assign]


def die_at(point: int, file: str, batch: str) -> None:
    """What a process of its own does: ingest a batch and build features, killed by the system at the point."""
    end_at(point, lambda: os.kill(os.getpid(), signal.SIGKILL))
    settings = load_settings("test")
    opened = on_file(settings, Path(file))
    ingest(opened, settings, pl.read_parquet(batch))
    features(opened, settings)


def on_file(settings: Settings, file: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(file, settings=settings.warehouse, staging=file.parent / "staging")

"""Benchmark `ingest_incremental`: one new day, from bars to features, against the same day with a full rebuild."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Comparison, Measure, growth_exponent, measured

NAME = "ingest_incremental"
LENGTH = 2500
SYMBOLS = {"small": 150, "full": 1500}


def run(size: str) -> Iterator[Comparison]:
    """N symbols by both, and N / 10 by ours for the growth."""
    symbols = SYMBOLS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        tenth = _day(_stored(Path(root) / "tenth", symbols // 10), symbols // 10, is_full=False)
        stored = _stored(Path(root) / "whole", symbols)
        copy = Path(root) / "copy"
        shutil.copytree(stored, copy)
        ours = _day(stored, symbols, is_full=False)
        theirs = _day(copy, symbols, is_full=True)
    label = f"{size}: {symbols:,} symbols x {LENGTH:,} bars"
    yield Comparison(NAME, label, ours, "full rebuild", theirs, growth_exponent(tenth, ours, 10))


def _stored(folder: Path, symbols: int) -> Path:
    folder.mkdir()
    measured(store_history, folder, symbols)
    return folder


def _day(folder: Path, symbols: int, *, is_full: bool) -> Measure:
    return measured(day_seconds, folder, symbols, is_full)


def store_history(folder: Path, symbols: int) -> float:
    """All bars but the last day's, with features."""
    import polars as pl

    from bench.bars import random_bars
    from bench.warehouses import open_at, settings
    from warehouse.features import build_features
    from warehouse.ingest import ingest_asset_type

    warehouse = open_at(folder)
    warehouse.ensure_schema()
    bars = random_bars(symbols, LENGTH)
    start = time.perf_counter()
    earlier = bars.filter(pl.col("datetime") < pl.col("datetime").max())
    ingest_asset_type(warehouse, settings(), earlier, source="bench")
    build_features(warehouse, settings(), ["crypto"])
    return time.perf_counter() - start


def day_seconds(folder: Path, symbols: int, is_full: bool) -> float:
    """The last day of every symbol: stored, with indicators and features."""
    import polars as pl

    from bench.bars import random_bars
    from bench.warehouses import open_at, settings
    from market.indicators import add_indicators
    from warehouse import clean
    from warehouse.features import build_features
    from warehouse.ingest import ingest_asset_type

    if is_full:
        clean.FULL_SHARE = 0.0
    day = random_bars(symbols, LENGTH).filter(pl.col("datetime") == pl.col("datetime").max())
    warehouse = open_at(folder)
    add_indicators(random_bars(2, 300), "wilder")  # loads the compiled kernels
    start = time.perf_counter()
    ingest_asset_type(warehouse, settings(), day, source="bench")
    build_features(warehouse, settings(), ["crypto"])
    return time.perf_counter() - start

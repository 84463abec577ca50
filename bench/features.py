"""Benchmark `features`: a full build in the embedded warehouse, range by range, against one statement for the class."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Comparison, Measure, growth_exponent, measured

NAME = "features"
LENGTH = 2500
SYMBOLS = {"small": (80, 800), "full": (800, 4000)}
"""Symbols at N, and at the larger size that shows the growth."""


def run(size: str) -> Iterator[Comparison]:
    """N rows by both; the larger size by ours."""
    smaller, larger = SYMBOLS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        folders = {symbols: Path(root) / str(symbols) for symbols in (smaller, larger)}
        ours, grown = (_built(folders[symbols], symbols, chunk_rows=None) for symbols in (smaller, larger))
        whole = _built(Path(root) / "whole", smaller, chunk_rows=10**12)
    growth = growth_exponent(ours, grown, larger / smaller)
    yield Comparison(NAME, f"{size}: {smaller * LENGTH:,} rows", ours, "one statement", whole, growth)
    yield Comparison(
        NAME, f"{size}: {larger * LENGTH:,} rows", grown, f"itself at {smaller * LENGTH:,} rows", ours, growth
    )


def _built(folder: Path, symbols: int, *, chunk_rows: int | None) -> Measure:
    folder.mkdir()
    measured(fill, folder, symbols)
    return measured(build_seconds, folder, chunk_rows)


def fill(folder: Path, symbols: int) -> float:
    from bench.warehouses import filled_clean_table

    start = time.perf_counter()
    filled_clean_table(folder, symbols, LENGTH)
    return time.perf_counter() - start


def build_seconds(folder: Path, chunk_rows: int | None) -> float:
    from bench.warehouses import open_at, settings
    from warehouse import chunks
    from warehouse.features import build_features

    if chunk_rows is not None:
        chunks.CHUNK_ROWS = chunk_rows
    start = time.perf_counter()
    build_features(open_at(folder), settings(), ["crypto"])
    return time.perf_counter() - start

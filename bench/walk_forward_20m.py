"""Benchmark `walk_forward_20m`: twelve quarterly folds over 20 million rows with a warm start, its proof included."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Comparison, growth_exponent, measured

NAME = "walk_forward_20m"
SYMBOLS = {"small": 78, "full": 7822}


def run(size: str) -> Iterator[Comparison]:
    """All rows, and a tenth of them for the growth."""
    symbols = SYMBOLS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        measures, notes = {}, {}
        for name, count in (("tenth", symbols // 10), ("whole", symbols)):
            folder = Path(root) / name
            measured(_written, folder, count)
            measures[name] = measured(warm_seconds, folder, folder / "note.txt")
            notes[name] = (folder / "note.txt").read_text()
    growth = growth_exponent(measures["tenth"], measures["whole"], 10)
    yield Comparison(
        NAME, f"{size}: {symbols * 2557:,} rows", measures["whole"], "itself at a tenth", measures["tenth"], growth,
        notes["whole"],
    )  # fmt: skip


def warm_seconds(rows: Path, note: Path) -> float:
    """`run_walk_forward` with a warm start, proof and, where that fails, the exact run included."""
    from bench.training_rows import bench_settings, read_dataset
    from training.walk_forward import run_walk_forward

    dataset, settings = read_dataset(rows), bench_settings("warm_start")
    start = time.perf_counter()
    result = run_walk_forward(dataset, settings)
    seconds = time.perf_counter() - start
    tags = result.tags()
    note.write_text(f"{len(result.folds)} folds, warm start {tags['warm_start']}, {tags['warm_start.brier_excess']}")
    return seconds


def _written(folder: Path, symbols: int) -> float:
    from bench.training_rows import write_rows

    return write_rows(folder, symbols, "float32")

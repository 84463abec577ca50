"""Benchmark `audit_overhead`: the whole audit of a training run, against the training itself, on simulated bars."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Comparison, Measure, growth_exponent, measured

if TYPE_CHECKING:
    from training.dataset import Dataset

NAME = "audit_overhead"
START, END = date(2015, 1, 1), date(2024, 12, 31)
SYMBOLS = {"small": (4, 40), "full": (100, 1000)}
"""Symbols at N and at 10N rows; two thirds of them have an edge."""


def run(size: str) -> Iterator[Comparison]:
    """N and 10N rows; the ratio is training over audit, so 4 is an overhead of 25%."""
    smaller, larger = SYMBOLS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        folders = {symbols: Path(root) / str(symbols) for symbols in (smaller, larger)}
        trained, audited = {}, {}
        for symbols, folder in folders.items():
            folder.mkdir()
            measured(fill, folder, symbols)
            trained[symbols] = measured(training_seconds, folder)
            audited[symbols] = measured(audit_seconds, folder)
            yield _comparison(size, symbols, audited, trained, smaller, (folder / "found.txt").read_text())


def _comparison(
    size: str, symbols: int, audited: dict[int, Measure], trained: dict[int, Measure], smaller: int, note: str
) -> Comparison:
    rows = symbols * ((END - START).days + 1)
    growth = growth_exponent(audited[smaller], audited[symbols], symbols / smaller) if symbols != smaller else 0.0
    return Comparison(NAME, f"{size}: {rows:,} rows", audited[symbols], "training", trained[symbols], growth, note)


def fill(folder: Path, symbols: int) -> float:
    """Simulated bars with indicators and features in a warehouse file."""
    from bench.warehouses import open_at, settings
    from market.simulate import simulate_market
    from warehouse.features import build_features
    from warehouse.ingest import ingest_asset_type

    start = time.perf_counter()
    warehouse = open_at(folder)
    warehouse.ensure_schema()
    market = simulate_market(
        "crypto",
        seed=11,
        start=START,
        end=END,
        planted_symbols=2 * symbols // 3,
        noise_symbols=symbols - 2 * symbols // 3,
    )
    ingest_asset_type(warehouse, settings(), market.bars, source="simulated")
    build_features(warehouse, settings(), ["crypto"])
    return time.perf_counter() - start


def training_seconds(folder: Path) -> float:
    """Every fold, the final model and the calibration, as configured."""
    from bench.warehouses import settings
    from training.calibrate import calibrate_walk_forward
    from training.walk_forward import run_walk_forward

    dataset = _dataset(folder)
    start = time.perf_counter()
    trained, _ = calibrate_walk_forward(dataset, run_walk_forward(dataset, settings()), settings())
    seconds = time.perf_counter() - start
    (folder / "record.pickle").write_bytes(pickle.dumps(trained))
    return seconds


def audit_seconds(folder: Path) -> float:
    """Every check on that run; the seconds by check go into the note."""
    from bench.warehouses import open_at, settings
    from training.audit import audit_training

    dataset = _dataset(folder)
    trained = pickle.loads((folder / "record.pickle").read_bytes())
    start = time.perf_counter()
    report = audit_training(open_at(folder), settings(), dataset, trained)
    seconds = time.perf_counter() - start
    slowest = sorted(report.seconds.items(), key=lambda item: -item[1])[:4]
    told = ", ".join(f"{check} {taken:.1f} s" for check, taken in slowest)
    (folder / "found.txt").write_text(
        f"{told}; {len(report.of('failed'))} failed, {len(report.of('warning'))} warnings"
    )
    return seconds


def _dataset(folder: Path) -> Dataset:
    from bench.warehouses import open_at, settings
    from training.dataset import as_dataset, stored_training_set

    return as_dataset(settings(), "crypto", stored_training_set(open_at(folder), settings(), "crypto"))

"""Benchmark `walk_forward_naive`: twelve quarterly folds and the final model, against the loop that people write.

The peer fits an `XGBClassifier` on a slice of a pandas frame for each fold: the same rows, parameters and threads. It
tests no warm start, keeps nothing for a killed run and reports no progress. Its frame holds doubles, as tables and
feature stores give them; a second line gives it single precision.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench.measure import Comparison, growth_exponent, measured

NAME = "walk_forward_naive"
SYMBOLS = {"small": 78, "full": 782}
"""200 thousand and 2 million rows over 2,557 days."""


def run(size: str) -> Iterator[Comparison]:
    """Exact mode against both frames, warm start against the first."""
    symbols = SYMBOLS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        folder = Path(root)
        for name, count, dtype in (
            ("double", symbols, "float64"),
            ("single", symbols, "float32"),
            ("tenth", symbols // 10, "float64"),
        ):
            measured(_written, folder / name, count, dtype)
        theirs = measured(plain_seconds, folder / "double", folder / "plain.npy")
        frugal = measured(plain_seconds, folder / "single", folder / "frugal.npy")
        exact = measured(our_seconds, folder / "double", "exact", folder / "exact.npy")
        warm = measured(our_seconds, folder / "double", "warm_start", folder / "warm.npy")
        growth = growth_exponent(measured(our_seconds, folder / "tenth", "exact", folder / "t.npy"), exact, 10)
        label = f"{size}: {_rows(folder / 'double'):,} rows"
        plain, ours, single = (np.load(folder / f"{name}.npy") for name in ("plain", "exact", "frugal"))
        yield Comparison(NAME, f"{label}, exact", exact, "XGBClassifier on pandas", theirs, growth, same(ours, plain))
        yield Comparison(NAME, f"{label}, exact", exact, "the same on float32", frugal, growth, same(ours, single))
        note = f"{excess(folder, plain)}; {(folder / 'warm.txt').read_text()}"
        yield Comparison(NAME, f"{label}, warm start", warm, "XGBClassifier on pandas", theirs, growth, note)


def same(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Whether two records are equal in every bit of single precision, in which XGBoost computes."""
    equal = len(ours) == len(theirs) and bool((ours.astype(np.float32) == theirs).all())
    return f"{len(ours):,} predictions {'bit-identical' if equal else 'DIFFER'}"


def excess(folder: Path, plain: np.ndarray) -> str:
    """The paired test of the warm record against the plain loop's on all folds."""
    from bench.training_rows import bench_settings
    from market.comparison import paired_bootstrap

    warm, actual, dates = (np.load(folder / f"{name}.npy") for name in ("warm", "actual", "dates"))
    known = ~np.isnan(actual)
    difference = (np.square(warm - actual) - np.square(plain.astype(np.float64) - actual))[known]
    settings = bench_settings("exact").evaluation
    interval = paired_bootstrap(
        difference,
        dates[known],
        samples=settings.bootstrap_samples,
        block_days=settings.bootstrap_block_days,
        seed=settings.bootstrap_seed,
    )
    return f"Brier {difference.mean():+.6f} [{interval.low:+.6f}, {interval.high:+.6f}]"


def our_seconds(rows: Path, mode: str, output: Path) -> float:
    """`run_walk_forward` as training calls it; the record is kept for the comparison."""
    from bench.training_rows import bench_settings, read_dataset
    from training.walk_forward import run_walk_forward

    dataset, settings = read_dataset(rows), bench_settings(mode)
    start = time.perf_counter()
    result = run_walk_forward(dataset, settings)
    seconds = time.perf_counter() - start
    np.save(output, result.predictions["up_probability"].to_numpy())
    if mode == "warm_start":
        record = result.predictions
        actual = record["target_direction"].cast(float).fill_null(float("nan")).to_numpy()
        np.save(output.with_name("actual.npy"), actual)
        np.save(output.with_name("dates.npy"), record["datetime"].dt.date().to_numpy().astype("datetime64[D]"))
        output.with_suffix(".txt").write_text(result.tags()["warm_start"])
    return seconds


def plain_seconds(rows: Path, output: Path) -> float:
    """The loop: a mask, a slice, a fit and a prediction for each quarter, and a last fit on every known label."""
    import pandas as pd
    from xgboost import XGBClassifier

    from bench.training_rows import FEATURES, TRAIN_END, bench_settings

    features = list(FEATURES)
    columns = ["datetime", "label_known_at", "target_direction", *features]
    frame = pd.read_parquet(rows, columns=columns)
    training = bench_settings("exact").training
    first = pd.Timestamp(TRAIN_END, tz="UTC") + pd.Timedelta(days=1)
    starts = [first + pd.DateOffset(months=3 * quarter) for quarter in range(13)]
    start = time.perf_counter()
    record = []

    def fitted(mask: pd.Series) -> XGBClassifier:
        model = XGBClassifier(
            n_estimators=training.max_trees,
            n_jobs=training.threads,
            random_state=training.seed,
            tree_method="hist",
            **training.xgboost.model_dump(),
        )
        return model.fit(frame.loc[mask, features], frame.loc[mask, "target_direction"])

    for begin, end in pairwise(starts):
        model = fitted(frame["label_known_at"] < begin)
        tested = (frame["datetime"] >= begin) & (frame["datetime"] < end)
        record.append(model.predict_proba(frame.loc[tested, features])[:, 1])
    fitted(frame["target_direction"].notna())
    seconds = time.perf_counter() - start
    np.save(output, np.concatenate(record))
    return seconds


def _written(folder: Path, symbols: int, dtype: str) -> float:
    from bench.training_rows import write_rows

    return write_rows(folder, symbols, dtype)


def _rows(folder: Path) -> int:
    import polars as pl

    return int(pl.scan_parquet(folder).select(pl.len()).collect().item())

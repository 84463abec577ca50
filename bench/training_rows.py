"""Training rows for benchmarks: features with a weak law behind the labels, as files that every loop reads alike."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from configs.settings import Settings
    from training.dataset import Dataset

FEATURES = tuple(f"feature_{number:02d}" for number in range(30))
FIRST_DAY = datetime(2018, 1, 1, tzinfo=UTC)
TRAIN_END = date(2021, 12, 31)
LAST_TESTED = date(2024, 12, 31)
"""Twelve quarters after `TRAIN_END`; rows go on to the end of this day only."""
TREES = 100
THREADS = 2
WARM_UP_DAYS = 50
DAYS_A_FILE = 50


def write_rows(folder: Path, symbols: int, dtype: str) -> float:
    """Parquet files in time order: keys, labels and features of this type, with missing values while warming up."""
    start = time.perf_counter()
    folder.mkdir(parents=True)
    names = pl.Series("symbol", [f"S{number:05d}/USDT" for number in range(symbols)])
    days = (datetime.combine(LAST_TESTED, datetime.min.time(), tzinfo=UTC) - FIRST_DAY).days + 1
    for first in range(0, days, DAYS_A_FILE):
        count = min(DAYS_A_FILE, days - first)
        frame = _rows(names, first, count, days)
        frame.with_columns(pl.col(FEATURES).cast(pl.Float64 if dtype == "float64" else pl.Float32)).write_parquet(
            folder / f"rows-{first:05d}.parquet", compression="uncompressed"
        )
    return time.perf_counter() - start


def _rows(names: pl.Series, first: int, count: int, days: int) -> pl.DataFrame:
    random = np.random.default_rng([7, first])
    rows = count * len(names)
    values = random.normal(size=(rows, len(FEATURES))).astype(np.float32)
    slope = 1 + first / days  # the law drifts, so that newer rows matter more
    logit = 0.12 * slope * values[:, 0] + 0.1 * values[:, 1] * (values[:, 2] > 0) - 0.08 * np.abs(values[:, 3])
    up = random.random(rows) < 1 / (1 + np.exp(-logit))
    if first < WARM_UP_DAYS:
        values[:, 10:16] = np.nan
    stamps = pl.Series("datetime", [FIRST_DAY + timedelta(days=first + day) for day in range(count)])
    keys = pl.DataFrame({"datetime": stamps.dt.cast_time_unit("us")}).join(names.to_frame(), how="cross")
    last = FIRST_DAY + timedelta(days=days - 1)
    known = pl.col("datetime") < last
    return keys.select(
        pl.lit("crypto").alias("asset_type"),
        "symbol",
        "datetime",
        (pl.col("datetime") + pl.duration(days=1)).alias("bar_known_at"),
        pl.when(known).then(pl.Series("up", up).cast(pl.Int64)).alias("target_direction"),
        pl.when(known).then(pl.Series("up", np.where(up, 1.0, -1.0))).alias("forward_return_pct"),
        pl.when(known).then(pl.col("datetime") + pl.duration(days=2)).alias("label_known_at"),
        pl.when(pl.col("datetime").dt.date() <= TRAIN_END)
        .then(pl.lit("TRAIN"))
        .otherwise(pl.lit("TEST"))
        .alias("data_split"),
    ).hstack([pl.Series(name, values[:, column]) for column, name in enumerate(FEATURES)])


def read_dataset(folder: Path) -> Dataset:
    """The rows as training gets them, file by file, so that nothing stands in memory twice."""
    from training.dataset import KEY, LABELS, Dataset

    files = sorted(folder.glob("*.parquet"))
    keys = pl.read_parquet(files, columns=[*KEY, "bar_known_at", *LABELS]).rechunk()
    matrix = np.empty((keys.height, len(FEATURES)), dtype=np.float32)
    position = 0
    for file in files:
        part = pl.read_parquet(file, columns=list(FEATURES))
        matrix[position : position + part.height] = part.to_numpy()
        position += part.height
    label = keys["target_direction"].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    instants = {name: _instants(keys[name]) for name in ("datetime", "bar_known_at", "label_known_at")}
    return Dataset(
        asset_type="crypto",
        features=FEATURES,
        matrix=matrix,
        label=label,
        datetime=instants["datetime"],
        known_at=instants["bar_known_at"],
        label_known_at=instants["label_known_at"],
        keys=keys,
        content_hash="bench",
    )


def bench_settings(mode: str) -> Settings:
    """Twelve quarterly folds, a fixed number of trees, everything else as configured."""
    from configs.settings import SplitSettings, load_settings

    settings = load_settings("local")
    training = settings.training.model_copy(
        update={
            "mode": mode,
            "retrain": "quarterly",
            "burn_in_years": 0,
            "early_stopping_share": 0.0,
            "max_trees": TREES,
            "threads": THREADS,
        }
    )
    split = SplitSettings(train_end=TRAIN_END, test_end=LAST_TESTED)
    splits = settings.splits.model_copy(update={"crypto": split})
    return settings.model_copy(update={"training": training, "splits": splits})


def _instants(column: pl.Series) -> np.ndarray:
    return column.dt.replace_time_zone(None).cast(pl.Datetime("us")).to_numpy()

"""A small training set: three crypto symbols whose next direction leans on the first of four features."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from configs.settings import Settings, load_settings
from training.dataset import Dataset

START = datetime(2021, 1, 1, tzinfo=UTC)
DAYS = 1300
SYMBOLS = ("AAA/USDT", "BBB/USDT", "CCC/USDT")
FEATURES = ("a", "b", "c", "d")


def training_set(*, days: int = DAYS, symbols: tuple[str, ...] = SYMBOLS, lean: float = 0.1, seed: int = 3) -> Dataset:
    """Rows sorted by (datetime, symbol); P(up) is 0.5 +/- `lean` by the sign of `a`; the newest bars have no label."""
    random = np.random.default_rng(seed)
    stamps = [START + timedelta(days=day) for day in range(days)]
    keys = pl.DataFrame(
        [(symbol, stamp) for stamp in stamps for symbol in symbols],
        schema={"symbol": pl.String, "datetime": pl.Datetime("us", "UTC")},
        orient="row",
    )
    count = keys.height
    matrix = random.normal(size=(count, len(FEATURES))).astype(np.float32)
    matrix[random.random((count, len(FEATURES))) < 0.02] = np.nan
    up = random.random(count) < 0.5 + lean * np.sign(np.nan_to_num(matrix[:, 0]))
    last = (keys["datetime"] == stamps[-1]).to_numpy()
    label = np.where(last, np.nan, up).astype(np.float32)
    keys = keys.select(
        pl.lit("crypto").alias("asset_type"),
        "symbol",
        "datetime",
        (pl.col("datetime") + pl.duration(days=1)).alias("bar_known_at"),
        pl.Series("target_direction", label).fill_nan(None).cast(pl.Int64),
        pl.lit(0.0).alias("forward_return_pct"),
        pl.when(pl.Series(last)).then(None).otherwise(pl.col("datetime") + pl.duration(days=2)).alias("label_known_at"),
        pl.when(pl.col("datetime") < datetime(2023, 1, 1, tzinfo=UTC))
        .then(pl.lit("TRAIN"))
        .when(pl.col("datetime") < datetime(2024, 1, 1, tzinfo=UTC))
        .then(pl.lit("TEST"))
        .otherwise(pl.lit("VALIDATE"))
        .alias("data_split"),
    )
    return as_dataset(keys, matrix, label)


def as_dataset(keys: pl.DataFrame, matrix: np.ndarray, label: np.ndarray) -> Dataset:
    """Keys, features and labels as a dataset."""
    instants = [
        keys[name].dt.replace_time_zone(None).to_numpy() for name in ("datetime", "bar_known_at", "label_known_at")
    ]
    return Dataset("crypto", FEATURES[: matrix.shape[1]], matrix, label, *instants, keys, "hash")


def without(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The dataset with the labels of these rows never known, as of symbols that ended there."""
    label, known_at = dataset.label.copy(), dataset.label_known_at.copy()
    label[rows] = np.nan
    known_at[rows] = np.datetime64("NaT")
    return replace(dataset, label=label, label_known_at=known_at)


def only(dataset: Dataset, mask: np.ndarray) -> Dataset:
    """The dataset with these rows only."""
    return replace(
        dataset,
        matrix=dataset.matrix[mask],
        label=dataset.label[mask],
        datetime=dataset.datetime[mask],
        known_at=dataset.known_at[mask],
        label_known_at=dataset.label_known_at[mask],
        keys=dataset.keys.filter(pl.Series(mask)),
    )


def training(profile: str = "test", /, **changes: object) -> Settings:
    """Quarterly folds of a few trees in profile `test`, with these keys of section `training` changed and checked."""
    settings = load_settings(profile)
    few = {"retrain": "quarterly", "max_trees": 12, "early_stopping_rounds": 4}
    values = {**settings.training.model_dump(), **few}
    for key, value in changes.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value
    section = type(settings.training).model_validate(values)
    return settings.model_copy(update={"training": section})

"""Walk-forward: one model a fold, predictions only on bars after everything that model saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from configs.settings import Settings
from market.errors import NotEnoughDataError
from market.splits import Fold, test_rows, train_rows, walk_forward_folds
from training.dataset import Dataset, as_utc
from training.model import FittedModel, fit, predict

Progress = Callable[[int, int], None]
"""Called with (folds done, folds in all)."""


@dataclass(frozen=True)
class FoldResult:
    """A fold, its model and the bars it was tested on."""

    fold: Fold
    model: FittedModel
    tested: int


@dataclass(frozen=True)
class WalkForward:
    """The out-of-sample record of one training run.

    Attributes:
        folds: Results in time order.
        predictions: One row per tested bar: key, `bar_known_at`, labels, `fold`, `fold_start`, `trained_through`,
            `up_probability`; sorted by (datetime, symbol).
        final: The model refit on every label known at training time.
        skipped: Burn-in folds left out because too little history lay before them.
    """

    folds: list[FoldResult]
    predictions: pl.DataFrame
    final: FittedModel
    skipped: list[Fold]


def plan_folds(dataset: Dataset, settings: Settings) -> list[Fold]:
    """The folds of an asset class by its split dates and the training settings."""
    splits, training = settings.splits.of(dataset.asset_type), settings.training
    return walk_forward_folds(
        train_end=splits.train_end,
        test_end=splits.test_end,
        last=dataset.keys["datetime"].max(),  # type: ignore[arg-type]
        retrain=training.retrain,
        window=training.window,
        rolling_years=training.rolling_years,
        embargo_days=training.embargo_days,
        burn_in_years=training.burn_in_years,
    )


def run_walk_forward(dataset: Dataset, settings: Settings, progress: Progress | None = None) -> WalkForward:
    """Train and test every fold, then refit on all known labels.

    Raises:
        NotEnoughDataError: There is no bar after TRAIN, or a fold after the burn-in has too little history.
    """
    folds = plan_folds(dataset, settings)
    test_begin = np.datetime64(settings.splits.of(dataset.asset_type).train_end, "us") + np.timedelta64(1, "D")
    if not len(dataset.datetime) or dataset.datetime.max() < test_begin:
        raise NotEnoughDataError(
            f"{dataset.asset_type}: no bar after train_end {settings.splits.of(dataset.asset_type).train_end}",
            remedy=f"set splits.{dataset.asset_type} to dates inside your bars",
        )
    results: list[FoldResult] = []
    frames: list[pl.DataFrame] = []
    skipped: list[Fold] = []
    for position, fold in enumerate(folds):
        tested = np.flatnonzero(test_rows(fold, dataset.datetime))
        trained = np.flatnonzero(train_rows(fold, dataset.datetime, dataset.label_known_at))
        burn_in = np.datetime64(fold.test_start.replace(tzinfo=None), "us") < test_begin
        if burn_in and not _trainable(dataset, trained, settings):
            skipped.append(fold)
        elif len(tested):
            model = fit(dataset, trained, settings.training)
            results.append(FoldResult(fold, model, len(tested)))
            frames.append(_fold_predictions(dataset, tested, fold, model))
        if progress:
            progress(position + 1, len(folds) + 1)
    known = np.flatnonzero(~np.isnan(dataset.label))
    final = fit(dataset, known, settings.training)
    if progress:
        progress(len(folds) + 1, len(folds) + 1)
    return WalkForward(results, pl.concat(frames).sort("datetime", "symbol"), final, skipped)


def _trainable(dataset: Dataset, rows: NDArray[np.intp], settings: Settings) -> bool:
    enough = len(rows) >= settings.training.min_train_rows
    return enough and len(np.unique(dataset.label[rows])) == 2


def _fold_predictions(dataset: Dataset, rows: NDArray[np.intp], fold: Fold, model: FittedModel) -> pl.DataFrame:
    instant = pl.Datetime("us", "UTC")
    return dataset.keys[rows].with_columns(
        fold=pl.lit(fold.index, dtype=pl.Int64),
        fold_start=pl.lit(fold.test_start).cast(instant),
        trained_through=pl.lit(as_utc(model.trained_through)).cast(instant),
        up_probability=pl.Series(predict(model.booster, dataset.matrix[rows])),
    )

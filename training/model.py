"""One XGBoost fit: early stopping on the newest dates, then a refit on every row with the trees found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from configs.settings import TrainingSettings
from market.errors import NotEnoughDataError
from market.splits import early_stopping_split
from training.dataset import Dataset


@dataclass(frozen=True)
class FittedModel:
    """A booster and what it saw.

    Attributes:
        booster: The refit booster.
        trees: Number of boosting rounds, found by early stopping.
        rows: Training rows of the refit.
        trained_through: Latest `label_known_at` of all rows handed to XGBoost, early stopping included.
    """

    booster: xgb.Booster
    trees: int
    rows: int
    trained_through: np.datetime64


class _RowsSeen:
    """Builds the matrices XGBoost gets and remembers the newest label among them, so that no plan is trusted."""

    def __init__(self, dataset: Dataset, settings: TrainingSettings) -> None:
        self._dataset = dataset
        self._threads = settings.threads
        self.trained_through = np.datetime64("1677-01-01", "us")

    def matrix(self, rows: NDArray[np.intp], reference: xgb.QuantileDMatrix | None = None) -> xgb.QuantileDMatrix:
        dataset = self._dataset
        self.trained_through = max(self.trained_through, dataset.label_known_at[rows].max())
        return xgb.QuantileDMatrix(
            dataset.matrix[rows],
            label=dataset.label[rows],
            feature_names=list(dataset.features),
            ref=reference,
            nthread=self._threads,
        )


def fit(dataset: Dataset, rows: NDArray[np.intp], settings: TrainingSettings) -> FittedModel:
    """Fit one model.

    The newest `early_stopping_share` of the training dates decides the number of trees; rows whose label was not known
    before those dates are purged from the first fit; the refit uses every row.

    Args:
        dataset: Source of rows.
        rows: Positions of the training rows; their labels must be known.
        settings: Booster parameters, seed, threads.

    Raises:
        NotEnoughDataError: Fewer rows than `min_train_rows`, or labels of one class only.
    """
    _require_enough(dataset, rows, settings)
    seen = _RowsSeen(dataset, settings)
    fit_mask, stop_mask = early_stopping_split(
        dataset.datetime[rows], dataset.label_known_at[rows], settings.early_stopping_share
    )
    parameters = _parameters(settings)
    trees = settings.max_trees
    if fit_mask.any() and stop_mask.any() and len(np.unique(dataset.label[rows[fit_mask]])) == 2:
        training = seen.matrix(rows[fit_mask])
        stopping = seen.matrix(rows[stop_mask], reference=training)
        trial = xgb.train(
            parameters,
            training,
            num_boost_round=settings.max_trees,
            evals=[(stopping, "stopping")],
            early_stopping_rounds=settings.early_stopping_rounds,
            verbose_eval=False,
        )
        trees = trial.best_iteration + 1
    booster = xgb.train(parameters, seen.matrix(rows), num_boost_round=trees, verbose_eval=False)
    return FittedModel(booster=booster, trees=trees, rows=len(rows), trained_through=seen.trained_through)


def predict(booster: xgb.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of UP for each row of a float32 matrix (rows, features); NaN features are allowed."""
    if len(matrix) == 0:
        return np.empty(0, dtype=np.float64)
    return np.asarray(booster.inplace_predict(matrix, validate_features=False), dtype=np.float64)


def _parameters(settings: TrainingSettings) -> dict[str, Any]:
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "nthread": settings.threads,
        "seed": settings.seed,
        **settings.xgboost.model_dump(),
    }


def _require_enough(dataset: Dataset, rows: NDArray[np.intp], settings: TrainingSettings) -> None:
    if len(rows) < settings.min_train_rows:
        raise NotEnoughDataError(
            f"{dataset.asset_type}: {len(rows)} training rows, at least {settings.min_train_rows} are needed",
            remedy=f"give more history, or move splits.{dataset.asset_type}.train_end to a later date",
        )
    classes = np.unique(dataset.label[rows])
    if len(classes) < 2 or np.isnan(classes).any():
        raise NotEnoughDataError(
            f"{dataset.asset_type}: training labels are {classes.tolist()}, both 0 and 1 are needed",
            remedy="look at the bars: a series that never falls (or rises) is stale or damaged",
        )

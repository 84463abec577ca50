"""One XGBoost fit: early stopping on the newest dates, then a refit on every row with the trees found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from configs.training import TrainingSettings
from market.errors import NotEnoughDataError
from market.splits import early_stopping_split
from training.dataset import Dataset
from training.matrix import as_index, quantile_matrix

PREDICT_ROWS = 1 << 20


@dataclass(frozen=True)
class FittedModel:
    """A booster and what it saw.

    Attributes:
        booster: The refit booster.
        trees: Number of boosting rounds: found by early stopping, or of all warm starts together.
        rows: Training rows of the refit; of a warm start, those of its new trees.
        trained_through: Latest `label_known_at` of all rows handed to XGBoost: early stopping included, and everything
            that the earlier trees of a warm start saw.
        seen_rows: First position and last position + 1 of these rows in the dataset.
    """

    booster: xgb.Booster
    trees: int
    rows: int
    trained_through: np.datetime64
    seen_rows: tuple[int, int] = (0, 0)


class _RowsSeen:
    """Builds the matrices XGBoost gets and remembers what was in them, so that no plan is trusted."""

    def __init__(self, dataset: Dataset, settings: TrainingSettings) -> None:
        self._dataset = dataset
        self._threads = settings.threads
        self.trained_through = np.datetime64("1677-01-01", "us")
        self.span = (dataset.rows, 0)

    def matrix(self, rows: NDArray[np.intp], reference: xgb.QuantileDMatrix | None = None) -> xgb.QuantileDMatrix:
        known_at = self._dataset.label_known_at[as_index(rows)]
        self.trained_through = max(self.trained_through, known_at.max())
        self.span = (min(self.span[0], int(rows.min())), max(self.span[1], int(rows.max()) + 1))
        return quantile_matrix(self._dataset, rows, threads=self._threads, reference=reference)


def fit(dataset: Dataset, rows: NDArray[np.intp], settings: TrainingSettings) -> FittedModel:
    """Fit one model.

    The newest `early_stopping_share` of the training dates decides the number of trees; rows whose label was not known
    before those dates are purged from the first fit; the refit uses every row. Bins come from the fit's own rows.

    Args:
        dataset: Source of rows.
        rows: Positions of the training rows, rising; their labels must be known.
        settings: Booster parameters, seed, threads.

    Raises:
        NotEnoughDataError: Fewer rows than `min_train_rows`, or labels of one class only.
    """
    require_enough(dataset, rows, settings)
    seen = _RowsSeen(dataset, settings)
    trees = _trees_by_early_stopping(dataset, rows, settings, seen)
    booster = xgb.train(booster_parameters(settings), seen.matrix(rows), num_boost_round=trees, verbose_eval=False)
    return FittedModel(booster, trees, len(rows), seen.trained_through, seen.span)


def _trees_by_early_stopping(
    dataset: Dataset, rows: NDArray[np.intp], settings: TrainingSettings, seen: _RowsSeen
) -> int:
    """Its matrices are gone before the refit builds its own."""
    if settings.early_stopping_share == 0:
        return settings.max_trees
    index = as_index(rows)
    fit_mask, stop_mask = early_stopping_split(
        dataset.datetime[index], dataset.label_known_at[index], settings.early_stopping_share
    )
    fit_rows, stop_rows = rows[fit_mask], rows[stop_mask]
    if not len(stop_rows) or not has_both_directions(dataset, fit_rows):
        return settings.max_trees
    training = seen.matrix(fit_rows)
    trial = xgb.train(
        booster_parameters(settings),
        training,
        num_boost_round=settings.max_trees,
        evals=[(seen.matrix(stop_rows, reference=training), "stopping")],
        early_stopping_rounds=settings.early_stopping_rounds,
        verbose_eval=False,
    )
    return int(trial.best_iteration) + 1


def continue_fit(
    dataset: Dataset, rows: NDArray[np.intp], settings: TrainingSettings, previous: FittedModel
) -> FittedModel:
    """Add `warm_start.new_trees` trees, learnt from these rows alone, to an earlier model.

    Each continuation has a seed of its own, so that it does not depend on what was trained before it in this process,
    and does not draw the columns of the one before.

    Args:
        dataset: Source of rows.
        rows: Positions of the newest training rows, rising; their labels must be known.
        settings: Booster parameters, seed, threads.
        previous: The model to go on from; it is left as it is.

    Returns:
        The longer model; the earlier one when the rows hold one direction only, from which nothing can be learnt.
    """
    if not has_both_directions(dataset, rows):
        return previous
    seen = _RowsSeen(dataset, settings)
    booster = xgb.train(
        {**booster_parameters(settings), "seed": settings.seed + previous.trees},
        seen.matrix(rows),
        num_boost_round=settings.warm_start.new_trees,
        xgb_model=bytearray(previous.booster.save_raw("ubj")),
        verbose_eval=False,
    )
    return FittedModel(
        booster=booster,
        trees=booster.num_boosted_rounds(),
        rows=len(rows),
        trained_through=max(previous.trained_through, seen.trained_through),
        seen_rows=(min(previous.seen_rows[0], seen.span[0]), max(previous.seen_rows[1], seen.span[1])),
    )


def predict(booster: xgb.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of UP for each row of a float32 matrix (rows, features); NaN features are allowed."""
    probability = np.empty(len(matrix), dtype=np.float64)
    for start in range(0, len(matrix), PREDICT_ROWS):
        part = matrix[start : start + PREDICT_ROWS]
        probability[start : start + len(part)] = booster.inplace_predict(part, validate_features=False)
    return probability


def has_both_directions(dataset: Dataset, rows: NDArray[np.intp]) -> bool:
    """Whether labels 0 and 1 are both among these rows, and no unknown one."""
    if not len(rows):
        return False
    label = dataset.label[as_index(rows)]
    low, high = label.min(), label.max()  # NaN when any label is unknown
    return bool(low == 0 and high == 1)


def booster_parameters(settings: TrainingSettings) -> dict[str, Any]:
    """What `xgboost.train` gets; threads are part of it, as sums in another order may differ in the last bit."""
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "nthread": settings.threads,
        "seed": settings.seed,
        **settings.xgboost.model_dump(),
    }


def require_enough(dataset: Dataset, rows: NDArray[np.intp], settings: TrainingSettings) -> None:
    """Stop where nothing can be learnt.

    Raises:
        NotEnoughDataError: Fewer rows than `min_train_rows`, or labels of one class only.
    """
    if len(rows) < settings.min_train_rows:
        raise NotEnoughDataError(
            f"{dataset.asset_type}: {len(rows)} training rows, at least {settings.min_train_rows} are needed",
            remedy=f"give more history, or move splits.{dataset.asset_type}.train_end to a later date",
        )
    if not has_both_directions(dataset, rows):
        classes = np.unique(dataset.label[rows])
        raise NotEnoughDataError(
            f"{dataset.asset_type}: training labels are {classes.tolist()}, both 0 and 1 are needed",
            remedy="look at the bars: a series that never falls (or rises) is stale or damaged",
        )

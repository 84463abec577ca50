"""What moves the model's probabilities: XGBoost's own contributions (TreeSHAP), averaged over out-of-sample bars."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import xgboost as xgb
from numpy.typing import NDArray

from registry.bundle import Bundle
from training.dataset import Dataset
from training.evaluate import OUT_OF_SAMPLE


@dataclass(frozen=True)
class Contribution:
    """One feature's part in the model's log-odds, before calibration.

    Attributes:
        feature: Its name.
        mean_absolute: Mean distance by which it moves the log-odds, over the sampled rows.
        share: Of the sum over all features, 0-1; None when no feature moves anything.
        direction: Rank correlation of the feature's value with its contribution, -1 to 1: above 0, higher values speak
            for UP. None where one of both is constant.
    """

    feature: str
    mean_absolute: float
    share: float | None
    direction: float | None


@dataclass(frozen=True)
class Contributions:
    """Contributions of every feature, the largest first.

    Attributes:
        rows: Sampled out-of-sample bars.
        bias: Mean log-odds without any feature.
    """

    rows: int
    bias: float
    features: tuple[Contribution, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain fields for JSON."""
        return asdict(self)


def contributions(bundle: Bundle, dataset: Dataset, *, rows: int, seed: int) -> Contributions | None:
    """Average the contributions over a sample of TEST and VALIDATE rows.

    The registered model was refit on these rows' labels too: this says what it looks at, not how well it does.

    Args:
        bundle: The model.
        dataset: Rows it was trained on, with the bundle's features in its order.
        rows: Sample size; all rows when there are fewer.
        seed: Of the sample.

    Returns:
        None when no row lies after TRAIN.
    """
    later = np.flatnonzero(dataset.keys["data_split"].is_in(OUT_OF_SAMPLE).to_numpy())
    if not len(later):
        return None
    chosen = np.sort(np.random.default_rng(seed).choice(later, min(rows, len(later)), replace=False))
    return average_contributions(bundle, dataset.matrix[chosen])


def average_contributions(bundle: Bundle, matrix: NDArray[np.float32]) -> Contributions:
    """Average the contributions over the rows of a matrix (rows, features), rows > 0; NaN is a missing value."""
    names = list(bundle.info.features)
    data = xgb.DMatrix(matrix, feature_names=names, nthread=bundle.threads)
    parts = np.asarray(bundle.booster.predict(data, pred_contribs=True), dtype=np.float64)
    sizes = np.abs(parts[:, :-1]).mean(axis=0)
    total = float(sizes.sum())
    found = [
        Contribution(
            feature=name,
            mean_absolute=float(sizes[column]),
            share=float(sizes[column]) / total if total > 0 else None,
            direction=_rank_correlation(matrix[:, column], parts[:, column]),
        )
        for column, name in enumerate(names)
    ]
    found.sort(key=lambda one: (-one.mean_absolute, one.feature))
    return Contributions(len(matrix), float(parts[:, -1].mean()), tuple(found))


def _rank_correlation(values: NDArray[np.floating[Any]], parts: NDArray[np.float64]) -> float | None:
    frame = pl.DataFrame({"value": values.astype(np.float64), "part": parts}).filter(pl.col("value").is_finite())
    if frame.height < 2 or frame["value"].n_unique() == 1 or frame["part"].n_unique() == 1:
        return None
    return float(frame.select(pl.corr("value", "part", method="spearman")).item())

"""Which features earn their place: those whose shuffling makes the inner out-of-sample predictions worse."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from configs.settings import Settings
from market.statistics import clustered_standard_error
from training.dataset import Dataset
from training.inner_folds import InnerFold
from training.model import fit, predict


@dataclass(frozen=True)
class FeatureWorth:
    """What shuffling one feature costs.

    Attributes:
        feature: Its name.
        log_loss_increase: Mean over the inner folds' test rows, in nats.
        standard_error: Clustered by date.
        kept: Whether training goes on with it.
    """

    feature: str
    log_loss_increase: float
    standard_error: float
    kept: bool


def select_features(dataset: Dataset, folds: list[InnerFold], settings: Settings) -> list[FeatureWorth]:
    """Judge every feature by permutation on rows that the model did not see.

    A feature is kept when the increase exceeds its standard error so far that chance alone would do it in one of
    1 / (1 - `level`) cases. Of fewer than `min_features` such, the strongest others are kept too.

    Args:
        dataset: Full width.
        folds: Inner folds; nothing else is looked at.
        settings: Section `training`; the configured booster parameters.

    Returns:
        One entry a feature, in the order of the columns.
    """
    section = settings.training.selection
    increases = np.concatenate([_increases(dataset, fold, number, settings) for number, fold in enumerate(folds)])
    dates = dataset.datetime[np.concatenate([fold.test for fold in folds])].astype("datetime64[D]")
    means = increases.mean(axis=0)
    errors = np.array([clustered_standard_error(column, dates) for column in increases.T])
    strong = means > ndtri(section.level) * errors
    strongest = np.argsort(-means, kind="stable")[: section.min_features]
    kept = strong.copy()
    if strong.sum() < section.min_features:
        kept[strongest] = True
    return [
        FeatureWorth(name, float(means[i]), float(errors[i]), bool(kept[i])) for i, name in enumerate(dataset.features)
    ]


def narrowed(dataset: Dataset, features: tuple[str, ...]) -> Dataset:
    """The dataset with these of its features only, in their order."""
    columns = [dataset.features.index(name) for name in features]
    return replace(dataset, features=features, matrix=np.ascontiguousarray(dataset.matrix[:, columns]))


def log_loss_by_row(actual: NDArray[np.float32], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Negative log-likelihood of each row in nats."""
    return -np.log(np.where(actual == 1, probability, 1 - probability))


def _increases(dataset: Dataset, fold: InnerFold, number: int, settings: Settings) -> NDArray[np.float64]:
    """Shape (test rows, features): log loss with a column shuffled less log loss as it is, averaged over repeats."""
    booster = fit(dataset, fold.train, settings.training).booster
    matrix, actual = dataset.matrix[fold.test], dataset.label[fold.test]
    loss = log_loss_by_row(actual, predict(booster, matrix))
    increases = np.zeros(matrix.shape)
    used = set(booster.get_score(importance_type="weight"))
    for column, name in enumerate(dataset.features):
        if name not in used:
            continue
        original = matrix[:, column].copy()
        random = np.random.default_rng([settings.training.seed, number, column])
        for _ in range(settings.training.selection.repeats):
            matrix[:, column] = random.permutation(original)
            increases[:, column] += log_loss_by_row(actual, predict(booster, matrix)) - loss
        matrix[:, column] = original
    return increases / settings.training.selection.repeats

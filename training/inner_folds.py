"""Folds inside the first training window: choices about the model are made there, before any tested bar began."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.settings import Settings
from market.errors import NotEnoughDataError
from training.dataset import Dataset
from training.model import has_both_directions
from training.walk_forward import plan_jobs, training_positions


@dataclass(frozen=True)
class InnerFold:
    """Rising positions of the rows to fit on and of the rows to judge on; the labels of both are known."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


def first_window(dataset: Dataset, settings: Settings) -> NDArray[np.intp]:
    """Positions of the rows that the first fold trains on: all that a choice for the whole run may look at.

    Raises:
        NotEnoughDataError: There is no fold.
    """
    jobs, _ = plan_jobs(dataset, settings)
    return training_positions(dataset, jobs[0].fold)


def inner_folds(dataset: Dataset, rows: NDArray[np.intp], settings: Settings) -> list[InnerFold]:
    """Expanding folds over the newest half of a window's dates, in blocks of equally many dates.

    A row trains an inner fold only if its label was known before the block began, as in the folds themselves.

    Args:
        dataset: Where the rows stand.
        rows: The window, rising positions of rows with known labels.
        settings: Sections `training.tuning.inner_folds` and `training.min_train_rows`.

    Raises:
        NotEnoughDataError: No block has enough history before it.
    """
    stamps, known_at = dataset.datetime[rows], dataset.label_known_at[rows]
    distinct = np.unique(stamps)
    blocks = np.array_split(distinct[len(distinct) // 2 :], settings.training.tuning.inner_folds)
    folds = [
        InnerFold(rows[known_at < block[0]], rows[(stamps >= block[0]) & (stamps <= block[-1])])
        for block in blocks
        if len(block)
    ]
    usable = [
        fold
        for fold in folds
        if len(fold.train) >= settings.training.min_train_rows and has_both_directions(dataset, fold.train)
    ]
    if not usable:
        raise NotEnoughDataError(
            f"{dataset.asset_type}: the first training window of {len(rows)} rows is too short to choose anything in",
            remedy=f"switch tuning and selection off, or move splits.{dataset.asset_type}.train_end to a later date",
        )
    return usable

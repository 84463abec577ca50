"""Which part of a reported accuracy is hindsight: the inflated construction rebuilt, its faults taken away one by one.

All steps share the bars, the tested dates and the booster's settings, so that what changes between two steps is the
fault between them. Nothing is read from or written to a profile's warehouse: indicators, features and labels are
computed by the platform's own code in a warehouse of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import count

import numpy as np
import polars as pl
from numpy.typing import NDArray

from configs.settings import Settings, SplitSettings
from market.assets import AssetType
from market.splits import test_rows, train_rows
from training.canary_bars import matched_random_walk
from training.dataset import Dataset, as_dataset
from training.explain_data import fitting_splits, honest_tables, study_settings, with_service
from training.explain_faults import one_split
from training.explain_score import KEY, Step, scored
from training.explain_steps import HONEST_SERVICE, ORIGINAL_SERVICE, Construction, constructions
from training.model import fit, predict
from training.walk_forward import plan_folds

Rows = NDArray[np.intp]
Progress = Callable[[int, int], None]
"""Called with (models fitted, models in all)."""


@dataclass(frozen=True)
class Explanation:
    """The steps in order, the honest one last, and what they stand on.

    Attributes:
        splits: Last dates of TRAIN and TEST in force.
        is_own_split: Whether these are the profile's dates; else they lie at fixed shares of the bars' dates.
    """

    asset_type: AssetType
    symbols: int
    bars: int
    first: date
    last: date
    splits: SplitSettings
    is_own_split: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class _Task:
    """One construction and the splits of rows it is trained and tested on."""

    construction: Construction
    dataset: Dataset
    splits: list[tuple[Rows, Rows]]


def explain_bars(
    bars: pl.DataFrame, settings: Settings, *, duplicates: int = 1, progress: Progress | None = None
) -> Explanation:
    """Rebuild the inflated construction on bars of one asset class and take its faults away one at a time.

    Args:
        bars: `market.bars.BAR_SCHEMA` of one asset class, checked.
        settings: Indicator variant, split dates, folds, booster, bootstrap; `audit.seed` throws the control's coins.
        duplicates: Copies of each row in the inflated construction; 1 for none.
        progress: Told about every fitted model.

    Raises:
        NotEnoughDataError: The history is too short to train and test on.
    """
    splits, is_own_split = fitting_splits(bars, settings)
    settings = study_settings(settings, bars, splits)
    found: list[Step] = []
    before: pl.DataFrame | None = None
    for construction, tested in _tested_steps(bars, settings, splits, duplicates, progress):
        is_control = construction.is_control
        found.append(scored(construction, tested, None if is_control else before, settings))
        before = before if is_control else tested
    days = bars["datetime"].dt.date()
    return Explanation(
        asset_type=bars["asset_type"][0],
        symbols=bars["symbol"].n_unique(),
        bars=bars.height,
        first=days.min(),  # type: ignore[arg-type]
        last=days.max(),  # type: ignore[arg-type]
        splits=splits,
        is_own_split=is_own_split,
        steps=tuple(found),
    )


def _tested_steps(
    bars: pl.DataFrame, settings: Settings, splits: SplitSettings, duplicates: int, progress: Progress | None
) -> Iterator[tuple[Construction, pl.DataFrame]]:
    """Every construction with what it predicted: `symbol`, `datetime`, `actual`, `up_probability`."""
    steps = constructions(duplicates=duplicates, train_end=splits.train_end, test_end=splits.test_end)
    rows = honest_tables(bars, settings, (ORIGINAL_SERVICE, HONEST_SERVICE))
    coins = np.random.default_rng(settings.audit.seed)
    walk = honest_tables(matched_random_walk(bars, coins), settings, (ORIGINAL_SERVICE,))
    tasks = [_task(step, step.table(walk if step.is_control else rows), settings, splits) for step in steps]
    models, done = sum(len(task.splits) for task in tasks), count(1)
    for task in tasks:
        pieces = []
        for trained, tested in task.splits:
            pieces.append(_predicted(task.dataset, trained, tested, settings))
            if progress:
                progress(next(done), models)
        yield task.construction, pl.concat(pieces)


def _task(construction: Construction, table: pl.DataFrame, settings: Settings, splits: SplitSettings) -> _Task:
    dataset = as_dataset(with_service(settings, construction.service), table["asset_type"][0], table)
    if construction.one_split:
        return _Task(construction, dataset, [one_split(dataset, splits.train_end, splits.test_end)])
    return _Task(construction, dataset, _folds_after_test(dataset, settings, splits))


def _folds_after_test(dataset: Dataset, settings: Settings, splits: SplitSettings) -> list[tuple[Rows, Rows]]:
    """The walk-forward folds, tested on the labelled bars after TEST, as everything else is."""
    judged = ~np.isnan(dataset.label) & (dataset.datetime.astype("datetime64[D]") > np.datetime64(splits.test_end))
    found = []
    for fold in plan_folds(dataset, settings):
        tested = np.flatnonzero(test_rows(fold, dataset.datetime) & judged)
        if len(tested):
            found.append((np.flatnonzero(train_rows(fold, dataset.datetime, dataset.label_known_at)), tested))
    return found


def _predicted(dataset: Dataset, trained: Rows, tested: Rows, settings: Settings) -> pl.DataFrame:
    model = fit(dataset, trained, settings.training)
    return dataset.keys[tested].select(
        *KEY,
        actual=pl.Series(dataset.label[tested]),
        up_probability=pl.Series(predict(model.booster, dataset.matrix[tested])),
    )

"""Faults of training itself: which rows a fold learns from, when it stops, who chooses bins, what calibrates it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

import market.splits
import training.calibrate
import training.matrix
import training.model
from tests.planted_faults.fault import Fault, Naming
from tests.planted_faults.seams import replaced

BLIND = Naming("truncation", r"\w+ predictions", "predictions change")
THROUGH = Naming("time", "trained_through <= fold_start", "[1-9][0-9]* of [0-9]+ rows break it")
LATE = (*(Naming(check, ".*") for check in ("overlap", "purge", "refit", "canary", "time")), BLIND)


def random_split() -> AbstractContextManager[None]:
    def drawn(fold: Any, datetimes: Any, label_known_at: Any) -> Any:
        random = np.random.default_rng(fold.index)
        return (random.random(len(datetimes)) < 0.8) & ~np.isnat(label_known_at)

    return replaced(market.splits.train_rows, drawn)


def no_purge() -> AbstractContextManager[None]:
    def by_stamp(fold: Any, datetimes: Any, label_known_at: Any) -> Any:
        start = np.datetime64(fold.test_start.replace(tzinfo=None), "us")
        return (datetimes < start) & ~np.isnat(label_known_at)

    return replaced(market.splits.train_rows, by_stamp)


def stopping_on_the_test_fold() -> AbstractContextManager[None]:
    """The year after the training rows decides when boosting stops."""
    original = training.model._trees_by_early_stopping

    def stopped(dataset: Any, rows: Any, settings: Any, seen: Any) -> int:
        import xgboost as xgb

        year = dataset.datetime[rows[-1]] + np.timedelta64(365, "D")
        after = np.flatnonzero(
            (dataset.datetime > dataset.datetime[rows[-1]]) & (dataset.datetime <= year) & ~np.isnan(dataset.label)
        )
        if not len(after):
            return int(original(dataset, rows, settings, seen))
        fitting = seen.matrix(rows)
        trial = xgb.train(
            training.model.booster_parameters(settings), fitting, num_boost_round=settings.max_trees,
            evals=[(seen.matrix(after, reference=fitting), "test")],
            early_stopping_rounds=settings.early_stopping_rounds, verbose_eval=False,
        )  # fmt: skip
        return int(trial.best_iteration) + 1

    return replaced(original, stopped)


def bins_of_all_rows() -> AbstractContextManager[None]:
    """One binning for all folds saves time, and lets the future choose the bins; no label is seen by it."""
    original = training.matrix.quantile_matrix

    def shared(dataset: Any, rows: Any, *, threads: int, reference: Any = None) -> Any:
        if reference is None:
            reference = original(dataset, np.flatnonzero(~np.isnan(dataset.label)), threads=threads)
        return original(dataset, rows, threads=threads, reference=reference)

    return replaced(original, shared)


def calibrated_on_the_test_fold() -> AbstractContextManager[None]:
    def own_rows(material: Any, fold: Any) -> Any:
        return np.flatnonzero((material.fold == fold.index) & ~np.isnan(material.label))

    return replaced(training.calibrate.earlier_rows, own_rows)


FIT_FAULTS = (
    Fault("random split", "training rows drawn at random from all dates", random_split, (THROUGH,), LATE),
    Fault(
        "no purge",
        "training rows chosen by their stamp, not by when their label was known",
        no_purge,
        (THROUGH,),
        LATE,
        is_variant=True,
    ),
    Fault(
        "early stopping on the test fold",
        "the tested year decides the number of trees",
        stopping_on_the_test_fold,
        (THROUGH,),
        LATE,
    ),
    Fault(
        "histogram bins from the future",
        "one binning of all rows is shared by all folds",
        bins_of_all_rows,
        (BLIND, Naming("refit", r"fold \d+", "predictions differ")),
    ),
    Fault(
        "calibration on the test fold",
        "probabilities calibrated on the outcomes of the same fold",
        calibrated_on_the_test_fold,
        (THROUGH,),
        LATE,
    ),
)

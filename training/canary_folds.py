"""The truncation proof of training: a fold's predictions must not change with what nobody knew when it began.

Two runs over the same sample. In the second every label that was unknown when a fold began is turned round, and every
row after that fold gets other features. Whatever way training takes (how rows are split, when boosting stops, who
chooses the bins, what calibration learns from), the predictions of that fold and all earlier ones are the same bits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from configs.settings import Settings
from market.errors import NotEnoughDataError
from market.splits import Fold
from registry.provenance import content_hash
from training.calibrate import calibrate_walk_forward
from training.canary_bars import sampled_rows
from training.canary_settings import canary_settings
from training.checks import CheckResult
from training.dataset import KEY, Dataset
from training.walk_forward import WalkForward, run_walk_forward

CHECK = "truncation"
SAMPLE_SHARE = 0.25
"""Of the canary's rows: the comparison is exact, so it needs no more than trees that split on most features."""


def fold_check(settings: Settings, dataset: Dataset, seed: int) -> CheckResult:
    """Train a sample twice, the second time with another future, and compare predictions bit by bit.

    Args:
        settings: `audit.canary`, and everything that decides training.
        dataset: The asset class's training set.
        seed: Chooses the sample's symbols.

    Returns:
        Failed with the number of predictions that changed, a warning when there is too little data.
    """
    subject = f"{dataset.asset_type} predictions"
    chosen = settings.audit.canary
    try:
        sample = sampled_rows(
            dataset, days=chosen.days, rows=int(2 * SAMPLE_SHARE * chosen.test_rows), random=np.random.default_rng(seed)
        )
        adapted = canary_settings(settings, dataset.asset_type, sample.keys["datetime"])
        known = trained(sample, adapted)
        fold = _judged(known)
        other = trained(another_future(sample, fold), adapted)
    except NotEnoughDataError as error:
        return CheckResult(CHECK, "warning", subject, f"could not be proven: {error.message}", error.remedy)
    return _compared(known.predictions, other.predictions, fold, subject)


def trained(sample: Dataset, settings: Settings) -> WalkForward:
    """Folds and their calibration, as training runs do them.

    Raises:
        NotEnoughDataError: Too few rows to train on.
    """
    walk_forward = run_walk_forward(sample, settings)
    return calibrate_walk_forward(sample, walk_forward, settings)[0]


def another_future(sample: Dataset, fold: Fold) -> Dataset:
    """The sample with labels that were unknown at the fold's start turned round, and other features after its end."""
    start, end = (np.datetime64(bound.replace(tzinfo=None), "us") for bound in (fold.test_start, fold.test_end))
    label = np.where(sample.label_known_at >= start, 1 - sample.label, sample.label)
    later = sample.datetime >= end
    matrix = np.where(later[:, None], 1 - 3 * sample.matrix, sample.matrix)
    keys = sample.keys.with_columns(target_direction=pl.Series(label).fill_nan(None).cast(pl.Int64))
    return replace(sample, matrix=matrix, label=label, keys=keys, content_hash=content_hash(keys))


def _judged(walk_forward: WalkForward) -> Fold:
    """The last fold with another one after it, where there is one: its future has features too."""
    folds = [result.fold for result in walk_forward.folds]
    return folds[max(0, len(folds) - 2)]


def _compared(known: pl.DataFrame, other: pl.DataFrame, fold: Fold, subject: str) -> CheckResult:
    judged = known.filter(pl.col("fold") <= fold.index)
    beside = judged.join(other.select(*KEY, other="up_probability"), on=KEY, how="left")
    changed = beside.filter(pl.col("up_probability").ne_missing(pl.col("other")))
    if changed.is_empty():
        told = (
            f"{judged.height} predictions up to the fold of {fold.test_start:%Y-%m-%d} stay the same bits when labels "
            "unknown at its start are turned round and later features are others"
        )
        return CheckResult(CHECK, "passed", subject, told)
    example = changed.row(0, named=True)
    return CheckResult(
        CHECK,
        "failed",
        subject,
        f"{changed.height} of {judged.height} predictions change when labels unknown at the start of the fold of "
        f"{fold.test_start:%Y-%m-%d} are turned round and later features are others; {example['symbol']} at "
        f"{example['datetime']:%Y-%m-%d}: {example['up_probability']:.6g} and {example['other']:.6g}",
        "a fold may learn from rows whose label was known before it began, and from nothing else: look at how rows are "
        "split, when boosting stops, which rows choose the bins, and what calibration learns from",
    )

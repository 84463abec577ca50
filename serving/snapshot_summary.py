"""The record in figures, from counts by day: accuracy never without base rate and interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from market.statistics import block_bootstrap_ratios, percentile_interval, wilson_interval
from serving.snapshot import RecordSummary

if TYPE_CHECKING:
    from configs.settings import EvaluationSettings, Settings
    from market.assets import AssetType

SPLITS = ("TRAIN", "TEST", "VALIDATE")
OUT_OF_SAMPLE = ("TEST", "VALIDATE")


def split_records(
    days: pl.DataFrame, asset_types: Sequence[AssetType], settings: EvaluationSettings
) -> Iterator[RecordSummary]:
    """One record a class and split that has rows.

    Args:
        days: `asset_type data_split day is_high n correct up`: rows of known outcome, those that were right, and those
            that went up.
        asset_types: Classes in the order of the answer.
        settings: Of the bootstrap.
    """
    for split in SPLITS:
        for name in asset_types:
            rows = days.filter((pl.col("asset_type") == name) & (pl.col("data_split") == split))
            if rows.height:
                yield _record(rows, name, split, settings)


def high_record(days: pl.DataFrame, asset_type: AssetType, settings: EvaluationSettings) -> RecordSummary:
    """The record of HIGH confidence over TEST and VALIDATE; its interval holds for few rows too (Wilson's included)."""
    chosen = pl.col("is_high") & pl.col("data_split").is_in(OUT_OF_SAMPLE) & (pl.col("asset_type") == asset_type)
    found = _record(days.filter(chosen), asset_type, None, settings)
    if found.accuracy_ci_95 is None:
        return found
    wilson = wilson_interval(found.correct, found.total_predictions)
    low, high = found.accuracy_ci_95
    interval = (min(low, round(100 * wilson.low, 2)), max(high, round(100 * wilson.high, 2)))
    return RecordSummary(
        asset_type, None, found.total_predictions, found.correct, found.accuracy, found.base_rate, interval
    )


def _record(
    rows: pl.DataFrame, asset_type: AssetType, split: str | None, settings: EvaluationSettings
) -> RecordSummary:
    by_day = rows.group_by("day").agg(pl.col("n", "correct", "up").sum()).sort("day")
    total, correct, up = (int(by_day[name].sum()) for name in ("n", "correct", "up"))
    if not total:
        return RecordSummary(asset_type, split, 0, 0, None, None, None)
    return RecordSummary(
        asset_type,
        split,
        total,
        correct,
        round(100 * correct / total, 2),
        round(100 * max(up, total - up) / total, 2),
        _interval(by_day["correct"].to_numpy(), by_day["n"].to_numpy(), settings),
    )


def _interval(correct: np.ndarray, n: np.ndarray, settings: EvaluationSettings) -> tuple[float, float]:
    """Percent; the whole range with one day only, which tells nothing about another."""
    if n.size < 2:
        return 0.0, 100.0
    shares = block_bootstrap_ratios(
        100.0 * correct,
        n,
        samples=settings.bootstrap_samples,
        block_days=settings.bootstrap_block_days,
        seed=settings.bootstrap_seed,
    )
    found = percentile_interval(shares, 0.95)
    return round(found.low, 2), round(found.high, 2)


def methodology(settings: Settings, asset_types: Sequence[AssetType]) -> dict[str, str]:
    """What the three splits mean; each class is named whose dates differ."""
    splits = {name: settings.splits.of(name) for name in asset_types}
    training = _by_dates({name: f"through {split.train_end}" for name, split in splits.items()})
    testing = _by_dates({name: f"after {split.train_end} through {split.test_end}" for name, split in splits.items()})
    validation = _by_dates({name: f"after {split.test_end}" for name, split in splits.items()})
    retrain = settings.training.retrain
    return {
        "training": f"{training}; rows of TRAIN are those of the burn-in folds, out-of-sample like all",
        "testing": f"{testing}; walk-forward, retrained {retrain} on labels known before each fold",
        "validation": f"{validation}; walk-forward likewise, continuing",
    }


def _by_dates(texts: dict[AssetType, str]) -> str:
    distinct = list(dict.fromkeys(texts.values()))
    if len(distinct) == 1:
        return distinct[0]
    named = [", ".join(name for name, own in texts.items() if own == text) + f": {text}" for text in distinct]
    return "; ".join(named)

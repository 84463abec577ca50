"""What an out-of-sample record is worth: every accuracy beside its base rate and interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from configs.settings import EvaluationSettings
from market.metrics import accuracy, auc, balanced_accuracy, base_rate, brier_score, log_loss
from market.signals import Thresholds, confidence, signal
from market.statistics import block_bootstrap_accuracy_ci, clustered_standard_error

SPLITS = ("TRAIN", "TEST", "VALIDATE")
OUT_OF_SAMPLE = ("TEST", "VALIDATE")


@dataclass(frozen=True)
class BucketReport:
    """Accuracy and base rate (0-100) of the matured rows of one confidence bucket; None without rows."""

    rows: int
    accuracy: float | None
    base_rate: float | None


@dataclass(frozen=True)
class SplitReport:
    """One asset class in one data split.

    Attributes:
        data_split: TRAIN (burn-in folds), TEST or VALIDATE.
        rows: Predictions.
        matured: Predictions whose next bar is known; every metric is over these.
        accuracy: Percent right.
        base_rate: Share of the more frequent direction among the same rows, percent.
        accuracy_ci_95: Block bootstrap by date.
        balanced_accuracy: Mean of the hit rates of both directions, percent.
        auc: Area under the ROC curve; None when one direction is missing.
        brier: Mean squared error of the probability.
        log_loss: Mean negative log-likelihood in nats.
        by_confidence: HIGH, MEDIUM, LOW.
        probability_range: Lowest and highest probability.
        signals: Number of BUY, SELL and HOLD; none of the first two is a valid answer.
    """

    data_split: str
    rows: int
    matured: int
    accuracy: float | None
    base_rate: float | None
    accuracy_ci_95: tuple[float, float] | None
    balanced_accuracy: float | None
    auc: float | None
    brier: float | None
    log_loss: float | None
    by_confidence: dict[str, BucketReport]
    probability_range: tuple[float, float]
    signals: dict[str, int]


@dataclass(frozen=True)
class OracleReport:
    """Simulated data only: the model beside the truth it was drawn from, over TEST and VALIDATE; percent.

    `noise_standard_error` is clustered by date.
    """

    planted_rows: int
    planted_accuracy: float | None
    oracle_accuracy: float | None
    noise_rows: int
    noise_accuracy: float | None
    noise_standard_error: float | None


def evaluate_splits(
    predictions: pl.DataFrame, thresholds: Thresholds, settings: EvaluationSettings
) -> list[SplitReport]:
    """Report every data split that has predictions.

    Args:
        predictions: `datetime`, `data_split`, `up_probability`, `target_direction` (null while unknown).
        thresholds: Signal and confidence thresholds of the asset class.
        settings: Bootstrap samples, block length, seed.
    """
    present = predictions["data_split"].unique().to_list()
    return [
        _evaluate_split(predictions.filter(pl.col("data_split") == name), name, thresholds, settings)
        for name in SPLITS
        if name in present
    ]


def _evaluate_split(rows: pl.DataFrame, name: str, thresholds: Thresholds, settings: EvaluationSettings) -> SplitReport:
    probability = rows["up_probability"].to_numpy()
    signals = signal(probability, thresholds)
    buckets = confidence(probability, thresholds)
    known = rows["target_direction"].is_not_null().to_numpy()
    actual = rows["target_direction"].drop_nulls().to_numpy()
    matured = probability[known]
    has_rows = len(actual) > 0
    return SplitReport(
        data_split=name,
        rows=rows.height,
        matured=len(actual),
        accuracy=accuracy(actual, matured) if has_rows else None,
        base_rate=base_rate(actual, matured) if has_rows else None,
        accuracy_ci_95=accuracy_interval(rows, settings) if has_rows else None,
        balanced_accuracy=balanced_accuracy(actual, matured) if has_rows else None,
        auc=auc(actual, matured) if has_rows else None,
        brier=brier_score(actual, matured) if has_rows else None,
        log_loss=log_loss(actual, matured) if has_rows else None,
        by_confidence={level: _bucket(actual, matured, buckets[known] == level) for level in ("HIGH", "MEDIUM", "LOW")},
        probability_range=(float(probability.min()), float(probability.max())),
        signals={side: int((signals == side).sum()) for side in ("BUY", "SELL", "HOLD")},
    )


def accuracy_interval(rows: pl.DataFrame, settings: EvaluationSettings) -> tuple[float, float]:
    """95% block bootstrap interval by date of the accuracy (percent) over the matured rows."""
    matured = rows.filter(pl.col("target_direction").is_not_null())
    interval = block_bootstrap_accuracy_ci(
        _hits(matured),
        matured["datetime"].dt.date().to_numpy(),
        samples=settings.bootstrap_samples,
        block_days=settings.bootstrap_block_days,
        seed=settings.bootstrap_seed,
    )
    return interval.low, interval.high


def evaluate_oracle(predictions: pl.DataFrame, oracle: pl.DataFrame) -> OracleReport:
    """Compare the record on simulated symbols with the market's true conditional probabilities.

    Args:
        predictions: The record of one simulated asset class.
        oracle: `symbol`, `datetime`, `up_probability`, `is_planted` of the simulator.
    """
    truth = oracle.select("symbol", "datetime", "is_planted", pl.col("up_probability").alias("true_probability"))
    rows = predictions.filter(
        pl.col("data_split").is_in(OUT_OF_SAMPLE) & pl.col("target_direction").is_not_null()
    ).join(truth, on=("symbol", "datetime"), how="inner")
    planted, noise = rows.filter("is_planted"), rows.filter(~pl.col("is_planted"))
    oracle_hits = ((planted["true_probability"] >= 0.5) == (planted["target_direction"] == 1)).to_numpy()
    return OracleReport(
        planted_rows=planted.height,
        planted_accuracy=_percent(_hits(planted)),
        oracle_accuracy=_percent(oracle_hits),
        noise_rows=noise.height,
        noise_accuracy=_percent(_hits(noise)),
        noise_standard_error=(
            100 * clustered_standard_error(_hits(noise), noise["datetime"].dt.date().to_numpy())
            if noise.height
            else None
        ),
    )


def _bucket(
    actual: np.ndarray[Any, Any], probability: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]
) -> BucketReport:
    count = int(mask.sum())
    if not count:
        return BucketReport(0, None, None)
    return BucketReport(count, accuracy(actual[mask], probability[mask]), base_rate(actual[mask], probability[mask]))


def _hits(rows: pl.DataFrame) -> np.ndarray[Any, Any]:
    return ((rows["up_probability"] >= 0.5) == (rows["target_direction"] == 1)).to_numpy()


def _percent(hits: np.ndarray[Any, Any]) -> float | None:
    return 100 * float(hits.mean()) if len(hits) else None

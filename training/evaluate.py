"""What an out-of-sample record is worth: every accuracy beside its base rate and interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from configs.settings import EvaluationSettings
from market.calibration import chance_calibration_error, expected_calibration_error
from market.metrics import accuracy, auc, balanced_accuracy, base_rate, brier_score, log_loss
from market.signals import Confidence, Thresholds, confidence, signal
from market.statistics import block_bootstrap_accuracy_ci, clustered_standard_error, hit_rate_interval

SPLITS = ("TRAIN", "TEST", "VALIDATE")
OUT_OF_SAMPLE = ("TEST", "VALIDATE")
LEVELS: tuple[Confidence, ...] = ("HIGH", "MEDIUM", "LOW")

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class BucketReport:
    """What became of the matured rows of one confidence level; None without rows.

    Attributes:
        rows: Matured rows.
        accuracy: Realised hit rate, percent.
        base_rate: Share of the more frequent direction among the same rows, percent.
        accuracy_ci_95: The outer bounds of Wilson's interval and of the block bootstrap by date.
    """

    rows: int
    accuracy: float | None
    base_rate: float | None
    accuracy_ci_95: tuple[float, float] | None = None


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
        ece: Expected calibration error in ten bins of equal counts, 0-1.
        ece_by_chance: The error that perfect probabilities would show on as many independent rows.
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
    ece: float | None
    ece_by_chance: float | None
    by_confidence: dict[str, BucketReport]
    probability_range: tuple[float, float]
    signals: dict[str, int]


@dataclass(frozen=True)
class OracleReport:
    """Simulated data only: the model beside the truth it was drawn from, over TEST and VALIDATE; percent.

    Standard errors are those of the accuracies, clustered by date; base rates are of the same rows.
    """

    planted_rows: int
    planted_accuracy: float | None
    oracle_accuracy: float | None
    noise_rows: int
    noise_accuracy: float | None
    noise_standard_error: float | None
    planted_base_rate: float | None = None
    planted_standard_error: float | None = None
    oracle_standard_error: float | None = None
    noise_base_rate: float | None = None


def evaluate_splits(
    predictions: pl.DataFrame, thresholds: Thresholds | Mapping[int, Thresholds], settings: EvaluationSettings
) -> list[SplitReport]:
    """Report every data split that has predictions.

    Args:
        predictions: `datetime`, `data_split`, `up_probability`, `target_direction` (null while unknown), and `fold`
            when thresholds differ by fold.
        thresholds: Signal and confidence thresholds of the asset class, or of each fold by its index.
        settings: Bootstrap samples, block length, seed.
    """
    present = predictions["data_split"].unique().to_list()
    return [
        _evaluate_split(predictions.filter(pl.col("data_split") == name), name, thresholds, settings)
        for name in SPLITS
        if name in present
    ]


def _evaluate_split(
    rows: pl.DataFrame, name: str, thresholds: Thresholds | Mapping[int, Thresholds], settings: EvaluationSettings
) -> SplitReport:
    probability = rows["up_probability"].to_numpy()
    signals, levels = _signals(rows, thresholds)
    known = rows["target_direction"].is_not_null().to_numpy()
    actual = rows["target_direction"].drop_nulls().to_numpy()
    matured = probability[known]
    dates = rows["datetime"].dt.date().to_numpy()[known]
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
        ece=expected_calibration_error(actual, matured) if has_rows else None,
        ece_by_chance=chance_calibration_error(matured) if has_rows else None,
        by_confidence={
            level: _bucket(actual[mask], matured[mask], dates[mask], settings)
            for level in LEVELS
            for mask in (levels[known] == level,)
        },
        probability_range=(float(probability.min()), float(probability.max())),
        signals={side: int((signals == side).sum()) for side in ("BUY", "SELL", "HOLD")},
    )


def _signals(rows: pl.DataFrame, thresholds: Thresholds | Mapping[int, Thresholds]) -> tuple[Array, Array]:
    """Signal and confidence of every row by the thresholds in force in its fold."""
    probability = rows["up_probability"].to_numpy()
    if isinstance(thresholds, Thresholds):
        return signal(probability, thresholds), confidence(probability, thresholds)
    folds = rows["fold"].to_numpy()
    signals, levels = np.empty(len(folds), dtype="<U4"), np.empty(len(folds), dtype="<U6")
    for fold in np.unique(folds):
        mine = folds == fold
        signals[mine] = signal(probability[mine], thresholds[int(fold)])
        levels[mine] = confidence(probability[mine], thresholds[int(fold)])
    return signals, levels


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
        noise_standard_error=_standard_error(_hits(noise), noise),
        planted_base_rate=_majority(planted),
        planted_standard_error=_standard_error(_hits(planted), planted),
        oracle_standard_error=_standard_error(oracle_hits, planted),
        noise_base_rate=_majority(noise),
    )


def _standard_error(hits: Array, rows: pl.DataFrame) -> float | None:
    if rows.is_empty():
        return None
    return 100 * clustered_standard_error(hits, rows["datetime"].dt.date().to_numpy())


def _majority(rows: pl.DataFrame) -> float | None:
    if rows.is_empty():
        return None
    return base_rate(rows["target_direction"].to_numpy(), rows["up_probability"].to_numpy())


def _bucket(actual: Array, probability: Array, dates: Array, settings: EvaluationSettings) -> BucketReport:
    if not len(actual):
        return BucketReport(0, None, None)
    interval = hit_rate_interval(
        (probability >= 0.5) == (actual == 1),
        dates,
        samples=settings.bootstrap_samples,
        block_days=settings.bootstrap_block_days,
        seed=settings.bootstrap_seed,
    )
    return BucketReport(
        rows=len(actual),
        accuracy=accuracy(actual, probability),
        base_rate=base_rate(actual, probability),
        accuracy_ci_95=(interval.low, interval.high),
    )


def _hits(rows: pl.DataFrame) -> Array:
    return ((rows["up_probability"] >= 0.5) == (rows["target_direction"] == 1)).to_numpy()


def _percent(hits: Array) -> float | None:
    return 100 * float(hits.mean()) if len(hits) else None

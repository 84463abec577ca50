"""What matured predictions say about the ensemble: is it better than XGBoost alone, and which weight would be best?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from configs.ensemble import EnsembleSettings
from configs.settings import EvaluationSettings
from market.assets import AssetType
from market.comparison import paired_bootstrap
from market.metrics import METRICS
from market.signals import gemini_probability
from market.statistics import Interval, block_bootstrap_ratios, percentile_interval

Verdict = Literal["no_evidence", "no_difference", "ensemble_better", "xgboost_better"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number and its interval; both None where they cannot be said."""

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class ClassEvidence:
    """XGBoost alone against the ensemble on the same predictions of one asset class.

    Attributes:
        matured: Stored predictions whose outcome is known.
        without_opinion: Of these, those without an answer from Gemini, where both are the same.
        back_filled: Of these, those made when the outcome could be known; with or without an opinion.
        rows: What is left and compared.
        dates: Different dates among them.
        base_rate_pct: Share of the more frequent direction among the rows.
        xgboost_accuracy_pct: Share of right directions, XGBoost's alone.
        ensemble_accuracy_pct: The ensemble's, as it was stored.
        accuracy_gain_points: Ensemble minus XGBoost, with the paired interval.
        xgboost_brier: Brier score, smaller is better.
        ensemble_brier: The ensemble's.
        brier_gain: XGBoost minus ensemble: positive when the ensemble is better, with the paired interval.
        configured_weight: XGBoost's share now.
        measured_weight: The share at which the Brier score of these rows would have been smallest.
        verdict: no_evidence: too few rows or dates; otherwise by the Brier gain's interval.
    """

    asset_type: AssetType
    matured: int
    without_opinion: int
    back_filled: int
    rows: int
    dates: int
    base_rate_pct: float | None
    xgboost_accuracy_pct: float | None
    ensemble_accuracy_pct: float | None
    accuracy_gain_points: Estimate
    xgboost_brier: float | None
    ensemble_brier: float | None
    brier_gain: Estimate
    configured_weight: float
    measured_weight: Estimate
    verdict: Verdict


def measure(
    asset_type: AssetType, matured: pl.DataFrame, settings: EnsembleSettings, evaluation: EvaluationSettings
) -> ClassEvidence:
    """Compare both on the rows where they can differ and nobody knew the outcome.

    Args:
        asset_type: Of all rows.
        matured: One row per prediction of known outcome: `datetime`, `xgb_up_probability`, `ensemble_up_probability`,
            `gemini_status`, `gemini_prediction`, `gemini_confidence`, `is_up` (bool), `is_live` (bool: made before the
            next bar was known).
        settings: Weights, and how much is evidence.
        evaluation: Of the bootstrap.

    Raises:
        MetricError: A probability is missing.
    """
    has_opinion = pl.col("gemini_status").is_in(["ok", "cached"]).fill_null(False)
    used = matured.filter(has_opinion & pl.col("is_live"))
    counts = {
        "matured": matured.height,
        "without_opinion": matured.filter(~has_opinion).height,
        "back_filled": matured.filter(~pl.col("is_live")).height,
        "rows": used.height,
        "dates": used["datetime"].dt.date().n_unique(),
    }
    weight, unknown = settings.xgboost_weight.of(asset_type), Estimate(None, None)
    if used.is_empty():
        return ClassEvidence(
            asset_type=asset_type,
            **counts,
            base_rate_pct=None,
            xgboost_accuracy_pct=None,
            ensemble_accuracy_pct=None,
            accuracy_gain_points=unknown,
            xgboost_brier=None,
            ensemble_brier=None,
            brier_gain=unknown,
            configured_weight=weight,
            measured_weight=unknown,
            verdict="no_evidence",
        )
    xgboost, ensemble = (used[name].to_numpy() for name in ("xgb_up_probability", "ensemble_up_probability"))
    up, dates = used["is_up"].to_numpy().astype(np.float64), used["datetime"].dt.date().to_numpy()
    resampling = _Resampling(dates, evaluation, settings.level)
    gain = resampling.mean((xgboost - up) ** 2 - (ensemble - up) ** 2)
    enough = counts["rows"] >= settings.min_rows and counts["dates"] >= settings.min_dates
    return ClassEvidence(
        asset_type=asset_type,
        **counts,
        base_rate_pct=METRICS["base_rate_pct"](up, xgboost),
        xgboost_accuracy_pct=METRICS["accuracy_pct"](up, xgboost),
        ensemble_accuracy_pct=METRICS["accuracy_pct"](up, ensemble),
        accuracy_gain_points=resampling.mean(100.0 * (_right(ensemble, up) - _right(xgboost, up))),
        xgboost_brier=METRICS["brier_score"](up, xgboost),
        ensemble_brier=METRICS["brier_score"](up, ensemble),
        brier_gain=gain,
        configured_weight=weight,
        measured_weight=resampling.weight(xgboost, _opinions(used), up),
        verdict=_verdict(gain) if enough else "no_evidence",
    )


def _right(probability: FloatArray, up: FloatArray) -> FloatArray:
    right: FloatArray = ((probability >= 0.5) == (up == 1)).astype(np.float64)
    return right


def _opinions(used: pl.DataFrame) -> FloatArray:
    """Gemini's probability of UP in each row."""
    answers = used.select("gemini_prediction", "gemini_confidence").iter_rows()
    return np.array([gemini_probability(direction, confidence) for direction, confidence in answers])


def _verdict(gain: Estimate) -> Verdict:
    if gain.interval is None or gain.interval[0] <= 0 <= gain.interval[1]:
        return "no_difference"
    return "ensemble_better" if gain.interval[0] > 0 else "xgboost_better"


class _Resampling:
    """Blocks of dates, drawn the same way for every estimate."""

    def __init__(self, dates: npt.NDArray[np.datetime64], evaluation: EvaluationSettings, level: float) -> None:
        self._dates = dates
        self._level = level
        self._how = {
            "samples": evaluation.bootstrap_samples,
            "block_days": evaluation.bootstrap_block_days,
            "seed": evaluation.bootstrap_seed,
        }

    def mean(self, differences: FloatArray) -> Estimate:
        interval = paired_bootstrap(differences, self._dates, **self._how, level=self._level)
        return Estimate(float(differences.mean()), _pair(interval))

    def weight(self, xgboost: FloatArray, gemini: FloatArray, up: FloatArray) -> Estimate:
        """The share w of w x + (1 - w) g with the least squares: sum of (y - g)(x - g) over sum of (x - g)^2.

        Kept within 0 and 1, as a weight must be.
        """
        distance = xgboost - gemini
        distinct, group = np.unique(self._dates, return_inverse=True)
        fitted = np.bincount(group, (up - gemini) * distance, minlength=distinct.size)
        squares = np.bincount(group, distance**2, minlength=distinct.size)
        if not squares.sum() > 0:
            return Estimate(None, None)
        value = float(np.clip(fitted.sum() / squares.sum(), 0, 1))
        if distinct.size < 2 or not squares.min() > 0:
            return Estimate(value, None)
        drawn = np.clip(block_bootstrap_ratios(fitted, squares, **self._how), 0, 1)
        return Estimate(value, _pair(percentile_interval(drawn, self._level)))


def _pair(interval: Interval) -> tuple[float, float] | None:
    """None for an interval without ends: one date tells nothing about another."""
    ends = (float(interval.low), float(interval.high))
    return ends if all(map(math.isfinite, ends)) else None

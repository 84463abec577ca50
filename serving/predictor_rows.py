"""Rows of `realtime_predictions`: what was known of a bar, what both models said of it, and the signal."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy.typing as npt
import polars as pl

from market.assets import AssetType
from market.signals import Thresholds, confidence, predicted_direction, signal_strength, stop_loss_pct, take_profit_pct
from serving.ensemble_decision import combine
from serving.gemini_opinion import MarketValue, Opinion, Question

_BAR = ("open", "high", "low", "close", "volume", "percent_change")
_INDICATORS = ("rsi", "macd", "macd_histogram", "adx", "atr", "sma_20", "sma_50", "sma_200", "ema_12", "ema_26")
_FLAGS = ("pivot_high_flag", "pivot_low_flag", "golden_cross", "death_cross")
_CYCLES = ("in_rise_cycle", "rise_cycle_start", "fall_cycle_start")
_RENAMED = {"bb_upper": "bollinger_upper", "bb_lower": "bollinger_lower"}
_PLAIN = (*_BAR, *_INDICATORS, "volume_sma_20", "growth_score", "trend_regime", *_FLAGS)

_TEXTS = (
    *("prediction_id", "asset_type", "symbol", "trend_regime", "xgb_predicted_direction", "xgb_confidence"),
    *("gemini_prediction", "gemini_reasoning", "gemini_risk_level", "gemini_status", "ensemble_direction"),
    *("ensemble_confidence", "signal", "model_version", "actual_direction"),
)
_TIME = pl.Datetime("us", "UTC")
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(_TEXTS, pl.String),
    **dict.fromkeys(("created_at", "datetime"), _TIME),
    **dict.fromkeys((*_BAR, *_INDICATORS, *_RENAMED, "volume_sma_20"), pl.Float64),
    **dict.fromkeys((*_FLAGS, "growth_score"), pl.Int64),
    **dict.fromkeys((*_CYCLES, "prediction_correct"), pl.Boolean),
    **dict.fromkeys(("xgb_up_probability", "gemini_confidence", "ensemble_up_probability"), pl.Float64),
    **dict.fromkeys(("signal_strength", "stop_loss_pct", "take_profit_pct", "actual_change_pct"), pl.Float64),
}
"""Columns of the table; their order does not matter."""


def market_data(bar: Mapping[str, Any]) -> dict[str, MarketValue]:
    """What is known of a closed bar, under the names of `realtime_predictions`; no model's answer is among it."""
    known: dict[str, MarketValue] = {name: bar[name] for name in _PLAIN}
    known |= {name: bar[column] for name, column in _RENAMED.items()}
    return known | {name: bool(bar[name]) for name in _CYCLES}


def questions(asset_type: AssetType, bars: pl.DataFrame) -> list[Question]:
    """What Gemini may be asked about each bar, in the order of the bars; it is never told XGBoost's probability."""
    return [
        Question(asset_type, bar["symbol"], bar["datetime"], bar["bar_known_at"], market_data(bar))
        for bar in bars.iter_rows(named=True)
    ]


def prediction_rows(
    asset_type: AssetType,
    bars: pl.DataFrame,
    probability: npt.NDArray[Any],
    opinions: Sequence[Opinion],
    *,
    thresholds: Thresholds,
    weight: float,
    model_version: str,
    created_at: datetime,
    now: datetime,
) -> pl.DataFrame:
    """New rows of `realtime_predictions`.

    Args:
        asset_type: The class.
        bars: Rows of the feature table with `volume_sma_20`, one a symbol.
        probability: XGBoost's probability of UP, in their order.
        opinions: Gemini's, likewise.
        thresholds: In force for these bars.
        weight: XGBoost's share of the ensemble.
        model_version: Who gave the probabilities.
        created_at: Now, by the class's clock.
        now: An outcome that was known by then is filled in.

    Returns:
        One row a bar with the columns of `SCHEMA`.

    Raises:
        SignalError: A probability is outside [0, 1].
    """
    rows = []
    for bar, p, opinion in zip(bars.iter_rows(named=True), probability.tolist(), opinions, strict=True):
        decision = combine(asset_type, p, opinion, thresholds, weight)
        rows.append(
            {
                "prediction_id": prediction_id(asset_type, bar["symbol"], bar["datetime"]),
                "created_at": created_at,
                "asset_type": asset_type,
                "symbol": bar["symbol"],
                "datetime": bar["datetime"],
                **market_data(bar),
                "xgb_up_probability": p,
                "xgb_predicted_direction": "UP" if predicted_direction(p) else "DOWN",
                "xgb_confidence": confidence(p, thresholds),
                "gemini_prediction": opinion.direction,
                "gemini_confidence": opinion.confidence,
                "gemini_reasoning": opinion.reasoning,
                "gemini_risk_level": opinion.risk_level,
                "gemini_status": opinion.status,
                "ensemble_up_probability": decision.probability,
                "ensemble_direction": decision.direction,
                "ensemble_confidence": decision.confidence,
                "signal": decision.signal,
                "signal_strength": signal_strength(decision.probability),
                "stop_loss_pct": stop_loss_pct(bar["atr"], bar["close"]),
                "take_profit_pct": take_profit_pct(bar["atr"], bar["close"]),
                "model_version": model_version,
                **_outcome(bar, decision.direction, now),
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def prediction_id(asset_type: AssetType, symbol: str, stamp: datetime) -> str:
    """The same for the same key, whoever computes it and when."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"tradehits/{asset_type}/{symbol}/{stamp:%Y-%m-%d}").hex


def _outcome(bar: Mapping[str, Any], predicted: str, now: datetime) -> dict[str, Any]:
    """What the next bar brought, where it was known."""
    if bar["label_known_at"] is None or bar["label_known_at"] > now:
        return {"actual_direction": None, "actual_change_pct": None, "prediction_correct": None}
    actual = "UP" if bar["target_direction"] == 1 else "DOWN"
    return {
        "actual_direction": actual,
        "actual_change_pct": bar["forward_return_pct"],
        "prediction_correct": actual == predicted,
    }

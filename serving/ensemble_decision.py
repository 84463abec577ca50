"""From XGBoost's probability and Gemini's opinion to one decision: pure rules, no IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from market.assets import AssetType
from market.signals import (
    DECIMALS,
    Confidence,
    Signal,
    Thresholds,
    confidence,
    ensemble_probability,
    ensemble_score,
    predicted_direction,
    signal,
)
from serving.gemini_opinion import MarketValue, Opinion
from serving.instants import iso

if TYPE_CHECKING:
    from serving.snapshot_rows import RealtimeRow

Direction = Literal["UP", "DOWN"]


@dataclass(frozen=True)
class EnsembleDecision:
    """What both models say together.

    Attributes:
        probability: Of UP, 0 to 1.
        score: The same from -1 (down) to 1 (up).
        direction: UP at a probability of one half or more.
        confidence: By the thresholds in force, like `signal`.
        xgb_probability: XGBoost's own.
        xgb_contribution: Its share of `probability` (weight x probability).
        gemini_contribution: Gemini's; None without an answer.
        xgb_weight: Weight that was used: 1 without an answer from Gemini.
    """

    asset_type: AssetType
    probability: float
    score: float
    direction: Direction
    signal: Signal
    confidence: Confidence
    xgb_probability: float
    xgb_contribution: float
    gemini_contribution: float | None
    xgb_weight: float


def combine(
    asset_type: AssetType, xgb_probability: float, opinion: Opinion, thresholds: Thresholds, weight: float
) -> EnsembleDecision:
    """The ensemble's decision; XGBoost's own when Gemini gave no answer.

    Args:
        asset_type: Of the bar.
        xgb_probability: The champion's probability of UP.
        opinion: Gemini's.
        thresholds: In force for the asset class.
        weight: XGBoost's share where Gemini answered, 0 to 1.

    Raises:
        SignalError: A probability or the weight is NaN or outside [0, 1].
    """
    gemini = opinion.probability
    probability = ensemble_probability(xgb_probability, gemini, weight)
    used = 1.0 if gemini is None else weight
    return EnsembleDecision(
        asset_type=asset_type,
        probability=probability,
        score=ensemble_score(probability),
        direction=_direction(probability),
        signal=signal(probability, thresholds),
        confidence=confidence(probability, thresholds),
        xgb_probability=xgb_probability,
        xgb_contribution=round(used * xgb_probability, DECIMALS),
        gemini_contribution=None if gemini is None else round((1 - used) * gemini, DECIMALS),
        xgb_weight=used,
    )


def ensemble_answer(
    row: RealtimeRow, opinion: Opinion, decision: EnsembleDecision, market_data: Mapping[str, MarketValue]
) -> dict[str, Any]:
    """The `ensemble-prediction` object of the API.

    Args:
        row: The stored prediction of the symbol's newest bar.
        opinion: Gemini's about that bar.
        decision: Of `combine`, from the row's XGBoost probability and the opinion.
        market_data: What Gemini was shown, or would have been.

    Returns:
        JSON-ready: times as ISO text, None where something is unknown.
    """
    return {
        "status": "success",
        "symbol": row.symbol,
        "asset_type": row.asset_type,
        "datetime": iso(row.datetime),
        "price": row.close,
        "market_data": dict(market_data),
        "xgb_prediction": {
            "up_probability": decision.xgb_probability,
            "direction": _direction(decision.xgb_probability),
        },
        "gemini_prediction": {
            "direction": opinion.direction,
            "confidence": opinion.confidence,
            "reasoning": opinion.reasoning,
            "risk_level": opinion.risk_level,
            "status": opinion.status,
        },
        "ensemble_prediction": {
            "direction": decision.direction,
            "confidence": decision.confidence,
            "ensemble_score": decision.score,
            "xgb_contribution": decision.xgb_contribution,
            "gemini_contribution": decision.gemini_contribution,
            "xgb_probability": decision.xgb_probability,
            "gemini_direction": opinion.direction,
            "gemini_confidence": opinion.confidence,
            "gemini_reasoning": opinion.reasoning,
            "risk_level": opinion.risk_level,
            "weights_used": {
                "xgboost": decision.xgb_weight,
                "gemini": round(1 - decision.xgb_weight, DECIMALS),
            },
        },
        "final_recommendation": {
            "direction": decision.direction,
            "confidence": decision.confidence,
            "reasoning": _reasoning(opinion, decision),
            "risk_level": opinion.risk_level,
        },
    }


def _direction(probability: float) -> Direction:
    return "UP" if predicted_direction(probability) else "DOWN"


_WHY_ALONE = {
    "disabled": "Gemini was not asked",
    "timeout": "Gemini gave no answer in time",
    "error": "Gemini gave no usable answer",
    "budget": "the day's budget for Gemini is spent",
}


def _reasoning(opinion: Opinion, decision: EnsembleDecision) -> str:
    """One sentence of figures, and Gemini's own words behind it."""
    odds = f"{decision.signal}: probability of a higher next close {decision.probability:.3f}"
    if opinion.probability is None:
        return f"{odds}, by XGBoost alone ({_WHY_ALONE[opinion.status]})."
    shares = f"{decision.xgb_weight:.0%} XGBoost {decision.xgb_probability:.3f}"
    return (
        f"{odds}, from {shares} and {1 - decision.xgb_weight:.0%} Gemini {opinion.probability:.3f}. {opinion.reasoning}"
    )

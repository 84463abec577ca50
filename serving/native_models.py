"""What BentoML's own endpoints take and give."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from market.assets import AssetType
from serving.api_models import Confidence, Direction, Instant, Probability, Shape
from serving.api_queries import AssetChoice, Symbol

LARGEST_BATCH = 10_000

Value = Annotated[float, Field(strict=True, allow_inf_nan=False)] | None
MarketKey = Annotated[str, Field(min_length=1, max_length=64)]
MarketValue = (
    Annotated[float, Field(strict=True, allow_inf_nan=False)] | Annotated[str, Field(max_length=200)] | bool | None
)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PredictRequest(_Request):
    """Feature vectors for the champion of one class."""

    asset_type: Annotated[AssetChoice, Field(description="Whose champion scores.")]
    rows: Annotated[
        list[list[Value]],
        Field(
            min_length=1,
            max_length=LARGEST_BATCH,
            description="One list a bar, in the order of the champion's features (the answer names it); "
            "null is a missing value.",
        ),
    ]


class EnsembleRequest(_Request):
    """A symbol whose newest closed bar is asked about."""

    symbol: Symbol
    asset_type: Annotated[AssetChoice, Field(description="Asset class of the symbol.")]
    market_data: Annotated[
        dict[MarketKey, MarketValue] | None,
        Field(max_length=64, description="Accepted for older clients; what Gemini sees are stored, closed bars."),
    ] = None


class PredictAnswer(Shape):
    """`POST /predict`."""

    status: Literal["success"]
    asset_type: AssetType
    model_version: str
    features: list[str]
    up_probability: list[Probability]


class XgbPrediction(Shape):
    """The champion alone."""

    up_probability: Probability
    direction: Direction


class GeminiPrediction(Shape):
    """Gemini's opinion, or why there is none."""

    direction: Literal["UP", "DOWN", "NEUTRAL"] | None
    confidence: Probability | None
    reasoning: str | None
    risk_level: Literal["LOW", "MEDIUM", "HIGH"] | None
    status: Literal["ok", "cached", "disabled", "timeout", "error", "budget"]


class Weights(Shape):
    """Shares of both models that were used; 1 and 0 without Gemini's opinion."""

    xgboost: Probability
    gemini: Probability


class EnsemblePrediction(Shape):
    """Both together."""

    direction: Direction
    confidence: Confidence
    ensemble_score: Annotated[float, Field(ge=-1, le=1)]
    xgb_contribution: Probability
    gemini_contribution: Probability | None
    xgb_probability: Probability
    gemini_direction: Literal["UP", "DOWN", "NEUTRAL"] | None
    gemini_confidence: Probability | None
    gemini_reasoning: str | None
    risk_level: Literal["LOW", "MEDIUM", "HIGH"] | None
    weights_used: Weights


class Recommendation(Shape):
    """What follows."""

    direction: Direction
    confidence: Confidence
    reasoning: str
    risk_level: Literal["LOW", "MEDIUM", "HIGH"] | None


class EnsembleAnswer(Shape):
    """`POST /api/ml/ensemble-prediction`."""

    status: Literal["success"]
    symbol: str
    asset_type: AssetType
    datetime: Instant
    price: float | None
    market_data: dict[str, float | int | str | None]
    xgb_prediction: XgbPrediction
    gemini_prediction: GeminiPrediction
    ensemble_prediction: EnsemblePrediction
    final_recommendation: Recommendation

"""Answers of the API as types: what OpenAPI shows, and what tests hold the answers against."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from market.assets import AssetType

Signal = Literal["BUY", "SELL", "HOLD"]
Confidence = Literal["HIGH", "MEDIUM", "LOW"]
Direction = Literal["UP", "DOWN"]
Flag = Annotated[int, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Probability = Annotated[float, Field(ge=0, le=1)]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Minute = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}$")]
Instant = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|\+00:00)$")]


class Shape(BaseModel):
    """An object whose keys are all known."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ErrorAnswer(Shape):
    """Every answer of status 4xx and 5xx."""

    status: Literal["error"]
    message: Annotated[str, Field(description="What is wrong, for people.")]
    field: Annotated[str | None, Field(description="The parameter it is about, if one.")]


class Prediction(Shape):
    """One row of the champion's record; directions are 1 and 0."""

    asset_type: AssetType
    symbol: str
    datetime: Minute
    price: float | None
    up_probability_pct: Percent
    predicted_direction: Flag
    confidence_level: Confidence
    signal: Signal
    rsi: float | None
    growth_score: int | None
    trend_regime: str | None


class PredictionsAnswer(Shape):
    """`GET /api/ml/predictions`."""

    status: Literal["success"]
    count: int
    model: Literal["xgboost_walk_forward_v2"]
    model_versions: dict[str, str]
    as_of: Instant | None
    note: str | None
    filters: dict[str, str | int | None]
    predictions: list[Prediction]


class HighConfidenceSignal(Shape):
    """One row of HIGH confidence."""

    asset_type: AssetType
    symbol: str
    date: Day
    price: float | None
    up_pct: Percent
    signal: Signal
    growth_score: int | None
    trend_regime: str | None
    pivot_low: Literal["Pivot Low", ""]
    rise_start: Literal["Rise Start", ""]
    golden_cross_flag: Literal["Golden Cross", ""]


class HighConfidenceAnswer(Shape):
    """`GET /api/ml/high-confidence-signals`."""

    status: Literal["success"]
    confidence: Literal["HIGH"]
    accuracy_note: str
    count: int
    note: str | None
    signals: list[HighConfidenceSignal]


class Methodology(Shape):
    """What the splits mean."""

    training: str
    testing: str
    validation: str


class SplitRecord(Shape):
    """How often predictions of known outcome were right; percent."""

    data_split: Literal["TRAIN", "TEST", "VALIDATE"]
    asset_type: AssetType
    total_predictions: int
    correct: int
    accuracy: Percent | None
    base_rate: Percent | None
    accuracy_ci_95: Annotated[list[Percent], Field(min_length=2, max_length=2)] | None


class SummaryAnswer(Shape):
    """`GET /api/ml/walk-forward-summary`."""

    status: Literal["success"]
    model: Literal["xgboost_walk_forward_v2"]
    model_versions: dict[str, str]
    methodology: Methodology
    summary: list[SplitRecord]


class Flags(Shape):
    """1 and 0."""

    in_rise_cycle: Flag | None
    rise_cycle_start: Flag | None
    pivot_low: Flag | None
    pivot_high: Flag | None
    golden_cross: Flag | None


class LatestPrediction(Shape):
    """A symbol's newest row; the direction is 1 or 0."""

    datetime: Instant
    price: float | None
    direction: Flag
    up_probability: Probability
    confidence: Confidence
    growth_score: int | None
    trend_regime: str | None
    signals: Flags


class HistoryRow(Shape):
    """One of a symbol's newest rows; directions and flags are 1 and 0."""

    asset_type: AssetType
    symbol: str
    datetime: Instant
    price: float | None
    up_probability: Probability
    predicted_direction: Flag
    actual_direction: Flag | None
    rsi: float | None
    macd_histogram: float | None
    adx: float | None
    growth_score: int | None
    in_rise_cycle: Flag | None
    rise_cycle_start: Flag | None
    pivot_high_flag: Flag | None
    pivot_low_flag: Flag | None
    golden_cross: Flag | None
    trend_regime: str | None


class SymbolAnswer(Shape):
    """`GET /api/ml/symbol-prediction/{symbol}`."""

    status: Literal["success"]
    symbol: str
    asset_type: AssetType
    latest_prediction: LatestPrediction
    history: Annotated[list[HistoryRow], Field(max_length=10)]


class EnsembleSignal(Shape):
    """One stored prediction of the ensemble."""

    symbol: str
    asset_type: AssetType
    date: Day
    price: float | None
    xgb_signal: Signal
    xgb_probability: Probability
    ensemble_signal: Signal
    ensemble_confidence: Confidence
    gemini_reasoning: str | None
    risk_level: Literal["LOW", "MEDIUM", "HIGH"] | None


class EnsembleSignalsAnswer(Shape):
    """`GET /api/ml/ensemble-signals`."""

    status: Literal["success"]
    count: int
    filters: dict[str, str | int | None]
    signals: list[EnsembleSignal]

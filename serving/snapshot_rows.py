"""Rows of a snapshot as one object each."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from market.assets import AssetType
from market.signals import Confidence, Signal


@dataclass(frozen=True)
class WalkForwardRow:
    """One row of the champion's record; directions and flags are 1 and 0, None is unknown.

    Attributes:
        price: The bar's close.
        up_probability: XGBoost's, of the next bar closing higher.
        signal: By the thresholds in force, like `confidence_level`.
        label_known_at: When the next bar was known; None while it is not.
    """

    asset_type: AssetType
    symbol: str
    datetime: dt.datetime
    bar_known_at: dt.datetime
    label_known_at: dt.datetime | None
    price: float | None
    atr: float | None
    percent_change: float | None
    up_probability: float
    predicted_direction: int
    actual_direction: int | None
    confidence_level: Confidence
    signal: Signal
    rsi: float | None
    macd_histogram: float | None
    adx: float | None
    growth_score: int | None
    in_rise_cycle: int | None
    rise_cycle_start: int | None
    pivot_high_flag: int | None
    pivot_low_flag: int | None
    golden_cross: int | None
    trend_regime: str | None
    data_split: str
    model_version: str


@dataclass(frozen=True)
class RealtimeRow:
    """One stored prediction of a bar, with its opinion and signal; the columns of `realtime_predictions`.

    Attributes:
        bar_known_at: When the bar closed.
        label_known_at: When the next bar was known; None while it is not.
    """

    prediction_id: str
    created_at: dt.datetime
    asset_type: AssetType
    symbol: str
    datetime: dt.datetime
    bar_known_at: dt.datetime | None
    label_known_at: dt.datetime | None
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    percent_change: float | None
    rsi: float | None
    macd: float | None
    macd_histogram: float | None
    adx: float | None
    atr: float | None
    sma_20: float | None
    sma_50: float | None
    sma_200: float | None
    ema_12: float | None
    ema_26: float | None
    bb_upper: float | None
    bb_lower: float | None
    volume_sma_20: float | None
    growth_score: int | None
    trend_regime: str | None
    in_rise_cycle: bool | None
    rise_cycle_start: bool | None
    fall_cycle_start: bool | None
    pivot_high_flag: int | None
    pivot_low_flag: int | None
    golden_cross: int | None
    death_cross: int | None
    xgb_up_probability: float
    xgb_predicted_direction: Literal["UP", "DOWN"]
    xgb_confidence: Confidence | None
    gemini_prediction: Literal["UP", "DOWN", "NEUTRAL"] | None
    gemini_confidence: float | None
    gemini_reasoning: str | None
    gemini_risk_level: str | None
    gemini_status: str | None
    ensemble_up_probability: float
    ensemble_direction: Literal["UP", "DOWN"]
    ensemble_confidence: Confidence
    signal: Signal
    signal_strength: float | None
    stop_loss_pct: float | None
    take_profit_pct: float | None
    model_version: str
    actual_direction: Literal["UP", "DOWN"] | None

    @property
    def is_outcome_known(self) -> bool:
        """Whether the next bar was stored when the snapshot was made: Gemini may remember it and is not asked."""
        return self.label_known_at is not None or self.actual_direction is not None

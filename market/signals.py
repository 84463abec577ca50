"""From a probability to a signal: the rules of the contract, and the arithmetic of the ensemble.

The rules work on one probability and on arrays. SQL writes the same comparisons; the lower side of a confidence
threshold is `ROUND(1 - threshold, 12)` there as here, because `1 - 0.55` is 0.44999999999999996 and would miss 0.45.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, cast, overload

import numpy as np
import numpy.typing as npt

from market.assets import AssetType
from market.errors import SignalError

Signal = Literal["BUY", "SELL", "HOLD"]
Confidence = Literal["HIGH", "MEDIUM", "LOW"]
Action = Literal["STRONG_BUY", "MODERATE_BUY", "NEUTRAL", "MODERATE_SELL", "STRONG_SELL"]
GeminiDirection = Literal["UP", "DOWN", "NEUTRAL"]

StringArray = npt.NDArray[np.str_]

DECIMALS: Final = 12
"""Probabilities made by arithmetic are rounded to this, so that a decimal threshold is met where decimals meet it."""

XGBOOST_WEIGHTS: Final[dict[AssetType, float]] = {"stocks": 0.5, "etf": 0.7, "crypto": 0.7}
"""Default share of XGBoost in the ensemble; the rest is Gemini's."""

STOP_LOSS_ATRS: Final = 2.0
TAKE_PROFIT_ATRS: Final = 3.0


@dataclass(frozen=True)
class Thresholds:
    """Probabilities that make a signal and its confidence. All are inclusive.

    Attributes:
        buy: BUY at or above.
        sell: SELL at or below.
        high: HIGH at or above, and at or below its mirror `high_low`.
        medium: MEDIUM likewise, where not HIGH.

    Raises:
        SignalError: Not 0 <= sell < 0.5 < buy <= 1, or not 0.5 < medium <= high <= 1.
    """

    buy: float = 0.60
    sell: float = 0.40
    high: float = 0.65
    medium: float = 0.55

    def __post_init__(self) -> None:
        """Refuse thresholds whose ranges would overlap."""
        if not 0 <= self.sell < 0.5 < self.buy <= 1:
            raise SignalError(
                f"thresholds sell {self.sell} and buy {self.buy} must satisfy 0 <= sell < 0.5 < buy <= 1",
                remedy="correct the thresholds of this asset class",
            )
        if not 0.5 < self.medium <= self.high <= 1:
            raise SignalError(
                f"thresholds medium {self.medium} and high {self.high} must satisfy 0.5 < medium <= high <= 1",
                remedy="correct the thresholds of this asset class",
            )

    @property
    def high_low(self) -> float:
        """HIGH at or below this probability."""
        return round(1 - self.high, DECIMALS)

    @property
    def medium_low(self) -> float:
        """MEDIUM at or below this probability, where not HIGH."""
        return round(1 - self.medium, DECIMALS)


@overload
def signal(probability: float, thresholds: Thresholds) -> Signal: ...
@overload
def signal(probability: npt.NDArray[np.floating[Any]], thresholds: Thresholds) -> StringArray: ...
def signal(probability: float | npt.NDArray[np.floating[Any]], thresholds: Thresholds) -> Signal | StringArray:
    """BUY, SELL or HOLD for a probability of UP, or for an array of them (same shape, strings).

    Raises:
        SignalError: A probability is NaN or outside [0, 1].
    """
    p = _checked(probability)
    chosen = np.where(p >= thresholds.buy, "BUY", np.where(p <= thresholds.sell, "SELL", "HOLD"))
    return chosen if isinstance(probability, np.ndarray) else cast(Signal, str(chosen))


@overload
def confidence(probability: float, thresholds: Thresholds) -> Confidence: ...
@overload
def confidence(probability: npt.NDArray[np.floating[Any]], thresholds: Thresholds) -> StringArray: ...
def confidence(probability: float | npt.NDArray[np.floating[Any]], thresholds: Thresholds) -> Confidence | StringArray:
    """HIGH, MEDIUM or LOW for a probability of UP, or for an array of them (same shape, strings).

    Raises:
        SignalError: A probability is NaN or outside [0, 1].
    """
    p = _checked(probability)
    high = (p >= thresholds.high) | (p <= thresholds.high_low)
    medium = (p >= thresholds.medium) | (p <= thresholds.medium_low)
    chosen = np.where(high, "HIGH", np.where(medium, "MEDIUM", "LOW"))
    return chosen if isinstance(probability, np.ndarray) else cast(Confidence, str(chosen))


def predicted_direction(probability: float) -> Literal[0, 1]:
    """1 (up) at or above one half, else 0.

    Raises:
        SignalError: The probability is NaN or outside [0, 1].
    """
    return 1 if float(_checked(probability)) >= 0.5 else 0


def action_recommendation(signal: Signal, confidence: Confidence) -> Action:
    """STRONG at HIGH, MODERATE at MEDIUM confidence; NEUTRAL for HOLD and at LOW confidence."""
    strength = {"HIGH": "STRONG", "MEDIUM": "MODERATE", "LOW": None}[confidence]
    return "NEUTRAL" if signal == "HOLD" or strength is None else cast(Action, f"{strength}_{signal}")


def signal_strength(probability: float) -> float:
    """Distance from one half on a 0-100 scale: |p - 0.5| x 200."""
    return round(abs(float(_checked(probability)) - 0.5) * 200, DECIMALS - 2)


def gemini_probability(direction: GeminiDirection, confidence: float) -> float:
    """Gemini's answer as a probability of UP: 0.5 + c/2 for UP, 0.5 - c/2 for DOWN, 0.5 for NEUTRAL.

    Raises:
        SignalError: The direction is none of the three, or the confidence is NaN or outside [0, 1].
    """
    tilt = {"UP": 0.5, "DOWN": -0.5, "NEUTRAL": 0.0}.get(direction)
    if tilt is None:
        raise SignalError(f"Gemini's direction {direction!r} is not UP, DOWN or NEUTRAL", remedy="check the parser")
    return round(0.5 + tilt * float(_checked(confidence)), DECIMALS)


def ensemble_probability(xgb: float, gemini: float | None, weight: float) -> float:
    """The weighted mean of both probabilities, rounded to 12 decimals; XGBoost's own without an answer from Gemini.

    Args:
        xgb: XGBoost's probability of UP.
        gemini: Gemini's (see `gemini_probability`), or None without an answer.
        weight: XGBoost's share, in [0, 1] (defaults per asset class: `XGBOOST_WEIGHTS`).

    Raises:
        SignalError: A probability or the weight is NaN or outside [0, 1].
    """
    share = float(_checked(weight))
    p = float(_checked(xgb))
    return p if gemini is None else round(share * p + (1 - share) * float(_checked(gemini)), DECIMALS)


def ensemble_score(probability: float) -> float:
    """The probability on a scale from -1 (down) to 1 (up): 2p - 1."""
    return round(2 * float(_checked(probability)) - 1, DECIMALS)


def stop_loss_pct(atr: float | None, close: float) -> float | None:
    """Distance of the stop: 2 ATR in percent of the close; None without an ATR."""
    return _atr_distance_pct(atr, close, STOP_LOSS_ATRS)


def take_profit_pct(atr: float | None, close: float) -> float | None:
    """Distance of the target: 3 ATR in percent of the close; None without an ATR."""
    return _atr_distance_pct(atr, close, TAKE_PROFIT_ATRS)


def _atr_distance_pct(atr: float | None, close: float, multiple: float) -> float | None:
    if atr is None:
        return None
    if not (np.isfinite(atr) and atr >= 0 and np.isfinite(close) and close > 0):
        raise SignalError(
            f"atr {atr} and close {close} must be finite, the close positive", remedy="pass None for an unknown ATR"
        )
    return multiple * atr / close * 100


def _checked(values: float | npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    p = np.asarray(values, dtype=np.float64)
    outside = ~((p >= 0) & (p <= 1))
    if outside.any():
        raise SignalError(
            f"probability {float(p[outside].flat[0])} is not in [0, 1] ({int(outside.sum())} of {p.size} values)",
            remedy="pass probabilities of UP as the model returns them; drop missing ones before",
        )
    return p

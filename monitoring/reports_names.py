"""Names of features and of their values as people read them in reports."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from market.assets import AssetType

CLASS_TITLES: Final[dict[AssetType, str]] = {"stocks": "Stocks", "etf": "ETFs", "crypto": "Crypto"}

FEATURE_TITLES: Final = MappingProxyType(
    {
        "rsi": "RSI",
        "rsi_slope": "RSI, change since the bar before",
        "rsi_zscore": "RSI, distance from its mean",
        "rsi_overbought": "RSI overbought",
        "rsi_oversold": "RSI oversold",
        "macd": "MACD",
        "macd_signal": "MACD signal line",
        "macd_histogram": "MACD histogram",
        "macd_histogram_pct": "MACD histogram, % of price",
        "macd_rising": "MACD histogram rising",
        "macd_cross_up": "MACD histogram crosses zero upward",
        "macd_cross": "MACD crosses its signal line",
        "pivot_high_flag": "Confirmed pivot high",
        "pivot_low_flag": "Confirmed pivot low",
        "adx": "Trend strength (ADX)",
        "plus_di": "Upward movement (+DI)",
        "minus_di": "Downward movement (−DI)",
        "in_rise_cycle": "In a rise cycle",
        "rise_cycle_start": "Rise cycle starts",
        "golden_cross": "Golden cross",
        "death_cross": "Death cross",
        "momentum": "Momentum, in price",
        "momentum_5d": "Momentum over 5 bars, %",
        "momentum_10d": "Momentum over 10 bars, %",
        "momentum_20d": "Momentum over 20 bars, %",
        "atr_pct": "Range of a bar (ATR), % of price",
        "volume_ratio": "Volume against its mean",
        "mfi": "Money flow index",
        "cci": "Commodity channel index",
        "stoch_k": "Stochastic %K",
        "stoch_d": "Stochastic %D",
        "roc": "Rate of change, %",
        "growth_score": "Growth score",
        "awesome_osc": "Awesome oscillator",
        "vwap_daily": "Average price (VWAP)",
        "rsi_volume_interaction": "RSI × volume ratio",
        "macd_atr_interaction": "MACD histogram % × ATR %",
        "adx_trend_interaction": "Trend strength, signed by the cycle",
    }
)
"""Title of every feature of every feature service; a test holds them together."""

FLAGS: Final = frozenset(
    {
        *("rsi_overbought", "rsi_oversold", "macd_rising", "macd_cross_up", "pivot_high_flag", "pivot_low_flag"),
        *("in_rise_cycle", "rise_cycle_start", "golden_cross", "death_cross"),
    }
)
"""Features that are 1 or 0: shown as yes and no, and judged as categories."""

CROSSES: Final = frozenset({"macd_cross"})
"""Features that are 1, −1 or 0: shown as up, down and none, and judged as categories."""

OUTCOME: Final = "What the next bar did"
PREDICTED: Final = "Predicted direction"
PROBABILITY: Final = "Probability of UP"
DAY: Final = "Day"

_FLAG_VALUES: Final = {0.0: "no", 1.0: "yes"}
_CROSS_VALUES: Final = {-1.0: "down", 0.0: "none", 1.0: "up"}


def title_of(feature: str) -> str:
    """How a report calls a feature; one without a title is shown by its own name."""
    return FEATURE_TITLES.get(feature, feature)


def value_names(feature: str) -> dict[float, str] | None:
    """Words for a feature's values; None for numbers."""
    if feature in FLAGS:
        return _FLAG_VALUES
    return _CROSS_VALUES if feature in CROSSES else None

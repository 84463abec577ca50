"""Indicator variant `vendor`: the definitions of the price vendor behind existing tables.

They differ from `wilder` in smoothing, seeds and warm-up, and reproduce the vendor's published columns:

- RSI, ATR, DI and ADX use simple means over 14 bars (Cutler). The first bar counts: its change is 0 and its true range
  high - low, so RSI, ATR and DI start on bar 14 and ADX on bar 27;
- when up and down movement are equal and positive, the vendor's directional movement counts as down;
- Bollinger bands use the sample deviation (ddof 1);
- EMA and MACD are `ewm(span, adjust=False, min_periods=span)`, seeded with the first value;
- MFI starts on bar 14, its first bar flowing neither way;
- vwap_daily is the volume-weighted typical price since the symbol's first bar.
"""

from __future__ import annotations

import numpy as np

from market import windows
from market.windows import FloatArray


def vendor_arrays(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, typical: FloatArray
) -> dict[str, FloatArray]:
    """Columns in which `vendor` differs from `wilder`, NaN where undefined.

    Args:
        high: Highs of one symbol in time order, float64 and finite; the other arrays likewise.
        low: Lows.
        close: Closes.
        volume: Volumes.
        typical: (high + low + close) / 3.
    """
    macd = windows.exponential_mean(close, 12, 0) - windows.exponential_mean(close, 26, 0)
    macd_signal = windows.exponential_mean(macd, 9, 25)
    middle = windows.rolling_mean(close, 20)
    band = 2.0 * windows.rolling_deviation(close, middle, 20, 1)
    return {
        "rsi": _relative_strength(close),
        **_directional(high, low, close),
        "macd": macd,
        "macd_signal": macd_signal,
        "macd_histogram": macd - macd_signal,
        **{f"ema_{span}": windows.exponential_mean(close, span, 0) for span in (12, 20, 26, 50, 200)},
        "bollinger_upper": middle + band,
        "bollinger_middle": middle,
        "bollinger_lower": middle - band,
        "mfi": windows.money_flow_index(typical, volume, 14),
        "vwap_daily": quotient(np.cumsum(typical * volume), np.cumsum(volume)),
    }


def quotient(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Elementwise quotient; NaN where the denominator is 0 or NaN."""
    result = np.full(numerator.size, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def _relative_strength(close: FloatArray) -> FloatArray:
    change = np.diff(close, prepend=close[:1])
    gains = windows.rolling_sum(np.maximum(change, 0.0), 14)
    losses = windows.rolling_sum(np.maximum(-change, 0.0), 14)
    return 100.0 * quotient(gains, gains + losses)


def _directional(high: FloatArray, low: FloatArray, close: FloatArray) -> dict[str, FloatArray]:
    previous = np.concatenate((close[:1], close[:-1]))
    true_range = np.maximum(high - low, np.maximum(np.abs(high - previous), np.abs(low - previous)))
    true_range[:1] = high[:1] - low[:1]
    up = np.diff(high, prepend=high[:1])
    down = -np.diff(low, prepend=low[:1])
    ranges = windows.rolling_sum(true_range, 14)
    plus = 100.0 * quotient(windows.rolling_sum(np.where((up > down) & (up > 0), up, 0.0), 14), ranges)
    minus = 100.0 * quotient(windows.rolling_sum(np.where((down >= up) & (down > 0), down, 0.0), 14), ranges)
    movement = 100.0 * quotient(np.abs(plus - minus), plus + minus)
    return {
        "atr": ranges / 14.0,
        "plus_di": plus,
        "minus_di": minus,
        "adx": windows.rolling_sum(movement, 14) / 14.0,
    }

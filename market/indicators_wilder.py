"""Indicator variant `wilder`: smoothing and seeds as in TA-Lib, undefined values left undefined.

Recursive indicators (RSI, ATR, ADX, DI, EMA, MACD, OBV) are TA-Lib's. Windowed ones are TA-Lib's formulas computed by
`market.windows`, whose values do not depend on how much history came before. Seeds, as TA-Lib sets them:

- EMA(n): the mean of the first n closes, on the n-th bar;
- MACD: both EMAs start on bar 26, the fast one from the mean of bars 15-26; the signal from the mean of the first nine
  MACD values; all three columns start together on bar 34;
- RSI, ATR: the mean of the first 14 changes or ranges (the first bar has none), then (13 x previous + new) / 14;
- DI, ADX: sums over the first 13 bars with a predecessor, Wilder's smoothing from there on; ADX starts with the mean of
  14 DX, on bar 28.
"""

from __future__ import annotations

import numpy as np
import talib

from market import windows
from market.windows import FloatArray

_TALIB_EPSILON = 1e-14
"""TA-Lib answers 0 when a denominator is below this absolute size."""


def wilder_arrays(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, typical: FloatArray
) -> dict[str, FloatArray]:
    """Columns in which `wilder` differs from `vendor`, NaN where undefined.

    Args:
        high: Highs of one symbol in time order, float64 and finite; the other arrays likewise.
        low: Lows.
        close: Closes.
        volume: Volumes.
        typical: (high + low + close) / 3.
    """
    macd, macd_signal, macd_histogram = talib.MACD(close, 12, 26, 9)
    middle = windows.rolling_mean(close, 20)
    band = 2.0 * windows.rolling_deviation(close, middle, 20, 0)
    money_flow = windows.money_flow_index(typical, volume, 14)
    money_flow[:14] = np.nan
    return {
        **_directional(high, low, close),
        "macd": macd,
        "macd_signal": macd_signal,
        "macd_histogram": macd_histogram,
        **{f"ema_{span}": talib.EMA(close, span) for span in (12, 20, 26, 50, 200)},
        "bollinger_upper": middle + band,
        "bollinger_middle": middle,
        "bollinger_lower": middle - band,
        "atr": talib.ATR(high, low, close, 14),
        "mfi": money_flow,
        "vwap_daily": typical,
    }


def _directional(high: FloatArray, low: FloatArray, close: FloatArray) -> dict[str, FloatArray]:
    """RSI, ADX and DI, NaN where what they divide by is zero.

    TA-Lib's test for a zero denominator is absolute, so prices are first scaled by a power of two (exact, and these
    four do not depend on the scale) to lie near 1. Wilder's averages never return to 0 after a move but shrink by 13/14
    a bar: below `RELATIVE_ZERO` of the price they are mere rests of old moves, and their ratio is undefined.
    """
    scale = 2.0 ** -np.frexp(close[0])[1] if close[0] > 0 else 1.0
    high, low, close = high * scale, low * scale, close * scale
    rsi, adx = talib.RSI(close, 14), talib.ADX(high, low, close, 14)
    plus_di, minus_di = talib.PLUS_DI(high, low, close, 14), talib.MINUS_DI(high, low, close, 14)
    windows.blank_undefined(high, low, close, 14, 2 * _TALIB_EPSILON, rsi, adx, plus_di, minus_di)
    return {"rsi": rsi, "adx": adx, "plus_di": plus_di, "minus_di": minus_di}

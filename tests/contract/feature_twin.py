"""The feature table's definitions once more, in plain Python and one bar at a time: the oracle of the feature query."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any

Bar = Mapping[str, Any]


def features(bars: Sequence[Bar], *, train_end: date, test_end: date) -> list[dict[str, Any]]:
    """Features and labels of one symbol's bars in time order, without the columns that are copied."""
    return [_at(bars, i, train_end, test_end) for i in range(len(bars))]


def _at(bars: Sequence[Bar], i: int, train_end: date, test_end: date) -> dict[str, Any]:
    now = bars[i]
    before = bars[i - 1] if i else dict.fromkeys(now)
    following = bars[i + 1] if i + 1 < len(bars) else None
    return {
        "is_warm": i + 1 >= 200,
        **_oscillators(bars, i, now, before),
        "pivot_high_flag": _pivot(bars, i, "high", highest=True),
        "pivot_low_flag": _pivot(bars, i, "low", highest=False),
        **_crosses(now, before),
        "growth_score": 25
        * sum(
            (
                now["rsi"] is not None and 50 <= now["rsi"] <= 70,
                _above(now["macd_histogram"], 0),
                _above(now["adx"], 25),
                _above(now["close"], now["sma_200"]),
            )
        ),
        "trend_regime": _regime(now["close"], now["sma_50"], now["sma_200"], now["adx"]),
        "momentum_5d": _change_pct(now["close"], bars[i - 5]["close"] if i >= 5 else None),
        "momentum_10d": _change_pct(now["close"], bars[i - 10]["close"] if i >= 10 else None),
        "momentum_20d": _change_pct(now["close"], bars[i - 20]["close"] if i >= 20 else None),
        "atr_pct": _percent(now["atr"], now["close"]),
        "volume_ratio_clean": 1.0 if now["volume_ratio"] is None else now["volume_ratio"],
        **_labels(now, following),
        "data_split": _split(now["datetime"], train_end, test_end),
    }


def _oscillators(bars: Sequence[Bar], i: int, now: Bar, before: Bar) -> dict[str, Any]:
    rsi, histogram = now["rsi"], now["macd_histogram"]
    return {
        "rsi_slope": None if rsi is None or before["rsi"] is None else rsi - before["rsi"],
        "rsi_zscore": _zscore([bar["rsi"] for bar in bars[max(0, i - 19) : i + 1]]),
        "rsi_overbought": int(_above(rsi, 70)),
        "rsi_oversold": int(_above(30, rsi)),
        "macd_rising": int(_above(histogram, before["macd_histogram"])),
        "macd_cross_up": int(_above(histogram, 0) and _at_most(before["macd_histogram"], 0)),
        "macd_cross": int(_crosses_over(before, now, "macd", "macd_signal"))
        - int(_crosses_over(before, now, "macd_signal", "macd")),
        "macd_histogram_pct": _percent(histogram, now["close"]),
    }


def _crosses(now: Bar, before: Bar) -> dict[str, Any]:
    was_rising = _above(before["ema_12"], before["ema_26"])
    return {
        "in_rise_cycle": int(_above(now["ema_12"], now["ema_26"])),
        "rise_cycle_start": int(_crosses_over(before, now, "ema_12", "ema_26")),
        "fall_cycle_start": int(was_rising and _at_most(now["ema_12"], now["ema_26"])),
        "golden_cross": int(_crosses_over(before, now, "sma_50", "sma_200")),
        "death_cross": int(_crosses_over(before, now, "sma_200", "sma_50")),
    }


def _above(left: float | None, right: float | None) -> bool:
    return left is not None and right is not None and left > right


def _at_most(left: float | None, right: float | None) -> bool:
    return left is not None and right is not None and left <= right


def _crosses_over(before: Bar, now: Bar, upper: str, lower: str) -> bool:
    return _at_most(before[upper], before[lower]) and _above(now[upper], now[lower])


def _zscore(values: list[float | None]) -> float | None:
    if len(values) < 20 or None in values or len(set(values)) == 1:
        return None
    exact = [Fraction(value) for value in values if value is not None]
    return float(exact[-1] - sum(exact) / 20) / statistics.stdev(float(value) for value in exact)


def _pivot(bars: Sequence[Bar], i: int, column: str, *, highest: bool) -> int:
    if i < 4:
        return 0
    window = [bar[column] for bar in bars[i - 4 : i + 1]]
    if None in window:
        return 0
    middle = window.pop(2)
    return int(middle > max(window)) if highest else int(middle < min(window))


def _regime(close: float | None, sma_50: float | None, sma_200: float | None, adx: float | None) -> str:
    if close is None or sma_50 is None or sma_200 is None or adx is None:
        return "CONSOLIDATION"
    strong = adx > 25
    if strong and close > sma_50 > sma_200:
        return "STRONG_UPTREND"
    if strong and close < sma_50 < sma_200:
        return "STRONG_DOWNTREND"
    if close > max(sma_50, sma_200):
        return "WEAK_UPTREND"
    if close < min(sma_50, sma_200):
        return "WEAK_DOWNTREND"
    return "CONSOLIDATION"


def _change_pct(now: float | None, then: float | None) -> float | None:
    return None if now is None or then is None else float((Fraction(now) / Fraction(then) - 1) * 100)


def _percent(part: float | None, whole: float | None) -> float | None:
    return None if part is None or whole is None else float(Fraction(part) / Fraction(whole) * 100)


def _labels(now: Bar, following: Bar | None) -> dict[str, Any]:
    if following is None or following["close"] is None or now["close"] is None:
        return {"target_direction": None, "forward_return_pct": None, "label_known_at": None}
    return {
        "target_direction": 1 if following["close"] > now["close"] else 0,
        "forward_return_pct": _change_pct(following["close"], now["close"]),
        "label_known_at": following["bar_known_at"],
    }


def _split(stamp: datetime, train_end: date, test_end: date) -> str:
    if stamp.date() > test_end:
        return "VALIDATE"
    return "TEST" if stamp.date() > train_end else "TRAIN"

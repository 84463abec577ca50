"""Benchmark `indicators`: all columns of `add_indicators` against pandas-ta-classic and against bare TA-Lib calls."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.bars import random_bars
from bench.measure import Comparison, best_of, growth_exponent, measured

NAME = "indicators"
LENGTH = 2500
SYMBOLS = {"small": 40, "full": 400}
THREADS = 2
REPEATS, PEER_REPEATS = 7, 2


def run(size: str) -> Iterator[Comparison]:
    """N rows each, and 10 N for the growth of ours."""
    symbols = SYMBOLS[size]
    ours = measured(ours_seconds, symbols)
    growth = growth_exponent(ours, measured(ours_seconds, 10 * symbols), 10)
    label = f"{size}: {symbols * LENGTH:,} rows"
    yield Comparison(NAME, label, ours, "pandas-ta-classic", measured(pandas_ta_seconds, symbols), growth)
    yield Comparison(NAME, label, ours, "bare TA-Lib calls", measured(talib_seconds, symbols), growth)


def ours_seconds(symbols: int) -> float:
    from market.indicators import add_indicators

    add_indicators(random_bars(2, 300), "wilder", threads=THREADS)  # compiles the kernels
    bars = random_bars(symbols, LENGTH)
    return best_of(REPEATS, lambda: add_indicators(bars, "wilder", threads=THREADS))


def pandas_ta_seconds(symbols: int) -> float:
    """One data frame a symbol, one call an indicator, as its users write it."""
    import warnings

    import pandas as pd

    warnings.simplefilter("ignore")
    frames = [
        part.select("open", "high", "low", "close", "volume").to_pandas()
        for part in random_bars(symbols, LENGTH).partition_by("symbol", maintain_order=True)
    ]
    _pandas_ta(frames[0].copy())
    return best_of(PEER_REPEATS, lambda: pd.concat([_pandas_ta(frame) for frame in frames]))


def _pandas_ta(frame: Any) -> Any:
    import pandas_ta_classic as ta

    high, low, close, volume = (frame[name] for name in ("high", "low", "close", "volume"))
    frame["percent_change"] = close.pct_change() * 100
    frame["rsi"] = ta.rsi(close, 14)
    frame[["macd", "macd_histogram", "macd_signal"]] = ta.macd(close, 12, 26, 9)
    for length in (20, 50, 200):
        frame[f"sma_{length}"] = ta.sma(close, length)
    for length in (12, 20, 26, 50, 200):
        frame[f"ema_{length}"] = ta.ema(close, length)
    bands = ta.bbands(close, 20, 2)
    frame[["bollinger_lower", "bollinger_middle", "bollinger_upper"]] = bands.iloc[:, :3]
    frame["atr"] = ta.atr(high, low, close, 14)
    directional = ta.adx(high, low, close, 14)
    frame["adx"] = directional["ADX_14"]
    frame["plus_di"], frame["minus_di"] = directional["DMP_14"], directional["DMN_14"]
    frame["mfi"] = ta.mfi(high, low, close, volume, 14)
    frame["cmf"] = ta.cmf(high, low, close, volume, length=20)
    frame[["stoch_k", "stoch_d"]] = ta.stochf(high, low, close, 14, 3).iloc[:, :2]
    frame["cci"] = ta.cci(high, low, close, 20)
    frame["williams_r"] = ta.willr(high, low, close, 14)
    frame["momentum"] = ta.mom(close, 10)
    frame["roc"] = ta.roc(close, 12)
    frame["obv"] = ta.obv(close, volume)
    frame["awesome_osc"] = ta.ao(high, low, 5, 34)
    frame["volume_ratio"] = volume / ta.sma(volume, 20)
    frame["vwap_daily"] = ta.hlc3(high, low, close)
    return frame


def talib_seconds(symbols: int) -> float:
    """TA-Lib on contiguous slices with as many threads as ours, into arrays that nobody names, checks or converts."""
    bars = random_bars(symbols, LENGTH)
    values = [bars[name].to_numpy() for name in ("high", "low", "close", "volume")]
    slices = [[part[i * LENGTH : (i + 1) * LENGTH] for part in values] for i in range(symbols)]
    talib_values(*slices[0])
    with ThreadPoolExecutor(THREADS) as pool:
        return best_of(REPEATS, lambda: collections.deque(pool.map(lambda part: talib_values(*part), slices), maxlen=0))


def talib_values(high: Any, low: Any, close: Any, volume: Any) -> list[Any]:
    """The columns of `market.indicators.OUTPUT_COLUMNS`, in their order."""
    import talib

    typical, median = talib.TYPPRICE(high, low, close), talib.MEDPRICE(high, low)
    flow = ((close - low) - (high - close)) / (high - low) * volume
    return [
        talib.ROC(close, 1),
        talib.RSI(close, 14),
        *talib.MACD(close, 12, 26, 9),
        *(talib.SMA(close, length) for length in (20, 50, 200)),
        *(talib.EMA(close, length) for length in (12, 20, 26, 50, 200)),
        *talib.BBANDS(close, 20, 2, 2),
        talib.ATR(high, low, close, 14),
        talib.ADX(high, low, close, 14),
        talib.PLUS_DI(high, low, close, 14),
        talib.MINUS_DI(high, low, close, 14),
        talib.MFI(high, low, close, volume, 14),
        talib.SUM(flow, 20) / talib.SUM(volume, 20),
        *talib.STOCHF(high, low, close, 14, 3),
        talib.CCI(high, low, close, 20),
        talib.WILLR(high, low, close, 14),
        talib.MOM(close, 10),
        talib.ROC(close, 12),
        talib.OBV(close, volume),
        talib.SMA(median, 5) - talib.SMA(median, 34),
        volume / talib.SMA(volume, 20),
        typical,
    ]

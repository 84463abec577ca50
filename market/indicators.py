"""Technical indicators of daily bars, in two variants that are never mixed.

`wilder` smooths and seeds as TA-Lib does and is the default; `vendor` reproduces the tables of the price vendor. Each
column of a bar depends on this bar and earlier bars of the same symbol only. Undefined (warm-up, zero denominator) is
null, never a number that stands for it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Literal, cast

import numpy as np
import polars as pl
import pyarrow as pa
import talib

from market import windows
from market.errors import BadBarsError, FeatureError
from market.indicators_vendor import quotient, vendor_arrays
from market.indicators_wilder import wilder_arrays
from market.windows import FloatArray

Variant = Literal["wilder", "vendor"]

INDICATOR_COLUMNS: tuple[str, ...] = (
    "rsi",
    "macd",
    "macd_signal",
    "macd_histogram",
    "sma_20",
    "sma_50",
    "sma_200",
    "ema_12",
    "ema_20",
    "ema_26",
    "ema_50",
    "ema_200",
    "bollinger_upper",
    "bollinger_middle",
    "bollinger_lower",
    "atr",
    "adx",
    "plus_di",
    "minus_di",
    "mfi",
    "cmf",
    "stoch_k",
    "stoch_d",
    "cci",
    "williams_r",
    "momentum",
    "roc",
    "obv",
    "awesome_osc",
    "volume_ratio",
    "vwap_daily",
)
"""The indicator columns in table order."""

OUTPUT_COLUMNS: tuple[str, ...] = ("percent_change", *INDICATOR_COLUMNS)
"""Everything that is computed from a symbol's bars, in table order."""

_BAR_VALUES = ("open", "high", "low", "close", "volume")
_VARIANTS = {"wilder": wilder_arrays, "vendor": vendor_arrays}


def indicator_arrays(
    open: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    variant: Variant,
) -> dict[str, FloatArray]:
    """Indicators of one symbol.

    Args:
        open: Opens in time order, float64 and finite (no indicator reads them today; the bar is passed whole).
        high: Highs, of the same length.
        low: Lows.
        close: Closes.
        volume: Volumes.
        variant: `wilder` or `vendor`.

    Returns:
        `percent_change` and `INDICATOR_COLUMNS`, in this order, each as long as the input; NaN where undefined.

    Raises:
        BadBarsError: A value is NaN or infinite: recursive indicators would carry it silently to the series' end.
    """
    _refuse_missing({"open": open, "high": high, "low": low, "close": close, "volume": volume})
    if not close.size:
        return {name: np.empty(0) for name in OUTPUT_COLUMNS}
    high, low, close, volume = (np.ascontiguousarray(part, np.float64) for part in (high, low, close, volume))
    typical = (high + low + close) / 3.0
    values = {
        "percent_change": 100.0 * quotient(np.diff(close, prepend=np.nan), np.concatenate(([np.nan], close[:-1]))),
        **_VARIANTS[variant](high, low, close, volume, typical),
        **_shared_arrays(high, low, close, volume, typical, variant),
    }
    return {name: values[name] for name in OUTPUT_COLUMNS}


def _refuse_missing(bars: dict[str, FloatArray]) -> None:
    for name, values in bars.items():
        finite = np.isfinite(values)
        if not finite.all():
            row = int(np.argmin(finite)) + 1
            raise BadBarsError(
                f"value {values[row - 1]} is not finite",
                row=row,
                column=name,
                remedy="repair or reject the bar before computing indicators",
            )


def _shared_arrays(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, typical: FloatArray, variant: Variant
) -> dict[str, FloatArray]:
    """The columns on which both variants agree (the stochastic but for its first two bars)."""
    median = (high + low) / 2.0
    highest = talib.MAX(high, 14)
    lowest = talib.MIN(low, 14)
    stoch_k = 100.0 * quotient(close - lowest, highest - lowest)
    stoch_d = windows.rolling_sum(stoch_k, 3) / 3.0
    if variant == "wilder":
        stoch_k[:15] = np.nan  # TA-Lib starts %K together with %D
    return {
        **{f"sma_{window}": windows.rolling_mean(close, window) for window in (20, 50, 200)},
        "cmf": windows.chaikin_money_flow(high, low, close, volume, 20),
        "stoch_k": stoch_k,
        "stoch_d": stoch_d,
        "cci": windows.commodity_channel(typical, windows.rolling_mean(typical, 20), 20),
        "williams_r": -100.0 * quotient(highest - close, highest - lowest) + 0.0,
        "momentum": talib.MOM(close, 10),
        "roc": talib.ROC(close, 12),
        "obv": talib.OBV(close, volume),
        "awesome_osc": windows.rolling_mean(median, 5) - windows.rolling_mean(median, 34),
        "volume_ratio": windows.volume_ratio(volume, 20, 10),
    }


def add_indicators(bars: pl.DataFrame, variant: Variant, *, threads: int = 2) -> pl.DataFrame:
    """Bars with `percent_change` (0-100 scale, against the previous close) and the indicators appended.

    Args:
        bars: `asset_type`, `symbol`, `datetime` and float64 `open high low close volume`, one row a key, each symbol's
            rows together and in time order.
        variant: `wilder` or `vendor`.
        threads: Symbols computed at the same time.

    Returns:
        The input columns, `percent_change` and `INDICATOR_COLUMNS` as Float64; undefined is null, never NaN.

    Raises:
        BadBarsError: A price or volume is null, NaN or infinite.
        FeatureError: Rows are not sorted by symbol and time, or a key stands twice.
    """
    starts = _symbol_starts(bars)
    inputs = {name: bars.get_column(name).cast(pl.Float64).to_numpy() for name in _BAR_VALUES}

    result = np.empty((len(OUTPUT_COLUMNS), bars.height))

    def fill(start: int, end: int) -> None:
        try:
            arrays = indicator_arrays(**{name: values[start:end] for name, values in inputs.items()}, variant=variant)
        except BadBarsError as error:
            raise BadBarsError(
                f"symbol {bars['symbol'][start]}: a price or volume is missing or not finite",
                row=start + (error.row or 1),
                column=error.column,
                remedy=error.remedy,
            ) from error
        for row, name in zip(result, OUTPUT_COLUMNS, strict=True):
            row[start:end] = arrays[name]

    with ThreadPoolExecutor(max_workers=threads) as pool:
        # list() so that the first failure is raised here
        list(pool.map(fill, starts, [*starts[1:], bars.height]))
    computed = pa.table([_nan_as_null(row) for row in result], names=OUTPUT_COLUMNS)
    return bars.hstack(cast(pl.DataFrame, pl.from_arrow(computed)))


def _nan_as_null(values: FloatArray) -> pa.Array:
    """An Arrow array over the same memory: only the validity bits are new."""
    valid = np.packbits(~np.isnan(values), bitorder="little")
    return pa.Array.from_buffers(pa.float64(), values.size, [pa.py_buffer(valid), pa.py_buffer(values)])


def _symbol_starts(bars: pl.DataFrame) -> list[int]:
    """Row where each symbol begins, after checking that rows are sorted and unique."""
    if not bars.height:
        return []
    same = (pl.col("asset_type") == pl.col("asset_type").shift()) & (pl.col("symbol") == pl.col("symbol").shift())
    checks = bars.select(
        new=~same.fill_null(False),
        late=same & (pl.col("datetime") <= pl.col("datetime").shift()),
    )
    starts: list[int] = checks["new"].arg_true().to_list()
    symbols = bars.select("asset_type", "symbol")[starts].unique().height  # fewer than runs when a symbol comes again
    if checks["late"].any() or len(starts) != symbols:
        raise FeatureError(
            "bars are not sorted by asset_type, symbol and datetime, or a bar stands twice",
            remedy="sort the bars and remove duplicates before computing indicators",
        )
    return starts

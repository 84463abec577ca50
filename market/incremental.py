"""Indicators of the bars from a changed one on, from a bounded history and the values stored before it.

Recursive indicators forget: after `HISTORY_BARS` bars Wilder's averages keep (13/14)**1024 = 1e-33 of a different
start, the EMA of 50 bars 2e-18. The EMA of 200 bars would keep 4e-5 (and after twice as many bars 1e-9, of a start that
may be a multiple of today's price): it and the cumulative columns go on from what the last unchanged bar has stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numba
import numpy as np
import polars as pl

from market.indicators import Variant, add_indicators
from market.windows import FloatArray

HISTORY_BARS = 1024
"""Bars before the first changed one, at least, from which indicators are computed anew."""

FEATURE_HISTORY_BARS = 256
"""Bars before the first rewritten one that features read: the longest window is `is_warm`'s 200."""


def continued_indicators(bars: pl.DataFrame, state: pl.DataFrame, variant: Variant) -> pl.DataFrame:
    """Indicators of the changed bars, equal to those of a computation over the whole history.

    Args:
        bars: `asset_type`, `symbol`, `datetime`, float64 `open high low close volume`, `changed_from`; each symbol's
            rows together and in time order. They begin with its first bar or, when it has a row in `state`, at least
            `HISTORY_BARS` bars before `changed_from`.
        state: `symbol` and, of the last bar before its `changed_from`, the stored `obv` and `ema_200`; for `vendor`
            also the sums from the first bar through this one, `total_volume` and `total_price_volume` (typical price
            × volume).
        variant: `wilder` or `vendor`.

    Returns:
        The rows at or after `changed_from`, as `market.indicators.add_indicators` returns them (with `changed_from`).

    Raises:
        BadBarsError: A price or volume is null, NaN or infinite.
        FeatureError: Rows are not sorted by symbol and time, or a key stands twice.
    """
    computed = add_indicators(bars, variant).with_row_index("row")
    if state.height:
        computed = _go_on(computed, state, variant)
    return computed.filter(pl.col("datetime") >= pl.col("changed_from")).drop("row")


def _go_on(computed: pl.DataFrame, state: pl.DataFrame, variant: Variant) -> pl.DataFrame:
    """Replace the columns that history alone cannot give, from the first changed bar on."""
    is_changed = pl.col("datetime") >= pl.col("changed_from")
    first = (
        computed.group_by("symbol", maintain_order=True)
        .agg(start=pl.col("row").filter(is_changed).min(), end=pl.col("row").max() + 1)
        .join(state, on="symbol", how="inner")
        .drop_nulls("start")
    )
    high, low, close, volume = (computed[name].to_numpy() for name in ("high", "low", "close", "volume"))
    columns = {name: computed[name].to_numpy(writable=True) for name in ("obv", "ema_200", "vwap_daily")}
    typical_volume = (high + low + close) / 3.0 * volume
    for row in first.iter_rows(named=True):
        here = slice(row["start"], row["end"])
        before = close[row["start"] - 1]
        columns["obv"][here] = _on_balance(close[here], volume[here], before, row["obv"])
        columns["ema_200"][here] = _exponential(np.ascontiguousarray(close[here]), 2.0 / 201.0, row["ema_200"])
        if variant == "vendor":
            traded = row["total_volume"] + np.cumsum(volume[here])
            value = row["total_price_volume"] + np.cumsum(typical_volume[here])
            columns["vwap_daily"][here] = np.divide(value, traded, out=np.full(value.size, np.nan), where=traded != 0)
    return computed.with_columns(
        pl.Series(name, values).cast(pl.Float64).fill_nan(None) for name, values in columns.items()
    )


def _exponential_mean(values: FloatArray, alpha: float, level: float) -> FloatArray:
    """EMA after `level`."""
    result = np.empty(values.size)
    for i in range(values.size):
        level += alpha * (values[i] - level)
        result[i] = level
    return result


_exponential = cast("Callable[[FloatArray, float, float], FloatArray]", numba.njit(cache=True)(_exponential_mean))


def _on_balance(close: FloatArray, volume: FloatArray, before: float, level: float) -> FloatArray:
    """OBV after `level`, added bar by bar as a computation from the first bar does."""
    moved = np.sign(np.diff(close, prepend=before)) * volume
    return cast(FloatArray, np.cumsum(np.concatenate(([level], moved)))[1:])

"""Window and smoothing kernels for the indicators of one symbol.

Every kernel maps one-dimensional float64 arrays in time order to arrays of the same length, NaN where the value is not
defined. A window's value is computed from its own bars alone (sums are taken afresh or kept in double-double), not from
a running sum that carries rounding of bars long gone. So a value does not depend on how much history came before, and
full and incremental computation agree. Nothing reads ahead: the first n results of a longer series are the results of
its first n bars, bit for bit.

Where a window is added up afresh, the outer loop runs over the places in the window and the inner one over the bars:
the additions of one bar keep their order, and those of neighbouring bars run in one instruction.

The kernels are compiled on their first call and release the GIL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])

RELATIVE_ZERO = 1e-13
"""A price difference below this share of the price is rounding, not a move (a float64 resolves 2e-16)."""


def _kernel(function: _Kernel) -> _Kernel:
    # `numpy` division semantics: a zero divisor is handled in each kernel, never by an exception.
    return cast(_Kernel, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


@_kernel
def rolling_mean(values: FloatArray, window: int) -> FloatArray:
    """Mean of the last `window` values; NaN before the window is full.

    The running sum is kept in double-double (Knuth's TwoSum): adding a value and taking it out again leaves no
    rounding behind as long as magnitudes within the series differ by less than 2**50.
    """
    result = np.full(values.size, np.nan)
    total = 0.0
    rest = 0.0
    for i in range(values.size):
        for term in (values[i], -values[i - window] if i >= window else 0.0):
            grown = total + term
            shadow = grown - total
            rest += (total - (grown - shadow)) + (term - shadow)
            total = grown
        if i >= window - 1:
            result[i] = (total + rest) / window
    return result


@_kernel
def rolling_sum(values: FloatArray, window: int) -> FloatArray:
    """Sum of the last `window` values, added up afresh; NaN before the window is full or when it holds a NaN."""
    result = np.full(values.size, np.nan)
    bars = values.size - window + 1
    if bars > 0:
        totals = result[window - 1 :]
        totals[:] = 0.0
        for place in range(window):
            shifted = values[place : place + bars]
            for i in range(bars):
                totals[i] += shifted[i]
    return result


@_kernel
def rolling_deviation(values: FloatArray, means: FloatArray, window: int, ddof: int) -> FloatArray:
    """Standard deviation of the last `window` values about `means` (their rolling mean), divisor `window - ddof`."""
    result = np.full(values.size, np.nan)
    bars = values.size - window + 1
    if bars > 0:
        squares = result[window - 1 :]
        centres = means[window - 1 :]
        squares[:] = 0.0
        for place in range(window):
            shifted = values[place : place + bars]
            for i in range(bars):
                distance = shifted[i] - centres[i]
                squares[i] += distance * distance
        for i in range(bars):
            squares[i] = np.sqrt(squares[i] / (window - ddof))
    return result


@_kernel
def commodity_channel(typical: FloatArray, means: FloatArray, window: int) -> FloatArray:
    """Lambert's CCI: distance from the rolling mean over 0.015 mean absolute deviations; NaN when that is zero."""
    result = np.full(typical.size, np.nan)
    bars = typical.size - window + 1
    if bars > 0:
        absolute = np.zeros(bars)
        centres = means[window - 1 :]
        for place in range(window):
            shifted = typical[place : place + bars]
            for i in range(bars):
                absolute[i] += abs(shifted[i] - centres[i])
        for i in range(bars):
            deviation = absolute[i] / window
            if deviation > RELATIVE_ZERO * abs(centres[i]):
                result[window - 1 + i] = (typical[window - 1 + i] - centres[i]) / (0.015 * deviation)
    return result


@_kernel
def money_flow_index(typical: FloatArray, volume: FloatArray, window: int) -> FloatArray:
    """MFI: share (0-100) of rising money flow in all flow of the last `window` bars.

    A bar whose typical price did not move (see `RELATIVE_ZERO`) flows neither way, and neither does the first bar. NaN
    before the window is full and when nothing flowed in it.
    """
    n = typical.size
    rising = np.zeros(n)
    falling = np.zeros(n)
    for i in range(1, n):
        change = typical[i] - typical[i - 1]
        if abs(change) > RELATIVE_ZERO * typical[i - 1]:
            if change > 0.0:
                rising[i] = typical[i] * volume[i]
            else:
                falling[i] = typical[i] * volume[i]
    result = np.full(n, np.nan)
    up = rolling_sum(rising, window)
    down = rolling_sum(falling, window)
    for i in range(window - 1, n):
        if up[i] + down[i] > 0.0:
            result[i] = 100.0 * (up[i] / (up[i] + down[i]))
    return result


@_kernel
def chaikin_money_flow(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, window: int
) -> FloatArray:
    """CMF: volume weighted by where the close lies in its bar (-1 low, +1 high), over all volume of the window.

    A bar without range moves no money either way but its volume counts. NaN before the window is full, without volume
    in it, and when no bar of it has a range.
    """
    n = close.size
    flow = np.zeros(n)
    last_with_range = np.full(n, -window)
    for i in range(n):
        if i > 0:
            last_with_range[i] = last_with_range[i - 1]
        if high[i] > low[i]:
            last_with_range[i] = i
            flow[i] = ((close[i] - low[i]) - (high[i] - close[i])) / (high[i] - low[i]) * volume[i]
    result = np.full(n, np.nan)
    total = rolling_sum(flow, window)
    traded = rolling_sum(volume, window)
    for i in range(window - 1, n):
        if traded[i] > 0.0 and i - last_with_range[i] < window:
            result[i] = total[i] / traded[i]
    return result


@_kernel
def volume_ratio(volume: FloatArray, window: int, min_bars: int) -> FloatArray:
    """Volume over the mean of the last `window` volumes (its own included, at least `min_bars`); NaN when that is 0."""
    result = np.full(volume.size, np.nan)
    totals = rolling_sum(volume, window)
    begun = 0.0
    for i in range(min(window - 1, volume.size)):
        begun += volume[i]
        totals[i] = begun
    for i in range(min_bars - 1, volume.size):
        if totals[i] > 0.0:
            result[i] = volume[i] / (totals[i] / min(i + 1, window))
    return result


@_kernel
def exponential_mean(values: FloatArray, span: int, start: int) -> FloatArray:
    """`ewm(span, adjust=False, min_periods=span)`: seeded with `values[start]`, alpha = 2 / (span + 1).

    NaN before `start + span - 1`.
    """
    result = np.full(values.size, np.nan)
    if start < values.size:
        alpha = 2.0 / (span + 1.0)
        level = values[start]
        for i in range(start, values.size):
            if i > start:
                level = alpha * values[i] + (1.0 - alpha) * level
            if i >= start + span - 1:
                result[i] = level
    return result


@_kernel
def blank_undefined(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    period: int,
    smallest: float,
    rsi: FloatArray,
    adx: FloatArray,
    plus_di: FloatArray,
    minus_di: FloatArray,
) -> None:
    """Put NaN, in place, where Wilder's indicators divide by zero.

    What they divide by is smoothed as `sum - sum / period + today`: absolute close changes (RSI), true ranges (DI),
    directed movement of either sign (ADX, which needs a range too). A sum is zero when it is below `period` times
    `RELATIVE_ZERO` of the close or `period` times `smallest`.
    """
    moves = 0.0
    ranges = 0.0
    directed = 0.0
    for i in range(1, close.size):
        keep = 1.0 if i < period else 1.0 - 1.0 / period
        up = high[i] - high[i - 1]
        down = low[i - 1] - low[i]
        true_range = max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
        moves = moves * keep + abs(close[i] - close[i - 1])
        ranges = ranges * keep + true_range
        directed = directed * keep + (max(up, down, 0.0) if up != down else 0.0)
        zero = period * max(RELATIVE_ZERO * close[i], smallest)
        if moves <= zero:
            rsi[i] = np.nan
        if ranges <= zero:
            plus_di[i] = np.nan
            minus_di[i] = np.nan
        if ranges <= zero or directed <= zero:
            adx[i] = np.nan

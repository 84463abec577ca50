"""The simulator's inner loop: one symbol, one pass in time, so that a longer history never changes an earlier bar."""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BAR_VALUES = ("open", "high", "low", "close", "volume")

REVERSAL_BARS = 5
SHAPES = 4
"""Normal variates a bar beyond its sign, size and volatility: overnight gap, upper wick, lower wick, volume."""

_LARGEST_MOVE = 0.5
_SMALLEST_MOVE = 2e-5


@numba.njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def walk(
    sign: Floats,
    size: Floats,
    volatility_noise: Floats,
    shape: Floats,
    class_volatility: Floats,
    start_price: float,
    base_volume: float,
    persistence: float,
    gap: float,
    momentum_bounds: Floats,
    edges: Floats,
    quantiles: Floats,
    bars: Floats,
    up_probability: Floats,
) -> None:
    """Fill one symbol's bars and the true probability that the next close is higher.

    Args:
        sign: (n,) standard normal; bar t closes up iff sign[t] < Φ⁻¹(p[t−1]), which has probability p[t−1] exactly.
        size: (n,) standardised fat-tailed variate; its magnitude scales the return, its sign is not used.
        volatility_noise: (n,) innovations of the symbol's own AR(1) log-volatility, in its unit.
        shape: (n, `SHAPES`) standard normal.
        class_volatility: (n,) daily volatility that the whole class shares on that day (0.01 is 1%).
        start_price: The close before the first bar.
        base_volume: Typical volume.
        persistence: AR(1) coefficient of the symbol's log-volatility.
        gap: Share of a day's volatility that shows at the open.
        momentum_bounds: (k,) ascending; sizes of the `REVERSAL_BARS`-bar percent change that separate edges.
        edges: (k + 1,) probability beyond 1/2 that the next close reverses the change; zeros make a noise symbol.
        quantiles: (k + 1,) Φ⁻¹(1/2 + edges).
        bars: (5, n), overwritten with `BAR_VALUES`.
        up_probability: (n,), overwritten; 1/2 before there is enough history.
    """
    previous = start_price
    log_volatility = 0.0
    threshold = 0.0
    for t in range(sign.size):
        log_volatility = persistence * log_volatility + volatility_noise[t]
        volatility = class_volatility[t] * math.exp(log_volatility)
        raw = volatility * abs(size[t]) + _SMALLEST_MOVE
        # A symmetric bound: the return's sign stays independent of its size, and the price positive.
        move = _LARGEST_MOVE * math.tanh(raw / _LARGEST_MOVE)
        close = previous * (1.0 + move) if sign[t] < threshold else previous * (1.0 - move)
        opened = previous * (1.0 + _LARGEST_MOVE * math.tanh(gap * volatility * shape[t, 0] / _LARGEST_MOVE))
        bars[0, t] = opened
        bars[1, t] = max(opened, close) * (1.0 + 0.4 * volatility * abs(shape[t, 1]))
        bars[2, t] = min(opened, close) / (1.0 + 0.4 * volatility * abs(shape[t, 2]))
        bars[3, t] = close
        activity = 0.5 * log_volatility + 0.3 * min(abs(size[t]), 4.0) + 0.3 * shape[t, 3]
        bars[4, t] = math.floor(base_volume * math.exp(activity)) + 1.0
        up_probability[t] = 0.5
        threshold = 0.0
        if t >= REVERSAL_BARS:
            momentum = (close / bars[3, t - REVERSAL_BARS] - 1.0) * 100.0
            step = 0
            while step < momentum_bounds.size and abs(momentum) > momentum_bounds[step]:
                step += 1
            if momentum > 0.0:
                up_probability[t] = 0.5 - edges[step]
                threshold = -quantiles[step]
            elif momentum < 0.0:
                up_probability[t] = 0.5 + edges[step]
                threshold = quantiles[step]
        previous = close

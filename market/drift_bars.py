"""What a symbol's last bars themselves say, beside which its features are judged.

A feature is a figure of prices and volumes. Plain ones of the same bars, which no feature's fault can reach,
tell what the others must be: they are never judged, only looked at.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from market.drift import Floats

PRICES = ("close", "high", "low", "volume")
"""Columns of `CodedRows.prices`."""

BARS = 42
"""A row needs so many bars of its symbol before it, for smoothed figures to forget what came first ..."""
LOOKBACK_DAYS = 70
"""... within so many days."""

_TINY = 1e-12
_SMOOTHED = BARS - 1
"""The change of a smoothed figure needs one more."""


def _kept(bars: int) -> Floats:
    """What an exponential mean with span `bars` leaves of a move, by its age in bars."""
    kept: Floats = np.power(1 - 2 / (bars + 1), np.arange(1.0, _SMOOTHED + 1))
    return kept


def _bend() -> Floats:
    """Weights of moves in the difference of two exponential means of prices, less its own exponential mean."""
    apart = _kept(26) - _kept(12)
    own_mean: Floats = np.convolve(apart, _kept(9) * (2 / 8))[:_SMOOTHED]
    return apart - own_mean


_WILDER: Floats = np.power(13 / 14, np.arange(float(_SMOOTHED)))
_BEND = _bend()


COMPANIONS = (
    *("return_1", "return_5", "return_10", "return_12", "return_20"),
    *("range_5", "range_14", "range_28", "spread_20"),
    *("step_1", "above_20", "volume_20", "flow_14", "up_14", "down_14", "place_14"),
    *("strength_41", "turn_41", "bend_41"),
)
"""Over so many bars, this one included: logarithmic returns; sums of true ranges, and the absolute distance of typical
prices from their mean (logarithms); the return, and the typical price's distance from its mean, in terms of these two;
volume in terms of its sum (logarithm), money flow, directional movement, and the close's place between the lowest low
and the highest high; the smoothed share of gains in all moves, its last change, and what is left of the moves when
smoothed means of theirs are taken from each other."""

VOLATILITY = COMPANIONS.index("range_14")


def companions(prices: Floats, symbol: npt.NDArray[np.int64], day: npt.NDArray[np.int64]) -> Floats:
    """Figures of each row's bar and those before it.

    Args:
        prices: Columns `PRICES`, positive prices, volumes from 0 on, shape (n, 4), rows by symbol and day.
        symbol: Of each row, shape (n,).
        day: Of each row, days since 1970, shape (n,).

    Returns:
        Columns `COMPANIONS`, shape (n, 19); a row without `BARS` bars before it, or with a price missing among
        them, is NaN throughout.
    """
    found = np.full((len(prices), len(COMPANIONS)), np.nan)
    has_past = np.zeros(len(prices), bool)
    has_past[BARS:] = (symbol[BARS:] == symbol[:-BARS]) & (day[BARS:] - day[:-BARS] <= LOOKBACK_DAYS)
    if not has_past.any():
        return found
    close, high, low, volume = prices.T
    before, move, (rise, fall) = _shifted(close), np.log(close / _shifted(close)), _directions(prices)
    true_range = (np.maximum(high, before) - np.minimum(low, before)) / close
    typical = (close + high + low) / 3
    traded, away, spread = typical * volume, *_away(typical, 20)
    ranges = {bars: _sum(true_range, bars) for bars in (5, 14, 28)}
    lowest, highest = _extreme(low, 14, np.minimum), _extreme(high, 14, np.maximum)
    gains, losses = (_weighted(np.maximum(one, 0.0), _WILDER) for one in (move, -move))
    strength = gains / np.maximum(gains + losses, _TINY)
    columns = (
        *(_sum(move, bars) for bars in (1, 5, 10, 12, 20)),
        *(np.log(np.maximum(ranges[bars], _TINY)) for bars in (5, 14, 28)),
        np.log(np.maximum(spread / close, _TINY)),
        move / np.maximum(ranges[14], _TINY),
        away / np.maximum(spread, _TINY * close),
        np.log(np.maximum(volume, _TINY) / np.maximum(_sum(volume, 20), _TINY)),
        _sum(traded * np.sign(typical - _shifted(typical)), 14) / np.maximum(_sum(traded, 14), _TINY),
        _sum(rise / close, 14) / np.maximum(ranges[14], _TINY),
        _sum(fall / close, 14) / np.maximum(ranges[14], _TINY),
        (close - lowest) / np.maximum(highest - lowest, _TINY),
        strength,
        strength - _shifted(strength),
        _weighted(move, _BEND),
    )
    for column, values in enumerate(columns):
        found[:, column] = values
    found[~has_past | ~np.isfinite(found).all(axis=1)] = np.nan
    return found


def _directions(prices: Floats) -> tuple[Floats, Floats]:
    """Directional movement up and down, in price (Wilder, 1978)."""
    rise, fall = prices[:, 1] - _shifted(prices[:, 1]), _shifted(prices[:, 2]) - prices[:, 2]
    return np.where((rise > fall) & (rise > 0), rise, 0.0), np.where((fall > rise) & (fall > 0), fall, 0.0)


def _away(values: Floats, bars: int) -> tuple[Floats, Floats]:
    """Distance from the mean of the last bars, and their mean absolute distance from it."""
    mean = _sum(values, bars) / bars
    spread = np.abs(values - mean)
    for k in range(1, bars):
        spread[k:] += np.abs(values[:-k] - mean[k:])
    return values - mean, spread / bars


def _shifted(values: Floats, bars: int = 1) -> Floats:
    """The value so many rows before; the first ones repeat, and are discarded with the rows that lack a past."""
    return np.concatenate([np.repeat(values[:1], bars), values[:-bars]]) if bars else values


def _sum(values: Floats, bars: int) -> Floats:
    """Over the last bars, added one by one: differences of running sums would lose small symbols behind large ones."""
    total = values.copy()
    for k in range(1, bars):
        total[k:] += values[:-k]
    return total


def _weighted(values: Floats, weights: Floats) -> Floats:
    """Sum over the last bars, the newest with the first weight."""
    total: Floats = np.convolve(values, weights)[: values.size]
    return total


def _extreme(values: Floats, bars: int, of: np.ufunc) -> Floats:
    found = values.copy()
    for k in range(1, bars):
        found[k:] = of(found[k:], values[:-k])
    return found

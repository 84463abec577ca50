"""What doing nothing would have earned: buy and hold of the same symbols over the same days."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from market.backtest import Market


def buy_and_hold(market: Market) -> npt.NDArray[np.float64]:
    """Equity of equal money in every symbol, per dollar of capital, at each of the market's dates.

    The capital is split equally among all symbols of the market before the first day. Each part buys its symbol at the
    open of the symbol's first bar and is never touched again: it is cash before that bar, worth its last close on
    days without one, and stays at its last close when the symbol ends. No costs, which flatters the benchmark.

    Args:
        market: The bars that a strategy could trade.

    Returns:
        Shape (dates,), positive; before the first day it is 1.
    """
    days, starts = market.days, market.keys.start
    total = np.zeros(days.size)
    for first, end in pairwise(starts):
        newest = np.searchsorted(market.keys.day[first:end], days, side="right") - 1
        worth = market.close[first + np.maximum(newest, 0)] / market.open[first]
        total += np.where(newest >= 0, worth, 1.0)
    equity: npt.NDArray[np.float64] = total / (starts.size - 1)
    return equity

"""Thresholds relative to what a model says: the rows it is surest about, however narrow its probabilities."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from market.errors import SignalError
from market.signals import DECIMALS, Thresholds

STEP: Final = 1e-6
"""Distance of a threshold from 1/2, or from the largest value where too many rows share it."""


def quantile_thresholds(
    probability: npt.NDArray[Any], *, buy: float, sell: float, high: float, medium: float
) -> Thresholds:
    """Probabilities that given shares of past predictions reach.

    At most 1 - `buy` of the rows are BUY and at most `sell` of them SELL, a BUY lies above 1/2 and a SELL below it, so
    a signal never contradicts the direction; at most 1 - `high` are HIGH and 1 - `medium` at least MEDIUM, by distance
    from 1/2. Equal probabilities stay together: where a share would part them, fewer rows signal, and a model that says
    the same everywhere signals nothing.

    Args:
        probability: Out-of-sample probabilities of UP known before the thresholds are used, in [0, 1], shape (n,),
            n > 0.
        buy: Quantile of the probability, in (0.5, 1).
        sell: Quantile of the probability, in (0, 0.5).
        high: Quantile of the distance from 1/2, in (0, 1).
        medium: Likewise, at most `high`.

    Raises:
        SignalError: Empty, missing or ill-shaped probabilities, or quantiles out of range.
    """
    p = np.asarray(probability, dtype=np.float64)
    if p.ndim != 1 or not p.size or not ((p >= 0) & (p <= 1)).all():
        raise SignalError(
            f"probabilities {p.shape} must be one-dimensional, in [0, 1] and not empty",
            remedy="drop rows without a prediction",
        )
    if not (0 < sell < 0.5 < buy < 1 and 0 < medium <= high < 1):
        raise SignalError(f"quantiles buy {buy}, sell {sell}, high {high}, medium {medium} are out of range")
    # 0.46 and 0.54 are equally far from 1/2, though not in binary
    distance = np.asarray(np.round(np.abs(p - 0.5), DECIMALS), dtype=np.float64)
    return Thresholds(
        buy=min(1.0, max(_reached(p, 1 - buy), 0.5 + STEP)),
        sell=max(0.0, min(1 - _reached(1 - p, sell), 0.5 - STEP)),
        high=round(0.5 + min(0.5, max(_reached(distance, 1 - high), STEP)), DECIMALS),
        medium=round(0.5 + min(0.5, max(_reached(distance, 1 - medium), STEP)), DECIMALS),
    )


def _reached(values: npt.NDArray[np.float64], share: float) -> float:
    """The lowest of the values that at most `share` of them reach; a step above the largest when none is."""
    ordered = np.sort(values)
    # 0.1 x 30 is 3.0000000000000004 in one order of operations and 2.9999999999999996 in another
    allowed = int(share * ordered.size + 1e-9)
    if allowed:
        candidate = ordered[-allowed]
        if ordered.size - np.searchsorted(ordered, candidate, side="left") <= allowed:
            return float(candidate)
        above = np.searchsorted(ordered, candidate, side="right")
        if above < ordered.size:
            return float(ordered[above])
    return float(ordered[-1]) + STEP

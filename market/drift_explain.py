"""Is it a shift or a scale? The change that, undone, leaves the least to wonder about.

Multiplying a feature that is never negative moves its mean, and adding to it looks like a scale to skewed values. So
both are undone in small steps, and the one that brings the week nearest to what is usual gives the change its name and
size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from market.drift import Floats
from market.drift_grid import MISSING, Ruler
from market.drift_relations import Moments, deviations, fit_adjustment

_SHIFTS = np.round(np.arange(-40, 41) * 0.05, 2)
"""Deviations."""
_FACTORS = np.exp(np.arange(-28, 29) * 0.025)
"""From a half to twice."""
_ROWS = 4000
"""Rows that are enough to tell."""


@dataclass(frozen=True)
class Explanation:
    """What seems to have been done to a feature: so many deviations were added, or it was multiplied by a factor.

    `left` is the largest of its figures once that is undone, 1 being its limit.
    """

    kind: Literal["shift", "scale"]
    amount: float
    left: float

    @property
    def size(self) -> float:
        """Absolute deviations, or the absolute logarithm of the factor."""
        return abs(self.amount) if self.kind == "shift" else abs(float(np.log(self.amount)))


@dataclass(frozen=True)
class Suspect:
    """A feature whose week is explained, beside a features it is compared with (itself included).

    Attributes:
        values: Of the week's rows, NaN where missing, shape (n,).
        scores: Normal scores of the features, and of the bars before, shape (n, 2a).
        position: Of the feature among them.
        usual: Moments of weeks of training of the same 2a columns.
        limits: What shift, scale, scatter and jump may not exceed, shape (4,).
        ruler: The feature's.
        deviation: Of its baseline.
    """

    values: Floats
    scores: Floats
    position: int
    usual: Moments
    limits: Floats
    ruler: Ruler
    deviation: float


def explain(given: Suspect) -> Explanation:
    """The better of the best shift and the best scale."""
    every = max(1, given.values.size // _ROWS)
    left = _left_after(given, given.values[::every], given.scores[::every])
    shifts = [left(given.values[::every] - amount * given.deviation) for amount in _SHIFTS]
    scales = [left(given.values[::every] / factor) for factor in _FACTORS]
    best_shift, best_scale = int(np.argmin(shifts)), int(np.argmin(scales))
    if shifts[best_shift] <= scales[best_scale]:
        return Explanation("shift", float(_SHIFTS[best_shift]), shifts[best_shift])
    return Explanation("scale", float(_FACTORS[best_scale]), scales[best_scale])


def _left_after(given: Suspect, values: Floats, scores: Floats) -> Callable[[Floats], float]:
    """The largest figure over its limit, as a function of the feature's values."""
    half, count, j = scores.shape[1] // 2, len(values), given.position
    beside: npt.NDArray[np.intp] = np.arange(half)
    usual_beside = fit_adjustment(given.usual.only(beside))
    usual_since = fit_adjustment(given.usual, half)
    mean, second = scores.mean(axis=0), scores.T @ scores / count
    table = given.ruler.scores()

    def left(changed: Floats) -> float:
        codes = given.ruler.codes(changed)
        score = np.where(codes == MISSING, 0.0, table[np.minimum(codes, table.size - 1)])
        products = scores.T @ score / count
        products[j] = score @ score / count
        mean[j], second[j], second[:, j] = score.mean(), products, products
        week = Moments(np.array([count]), mean[None], second[None])
        level, since = deviations(week.only(beside), usual_beside), deviations(week, usual_since)
        figures = np.array([level.shift[0, j], level.log_scale[0, j], level.log_spread[0, j], since.shift[0, j]])
        return float(np.max(np.abs(figures) / given.limits))

    return left

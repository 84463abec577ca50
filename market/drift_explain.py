"""Is it a shift or a scale? The change that, undone, leaves the least to wonder about.

Multiplying a feature that is never negative moves its mean, and adding to it looks like a scale to skewed values. So
both are undone in small steps, and the one that brings the week nearest to what is usual gives the change its name and
size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from market.drift import Floats
from market.drift_basis import Basis, cut_scores
from market.drift_grid import MISSING, Ruler
from market.drift_relations import Adjustment, Moments, deviations, fit_adjustment

_SHIFTS = np.round(np.arange(-40, 41) * 0.05, 2)
"""Deviations."""
_FACTORS = np.exp(np.arange(-28, 29) * 0.025)
"""From a half to twice."""


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
        values: Of the week's rows that can be compared, NaN where missing, shape (n,).
        columns: Of the same rows, all columns of the basis, shape (n, k).
        position: Of the feature among the features of the basis.
        beside: Which of those it is compared with, itself included.
        basis: The columns.
        usual: Moments of weeks of training, all columns.
        limits: What shift, scale, scatter and jump may not exceed, shape (4,).
        ruler: The feature's.
        deviation: Of its baseline.
    """

    values: Floats
    columns: Floats
    position: int
    beside: npt.NDArray[np.bool_]
    basis: Basis
    usual: Moments
    limits: Floats
    ruler: Ruler
    deviation: float


def explain(given: Suspect) -> Explanation:
    """The better of the best shift and the best scale."""
    level, since = (_Side(given, with_before) for with_before in (False, True))
    table = cut_scores(given.ruler)

    def left(changed: Floats) -> float:
        codes = given.ruler.codes(changed)
        score = np.where(codes == MISSING, 0.0, table[np.minimum(codes, table.size - 1)])
        figures = np.concatenate([level.figures(score), since.figures(score)[:1]])
        return float(np.max(np.abs(figures) / given.limits))

    shifts = [left(given.values - amount * given.deviation) for amount in _SHIFTS]
    scales = [left(given.values / factor) for factor in _FACTORS]
    best_shift, best_scale = int(np.argmin(shifts)), int(np.argmin(scales))
    if shifts[best_shift] <= scales[best_scale]:
        return Explanation("shift", float(_SHIFTS[best_shift]), shifts[best_shift])
    return Explanation("scale", float(_FACTORS[best_scale]), scales[best_scale])


class _Side:
    """Figures of one feature beside the others, with or without the bars before, as a function of its scores.

    The prediction stays what it is whatever is done to the feature, so two columns are enough: feature and prediction.
    """

    def __init__(self, given: Suspect, with_before: bool) -> None:
        columns = given.basis.columns(given.beside, with_before=with_before)
        own = given.basis.own(given.beside, with_before=with_before)
        j = int(np.flatnonzero(np.flatnonzero(given.beside) == given.position)[0])
        fitted = fit_adjustment(given.usual.only(columns), own)
        others = -fitted.weights[j]
        others[j] = 0.0
        self._predicted = (given.columns[:, columns] - fitted.mean) @ others
        self._usual = Adjustment(
            weights=np.array([[1.0, -1.0]]),
            mean=np.array([fitted.mean[j], 0.0]),
            spread=fitted.spread[[j]],
            variance=fitted.variance[[j]],
        )

    def figures(self, score: Floats) -> Floats:
        """Shift, logarithms of scale and spread, shape (3,)."""
        pair = np.column_stack([score, self._predicted])
        week = Moments(np.array([len(pair)]), pair.mean(axis=0)[None], (pair.T @ pair / len(pair))[None])
        found = deviations(week, self._usual)
        return np.array([found.shift[0, 0], found.log_scale[0, 0], found.log_spread[0, 0]])

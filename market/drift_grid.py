"""A baseline as a ruler: values become codes of some thousand steps, which is exact enough to compare many weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from market.drift import Floats, sorted_quantiles

KNOTS = 4096
MISSING = np.uint16(65535)
FEW_VALUES = 20
"""Up to so many distinct values a feature is a flag or a score, not a measurement."""


@dataclass(frozen=True)
class Ruler:
    """One feature's baseline in `KNOTS` steps of equal share.

    Attributes:
        knots: Values of the baseline, strictly ascending, smallest and largest included, shape (k,), k > 0.
        upto: Share of the baseline at or below each knot, shape (k,), the last one 1.
        is_discrete: The knots are all values there are, and few.
    """

    knots: Floats
    upto: Floats
    is_discrete: bool

    @property
    def is_constant(self) -> bool:
        """The baseline has one value only."""
        return self.knots.size == 1

    def codes(self, values: Floats) -> npt.NDArray[np.uint16]:
        """Step of each value, shape (n,): 0 at or below the first knot, k above the last, `MISSING` for NaN."""
        found = np.searchsorted(self.knots, values).astype(np.uint16)
        found[np.isnan(values)] = MISSING
        return found

    def share(self, value: float) -> float:
        """Share of the baseline that a knot stands for; 0 for another value."""
        at = int(np.searchsorted(self.knots, value))
        if at == self.knots.size or self.knots[at] != value:
            return 0.0
        return float(self.upto[at] - (self.upto[at - 1] if at else 0.0))

    def scores(self) -> Floats:
        """Normal score of each code: the standard normal quantile of its middle rank, shape (k + 1,).

        Centred and scaled to mean 0 and deviation 1 over the baseline where that is possible, so that a shift of 0.3
        means 0.3 deviations of a flag as of a measurement.
        """
        reached = np.append(self.upto, 1.0)
        before = np.concatenate(([0.0], reached[:-1]))
        tail = 1 / (4 * KNOTS)
        scores = ndtri(np.clip((before + reached) / 2, tail, 1 - tail))
        share = reached - before
        mean = float(share @ scores)
        deviation = float(np.sqrt(share @ np.square(scores - mean)))
        standard: Floats = (scores - mean) / deviation if deviation > 0 else np.zeros_like(scores)
        return standard

    def magnitudes(self) -> Floats:
        """Absolute value that stands for each code, shape (k + 1,)."""
        found: Floats = np.abs(np.append(self.knots, self.knots[-1]))
        return found


def ruler(values: Floats) -> Ruler:
    """The ruler of a sorted baseline, shape (n,), n > 0."""
    levels = np.linspace(0, 1, KNOTS + 1)
    # the nearest value rather than one between two: a flag has nothing between 0 and 1
    knots = np.unique(values[np.round(levels * (values.size - 1)).astype(np.intp)])
    upto = np.searchsorted(values, knots, side="right") / values.size
    below = np.searchsorted(values, knots, side="left") / values.size
    is_discrete = knots.size <= FEW_VALUES and bool(np.isclose((upto - below).sum(), 1.0, atol=0.5 / values.size))
    return Ruler(knots, upto, is_discrete)


def median_magnitude(values: Floats) -> float:
    """Median of the absolute values of a non-empty sample."""
    return float(sorted_quantiles(np.sort(np.abs(values)), np.array([0.5]))[0])

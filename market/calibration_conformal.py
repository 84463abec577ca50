"""Split-conformal sets of directions: which outcomes cannot be excluded at a promised coverage.

A set holds every direction whose probability is not unusually low compared with what the model gave to directions that
came true before. If later rows are like earlier ones, the set holds the truth at least as often as promised, whatever
the model is worth; a model that knows little pays with sets of both directions. (Vovk, Gammerman and Shafer, 2005.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from market.errors import MetricError
from market.outcomes import checked_outcomes


@dataclass(frozen=True)
class ConformalSets:
    """Which directions stay possible, bool arrays of shape (n,)."""

    up: npt.NDArray[np.bool_]
    down: npt.NDArray[np.bool_]

    @property
    def decided(self) -> npt.NDArray[np.bool_]:
        """Rows whose set holds one direction only."""
        return self.up ^ self.down

    def holds(self, actual: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Whether each set holds the direction that came true (0 or 1)."""
        held: npt.NDArray[np.bool_] = np.where(np.asarray(actual) == 1, self.up, self.down)
        return held


def conformal_limit(actual: npt.NDArray[Any], probability: npt.NDArray[Any], *, level: float) -> float:
    """Lowest probability of a direction that stays in the set.

    The ceil((n + 1) x level)-th smallest of 1 - probability of the direction that came true, subtracted from 1; 0
    (every direction stays) when n is too small for the level.

    Args:
        actual: 0 or 1, shape (n,), n > 0: rows that were known before those the sets are for.
        probability: Of UP, in [0, 1], shape (n,).
        level: Promised coverage, in (0, 1).

    Raises:
        MetricError: Empty, missing or ill-shaped input, or a level outside (0, 1).
    """
    truth, p = checked_outcomes(actual, probability)
    if not 0 < level < 1:
        raise MetricError(f"level {level} must lie in (0, 1)")
    rank = int(np.ceil((truth.size + 1) * level))
    if rank > truth.size:
        return 0.0
    given_to_truth = np.where(truth == 1, p, 1 - p)
    return float(np.partition(given_to_truth, truth.size - rank)[truth.size - rank])


def conformal_sets(probability: npt.NDArray[Any], limit: float | npt.NDArray[Any]) -> ConformalSets:
    """The sets of new rows: a direction stays when its probability is at least `limit`.

    Args:
        probability: Of UP, in [0, 1], shape (n,).
        limit: From `conformal_limit` of earlier rows; one for all rows or one for each.
    """
    p = np.asarray(probability, dtype=np.float64)
    return ConformalSets(up=p >= limit, down=1 - p >= limit)

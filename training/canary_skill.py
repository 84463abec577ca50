"""Whether predicted directions know something: a one-sided test against the base rate, clustered by date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from market.errors import MetricError
from market.statistics import clustered_standard_error


@dataclass(frozen=True)
class SkillTest:
    """Predicted directions beside what happened; percent and percentage points.

    Attributes:
        rows: Predictions.
        dates: Distinct dates among them.
        accuracy: Share right.
        base_rate: Share of the more frequent direction among the same rows.
        by_chance: What the same mix of predictions scores on the same mix of directions without knowing of it: the base
            rate of a guess made beforehand.
        excess: `accuracy` - `by_chance`.
        standard_error: Of `excess`, clustered by date.
        p_value: One-sided, of an excess so large without knowledge.
    """

    rows: int
    dates: int
    accuracy: float
    base_rate: float
    by_chance: float
    excess: float
    standard_error: float
    p_value: float


def directional_skill(
    predicted_up: NDArray[np.bool_],
    actual_up: NDArray[np.bool_],
    dates: NDArray[np.datetime64],
    groups: NDArray[np.intp] | None = None,
) -> SkillTest:
    """Test whether predictions beat the base rate of their rows.

    Which direction was the more frequent one is known only afterwards: its share lies above 1/2 by luck alone, and a
    guess made beforehand cannot name it. So the accuracy is compared with what the same mix of predictions scores
    without knowledge, the sum over directions of P(predicted) x P(actual): always guessing one direction scores its
    share and has no skill. This is the test of directional accuracy of Pesaran and Timmermann (1992). Its statistic,
    the covariance of both directions, has mean zero without knowledge whatever the mixes are, so the level holds. The
    standard error is clustered by date, the reference distribution Student's t with one degree less than dates.

    Args:
        predicted_up: Predicted directions, shape (n,), n > 0.
        actual_up: What happened, shape (n,).
        dates: Date of each row, shape (n,).
        groups: Small integers (n,): groups, such as symbols, whose mixes of directions a prediction may honestly know;
            chance is then computed inside each. None: one group.

    Raises:
        MetricError: Empty or ill-shaped input.
    """
    if not predicted_up.size or not predicted_up.shape == actual_up.shape == dates.shape:
        raise MetricError(
            f"predicted {predicted_up.shape}, actual {actual_up.shape} and dates {dates.shape} must be of one length "
            "and not empty"
        )
    predicted, actual = np.where(predicted_up, 0.5, -0.5), np.where(actual_up, 0.5, -0.5)
    group = np.zeros(predicted.size, dtype=np.intp) if groups is None else groups
    # With directions as +-1/2, the share right is 1/2 + 2 x mean(predicted x actual).
    product = 2.0 * _centred(predicted, group) * _centred(actual, group)
    accuracy = float((predicted_up == actual_up).mean())
    share_up = float(actual_up.mean())
    base_rate = max(share_up, 1.0 - share_up)
    excess = float(product.mean())
    date_count = np.unique(dates).size
    standard_error = clustered_standard_error(product, dates)
    p_value = 1.0
    if 0.0 < standard_error < np.inf:
        p_value = float(stdtr(date_count - 1, -excess / standard_error))
    return SkillTest(
        rows=int(predicted.size),
        dates=int(date_count),
        accuracy=100 * accuracy,
        base_rate=100 * base_rate,
        by_chance=100 * (accuracy - excess),
        excess=100 * excess,
        standard_error=100 * standard_error,
        p_value=p_value,
    )


def _centred(values: NDArray[np.float64], groups: NDArray[np.intp]) -> NDArray[np.float64]:
    counts = np.bincount(groups)
    means = np.bincount(groups, values) / np.maximum(counts, 1)
    centred: NDArray[np.float64] = values - means[groups]
    return centred

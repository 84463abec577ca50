"""What every function of outcomes and probabilities asks of its input, in one place."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from market.errors import MetricError


def checked_outcomes(
    actual: npt.NDArray[Any], probability: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Outcomes and probabilities of UP as floats.

    Args:
        actual: 0 or 1, shape (n,), n > 0.
        probability: In [0, 1], shape (n,).

    Raises:
        MetricError: Empty or ill-shaped input, an outcome other than 0 and 1, or a probability outside [0, 1].
    """
    truth = np.asarray(actual, dtype=np.float64)
    p = np.asarray(probability, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != p.shape or not truth.size:
        raise MetricError(
            f"actual {truth.shape} and probability {p.shape} must be one-dimensional, of one length and not empty"
        )
    if not ((truth == 0) | (truth == 1)).all():
        raise MetricError("actual directions must be 0 or 1", remedy="drop rows whose label is not known yet")
    if not ((p >= 0) & (p <= 1)).all():
        raise MetricError("probabilities must lie in [0, 1]", remedy="drop rows without a prediction")
    return truth, p

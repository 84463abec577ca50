"""Maps from a model's probability to one that means what it says, as plain numbers.

Every map is non-decreasing and stays in [0, 1], so it changes how sure a model sounds and never the order of its
predictions. It is fitted on out-of-sample predictions with known outcomes, never on rows that it is judged by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, isotonic_regression
from scipy.special import expit, logit

from market.errors import MetricError
from market.outcomes import checked_outcomes

FloatArray = npt.NDArray[np.float64]

EDGE: Final = 1e-6
"""Probabilities are taken at least this far from 0 and 1 before their log-odds are formed."""

_MAX_STEPS: Final = 100
_CONVERGED: Final = 1e-12


@dataclass(frozen=True)
class Platt:
    """A straight line on the log-odds: sigmoid(slope x logit(p) + intercept). Slope 1 and intercept 0 change nothing.

    Attributes:
        slope: 0 or more; below 1 the model was too sure, 0 says it knows nothing.
        intercept: In log-odds.
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        """Refuse a line that would turn the order of predictions around."""
        if not (0 <= self.slope < np.inf and np.isfinite(self.intercept)):
            raise MetricError(f"slope {self.slope} and intercept {self.intercept} make no calibration")

    def apply(self, probability: npt.NDArray[Any]) -> FloatArray:
        """Calibrated probabilities, same shape.

        Raises:
            MetricError: A probability is NaN or outside [0, 1].
        """
        calibrated: FloatArray = expit(self.slope * _log_odds(_checked(probability)) + self.intercept)
        return calibrated


@dataclass(frozen=True)
class Isotonic:
    """A non-decreasing line through knots; constant before the first and after the last.

    Attributes:
        x: Probabilities of the model, strictly rising.
        y: Calibrated probabilities, non-decreasing, as many.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse knots that are no non-decreasing map into [0, 1]."""
        x, y = np.asarray(self.x), np.asarray(self.y)
        rising = x.size == y.size > 0 and (np.diff(x) > 0).all() and (np.diff(y) >= 0).all()
        if not (rising and 0 <= x[0] <= x[-1] <= 1 and 0 <= y[0] <= y[-1] <= 1):
            raise MetricError(f"{x.size} knots x and {y.size} knots y are no non-decreasing map into [0, 1]")

    def apply(self, probability: npt.NDArray[Any]) -> FloatArray:
        """Calibrated probabilities, same shape.

        Raises:
            MetricError: A probability is NaN or outside [0, 1].
        """
        calibrated: FloatArray = np.interp(_checked(probability), self.x, self.y)
        return calibrated


Calibrator = Platt | Isotonic


def fit_platt(actual: npt.NDArray[Any], probability: npt.NDArray[Any]) -> Platt:
    """Maximum likelihood of slope and intercept by Newton's method.

    The targets are Platt's: (ups + 1) / (ups + 2) for UP and 1 / (downs + 2) for DOWN, which keeps the line finite
    where the rows are separable. A negative slope (the model's order is wrong on these rows) becomes 0, the best line
    that does not turn predictions around: the share of UP for everyone. (Platt, 1999; Lin, Lin and Weng, 2007.)

    Args:
        actual: 0 or 1, shape (n,), n > 0.
        probability: The model's, in [0, 1], shape (n,).

    Raises:
        MetricError: Empty, missing or ill-shaped input, or no convergence.
    """
    truth, p = checked_outcomes(actual, probability)
    ups = float(truth.sum())
    target = np.where(truth == 1, (ups + 1) / (ups + 2), 1 / (truth.size - ups + 2))
    scores = _log_odds(p)
    level = float(logit(target.mean()))
    centre = float(scores.mean())
    spread = float(scores.std())
    # without spread a slope cannot be told from the intercept
    if spread <= _CONVERGED * max(1.0, abs(centre)):
        return Platt(0.0, level)
    slope, offset = _newton((scores - centre) / spread, target, level)
    if slope <= 0:
        return Platt(0.0, level)
    return Platt(slope / spread, offset - slope * centre / spread)


def fit_slope(actual: npt.NDArray[Any], probability: npt.NDArray[Any], *, days: int, deviation: float) -> Platt:
    """A slope through the mean log-odds that is drawn towards 1, and no shift of the level.

    How often bars rise differs from one stretch of the market to the next, so a level learned on earlier folds is wrong
    on later ones; how sure a model may be lasts longer. The slope maximises
    days / n x log-likelihood - (slope - 1)^2 / (2 deviation^2): symbols of one date move together, so the rows of a
    date count as one row, and without much evidence nothing changes. (The mode under a normal prior and a tempered
    likelihood.)

    Args:
        actual: 0 or 1, shape (n,), n > 0.
        probability: The model's, in [0, 1], shape (n,).
        days: Distinct dates among the rows, 1 to n.
        deviation: Standard deviation of the slope around 1 before any row was seen, positive.

    Raises:
        MetricError: Empty, missing or ill-shaped input, or `days` or `deviation` out of range.
    """
    truth, p = checked_outcomes(actual, probability)
    if not (1 <= days <= truth.size and deviation > 0):
        raise MetricError(f"{days} days of {truth.size} rows and deviation {deviation} are out of range")
    scores = _log_odds(p)
    centre = float(scores.mean())
    distance, weight = scores - centre, days / truth.size

    def pull(slope: float) -> float:
        """Derivative of the negative log-posterior; it rises with the slope."""
        residual = expit(centre + slope * distance) - truth
        return weight * float(residual @ distance) + (slope - 1) / deviation**2

    if pull(0.0) >= 0:
        return Platt(0.0, centre)
    high = 2.0
    while pull(high) < 0:
        high *= 2
    slope = float(brentq(pull, 0.0, high, xtol=1e-12))
    return Platt(slope, centre * (1 - slope))


def fit_isotonic(actual: npt.NDArray[Any], probability: npt.NDArray[Any]) -> Isotonic:
    """Least squares over all non-decreasing maps (pool adjacent violators), linear between the pooled blocks.

    Args:
        actual: 0 or 1, shape (n,), n > 0.
        probability: The model's, in [0, 1], shape (n,); equal ones get one calibrated probability.

    Returns:
        The knots where the map changes: of every block only its ends.

    Raises:
        MetricError: Empty, missing or ill-shaped input.
    """
    truth, p = checked_outcomes(actual, probability)
    x, group = np.unique(p, return_inverse=True)
    rows = np.bincount(group)
    pooled = isotonic_regression(np.bincount(group, truth) / rows, weights=rows).x
    # rounding in the pooled means must not push a probability out of [0, 1] nor two equal blocks apart
    y = np.maximum.accumulate(np.clip(pooled, 0, 1))
    same_as_before = np.concatenate(([False], y[1:] == y[:-1]))
    same_as_after = np.concatenate((y[1:] == y[:-1], [False]))
    knots = ~(same_as_before & same_as_after)
    return Isotonic(tuple(x[knots].tolist()), tuple(y[knots].tolist()))


def _newton(scores: FloatArray, target: FloatArray, level: float) -> tuple[float, float]:
    """Slope and offset of the logistic regression of fractional targets on standardised scores."""
    beta = np.array([0.0, level])
    loss = _cross_entropy(beta, scores, target)
    for _ in range(_MAX_STEPS):
        fitted = expit(beta[0] * scores + beta[1])
        residual, weight = fitted - target, fitted * (1 - fitted)
        gradient = np.array([residual @ scores, residual.sum()])
        if np.abs(gradient).max() <= _CONVERGED * target.size:
            return float(beta[0]), float(beta[1])
        cross = float(weight @ scores)
        curvature = np.array([[weight @ np.square(scores), cross], [cross, weight.sum()]])
        step = np.linalg.solve(curvature + _CONVERGED * np.eye(2), gradient)
        # the loss is convex: halving the step ends, and rounding alone can stop it at the minimum
        while (after := _cross_entropy(beta - step, scores, target)) > loss and np.abs(step).max() > _CONVERGED:
            step = step / 2
        if np.abs(step).max() <= _CONVERGED:
            return float(beta[0]), float(beta[1])
        beta, loss = beta - step, after
    raise MetricError("the calibration line did not converge", remedy="set calibration.method to isotonic or none")


def _cross_entropy(beta: FloatArray, scores: FloatArray, target: FloatArray) -> float:
    line = beta[0] * scores + beta[1]
    return float((np.logaddexp(0, line) - target * line).sum())


def _log_odds(probability: FloatArray) -> FloatArray:
    odds: FloatArray = logit(np.clip(probability, EDGE, 1 - EDGE))
    return odds


def _checked(probability: npt.NDArray[Any]) -> FloatArray:
    p = np.asarray(probability, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise MetricError("probabilities must lie in [0, 1]", remedy="drop rows without a prediction")
    return p

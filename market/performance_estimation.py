"""How accurate are predictions whose outcomes nobody knows yet? An estimate from calibrated probabilities.

A calibrated model that says UP with probability p is right with probability max(p, 1 - p) about the direction it
predicts, so the mean of that over rows is the accuracy to expect of them, before any outcome is known. (Guillory et
al., "Predicting with confidence on unseen distributions", 2021; Bialek, Kuberski, Perrakis and Bifet, "Estimating model
performance under covariate shift without labels", 2024, who call it confidence-based performance estimation, CBPE.)
It sees a model that becomes unsure. It cannot see a model that stays sure and becomes wrong: that takes outcomes
(`market.sequential`).

How far such estimates lay from what then happened is measured on days whose outcomes are known, the day being the unit:
beyond the chance of each outcome, days have an error of their own that more rows do not remove.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from market.errors import MetricError
from market.sequential import Bools, DaySums, Floats, day_scores


@dataclass(frozen=True)
class EstimateErrors:
    """How realised accuracy differed from its estimate on days whose outcomes are known; shares 0-1.

    Attributes:
        estimated: Mean estimate over rows.
        realised: Share of rows that were right.
        day_deviation: Standard deviation of a day's error beyond the chance of its outcomes.
        days: Days behind it.
    """

    estimated: float
    realised: float
    day_deviation: float
    days: int

    @property
    def bias(self) -> float:
        """Realised minus estimated."""
        return self.realised - self.estimated


@dataclass(frozen=True)
class Estimate:
    """Accuracy to expect of rows without outcomes; shares 0-1.

    Attributes:
        expected: Mean of max(p, 1 - p).
        low: Lower end of the interval for the accuracy that will be realised, corrected by the bias of earlier
            estimates.
        high: Upper end, likewise.
        rows: Rows without outcomes.
    """

    expected: float
    low: float
    high: float
    rows: int


def confidence(probability: npt.NDArray[Any]) -> Floats:
    """Probability that the predicted direction is right: max(p, 1 - p), same shape.

    Raises:
        MetricError: A probability is NaN or outside [0, 1].
    """
    p = np.asarray(probability, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise MetricError("probabilities must lie in [0, 1]", remedy="drop rows without a prediction")
    sure: Floats = np.maximum(p, 1 - p)
    return sure


def estimate_errors(confidences: DaySums, hits: Floats) -> EstimateErrors:
    """Compare estimates with outcomes, day by day.

    The mean squared error of a day of n rows has expectation b + sum of q (1 - q) / n^2, with q the confidences; b, the
    variance of the days' own errors, is the mean excess over that, after the mean error was taken out.

    Args:
        confidences: Of rows with known outcomes, one series, shape (days,), at least two days.
        hits: Right predictions of each day, shape (days,).

    Raises:
        MetricError: Fewer than two days, or another number of hits.
    """
    rows, count = confidences.rows, confidences.rows.size
    if count < 2 or confidences.rows.ndim != 1 or hits.shape != confidences.rows.shape:
        raise MetricError(f"hits {hits.shape} and confidences {confidences.rows.shape} need two days and one shape")
    estimated, realised = confidences.total.sum() / rows.sum(), hits.sum() / rows.sum()
    errors = (hits - confidences.total) / rows - (realised - estimated)
    by_chance = (confidences.total - confidences.squares) / rows**2
    own = (np.square(errors).sum() * count / (count - 1) - by_chance.sum()) / count
    return EstimateErrors(float(estimated), float(realised), float(np.sqrt(max(own, 0.0))), count)


def estimate_accuracy(confidences: DaySums, errors: EstimateErrors, *, level: float = 0.95) -> Estimate:
    """Accuracy to expect of rows without outcomes, with an interval for what will be realised.

    The variance of the realised accuracy is sum of q (1 - q) / N^2 (outcomes by chance) + b x sum over days of
    (n / N)^2 (the days' own errors) + b / (days of `errors`) (the bias is an estimate); the quantile is Student's with
    days - 1 degrees of freedom.

    Args:
        confidences: Of rows without outcomes, one series, shape (days,), at least one day.
        errors: Of earlier days.
        level: Coverage, in (0, 1).

    Raises:
        MetricError: No day, or a level outside (0, 1).
    """
    if confidences.rows.ndim != 1 or not confidences.rows.size or not 0 < level < 1:
        raise MetricError(f"no estimate from days {confidences.rows.shape} at level {level}")
    rows = float(confidences.rows.sum())
    expected = float(confidences.total.sum()) / rows
    by_chance = float((confidences.total - confidences.squares).sum()) / rows**2
    by_day = errors.day_deviation**2 * (float(np.square(confidences.rows).sum()) / rows**2 + 1 / errors.days)
    margin = float(stdtrit(errors.days - 1, (1 + level) / 2)) * float(np.sqrt(max(by_chance, 0.0) + by_day))
    centre = expected + errors.bias
    return Estimate(expected, max(0.0, centre - margin), min(1.0, centre + margin), int(rows))


RAISE_DAYS: Final = 2
CLEAR_DAYS: Final = 5


@dataclass(frozen=True)
class Falls:
    """Which monitored days' estimates were low, and whether an alarm stood after each; shape (..., monitored days)."""

    scores: Floats
    low: Bools
    raised: Bools


def confidence_falls(confidences: DaySums, start: int, *, deviations: float, edge_loss: float) -> Falls:
    """Watch the daily estimates for a fall, day by day, without any outcome.

    A day is low when its estimate lies `deviations` below the reference days' (see `market.sequential.day_scores`) and
    has lost the share `edge_loss` of what they had above one half. An alarm begins with the second low day in a row and
    ends with the fifth day in a row that is not low. Estimates resemble those of the day before (features do), so no
    sum over days is taken: how far one day lies out does not depend on how long such days last.

    Args:
        confidences: Reference days, then monitored days, with or without outcomes.
        start: Number of reference days, at least 2.
        deviations: Positive.
        edge_loss: In (0, 1].

    Raises:
        MetricError: A parameter out of range.
    """
    if not 2 <= start <= confidences.rows.shape[-1] or not deviations > 0 or not 0 < edge_loss <= 1:
        raise MetricError(f"{start} reference days, {deviations} deviations and edge loss {edge_loss} are no test")
    rows, total, squares = confidences.as_series()
    reference = np.broadcast_to(np.arange(rows.shape[1]) < start, rows.shape)
    scores = day_scores(rows, total, squares, reference)[:, start:]
    baseline = total[:, :start].sum(axis=1, keepdims=True) / rows[:, :start].sum(axis=1, keepdims=True)
    lost = 1 - edge_left(total[:, start:] / rows[:, start:], baseline)
    low = (scores <= -deviations) & (lost >= edge_loss)
    shape = (*confidences.rows.shape[:-1], low.shape[1])
    return Falls(scores.reshape(shape), low.reshape(shape), _alarms(low).reshape(shape))


def edge_left(value: Floats, baseline: Floats) -> Floats:
    """Share of the baseline's distance above one half that a value keeps; 1 where the baseline has none."""
    edge = np.asarray(baseline) - 0.5
    return np.divide(
        value - 0.5, edge, out=np.ones(np.broadcast_shapes(np.shape(value), np.shape(edge))), where=edge > 0
    )


def _alarms(low: Bools) -> Bools:
    """Alarms of many series after each day."""
    raised = np.zeros_like(low)
    stands = np.zeros(low.shape[0], dtype=np.bool_)
    lows, highs = (np.zeros(low.shape[0], dtype=np.int64) for _ in range(2))
    for day in range(low.shape[1]):
        lows = np.where(low[:, day], lows + 1, 0)
        highs = np.where(low[:, day], 0, highs + 1)
        stands = (stands & (highs < CLEAR_DAYS)) | (lows >= RAISE_DAYS)
        raised[:, day] = stands
    return raised

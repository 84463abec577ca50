"""What the figures show, computed: rows with a label, calibration bins, months and Wilson's interval."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from market.calibration import reliability_table
from market.statistics import wilson_interval

FloatArray = npt.NDArray[np.float64]
DateArray = npt.NDArray[np.datetime64]


def known(
    actual: npt.ArrayLike, probability: npt.ArrayLike, splits: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.str_]]:
    """Labels, probabilities and split names (none when not given) of the rows whose label is known."""
    labels = np.asarray(actual, dtype=np.float64)
    kept = ~np.isnan(labels)
    names = np.empty(0, dtype=np.str_) if splits is None else np.asarray(splits, dtype=np.str_)[kept]
    return labels[kept], np.asarray(probability, dtype=np.float64)[kept], names


def span(values: FloatArray) -> tuple[float, float]:
    """Range of probabilities with a margin, inside [0, 1] and never empty."""
    if len(values) == 0:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = max(0.05 * (high - low), 0.01)
    return max(0.0, low - margin), min(1.0, high + margin)


def reliability(labels: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean probability, share of up bars and its interval in bins of equal counts; equal probabilities share a bin."""
    table = reliability_table(labels, scores)
    below, above = wilson(np.rint(table.up_share * table.rows), table.rows.astype(np.float64))
    return table.mean_probability, table.up_share, below, above


def by_month(
    dates: DateArray, labels: FloatArray, scores: FloatArray
) -> tuple[DateArray, FloatArray, FloatArray, FloatArray]:
    """Months in order with their rows, correct directions and up bars."""
    months, place = np.unique(dates.astype("datetime64[M]"), return_inverse=True)
    correct = (scores >= 0.5) == (labels == 1)
    rows, hits, ups = (_sums(place, weights, len(months)) for weights in (np.ones_like(labels), correct, labels))
    return months, rows, hits, ups


def _sums(place: npt.NDArray[np.intp], weights: npt.ArrayLike, size: int) -> FloatArray:
    """Sum of the weights at each place 0 … size − 1."""
    return np.bincount(place, weights=np.asarray(weights, dtype=np.float64), minlength=size).astype(np.float64)


def wilson(successes: FloatArray, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ends of Wilson's 95% interval of each share; `rows` are positive."""
    found = [wilson_interval(int(hits), int(count)) for hits, count in zip(successes, rows, strict=True)]
    return np.array([interval.low for interval in found]), np.array([interval.high for interval in found])

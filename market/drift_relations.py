"""Which feature left its usual place beside the others: regression-adjusted variables over weeks.

A market that falls moves thirty features at once; a feed that breaks moves one. So a feature is compared with what the
other features of the same bars say it should be (Hawkins, Multivariate quality control based on regression-adjusted
variables, Technometrics 33, 1991): the mean of the difference tells a shift, the slope of the feature against the
prediction a change of scale, the spread of the difference noise. Everything follows from each week's first
and second moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market.drift import Floats

RIDGE = 1e-3
"""Added to the variance of every column (near 1): columns that are sums of each other have no inverse."""
_LEAST_VARIANCE = 1e-4
_LEAST_SLOPE = 0.05
_SLOPE_PRIOR = 0.05
"""Variance of a prediction that says as much as the presumption that the slope is what it was."""


@dataclass(frozen=True)
class Moments:
    """First and second moments of w weeks: `rows` (w,), `mean` (w, k), `second` (w, k, k)."""

    rows: npt.NDArray[np.int64]
    mean: Floats
    second: Floats

    def only(self, columns: npt.NDArray[np.intp]) -> Moments:
        """Some columns."""
        return Moments(self.rows, self.mean[:, columns], self.second[:, columns[:, None], columns])

    def take(self, weeks: npt.NDArray[np.bool_]) -> Moments:
        """Some weeks."""
        return Moments(self.rows[weeks], self.mean[weeks], self.second[weeks])


@dataclass(frozen=True)
class Adjustment:
    """How each of p features, the first p of k columns, follows from the other columns.

    Attributes:
        weights: (p, k); row f times the columns is feature f minus what the others predict.
        mean: (k,) usual mean of the columns.
        spread: (p,) usual deviation of the differences.
        variance: (p,) usual variance of the features.
    """

    weights: Floats
    mean: Floats
    spread: Floats
    variance: Floats


@dataclass(frozen=True)
class Deviations:
    """What differs from the usual relation, (w, p) each.

    Attributes:
        shift: Mean difference from the prediction, in deviations of the feature.
        log_scale: Logarithm of the slope of the feature against its prediction.
        log_spread: Logarithm of the spread of the differences, as a part of the feature's, against the usual part.
    """

    shift: Floats
    log_scale: Floats
    log_spread: Floats


def fit_adjustment(moments: Moments, own: npt.NDArray[np.bool_]) -> Adjustment:
    """Regress every feature on all columns that are not its own, weeks weighted by their rows.

    Args:
        moments: Of w weeks with k columns, the first p of them the features.
        own: Columns made of a feature itself, which may not predict it, shape (p, k).
    """
    weight = moments.rows / moments.rows.sum()
    mean = weight @ moments.mean
    covariance = np.tensordot(weight, moments.second, 1) - np.outer(mean, mean)
    inverse = np.linalg.inv(covariance + RIDGE * np.eye(mean.size))
    weights = np.zeros(own.shape)
    for f in range(len(own)):
        without = np.flatnonzero(own[f])
        row = inverse[f]
        if without.size:
            # the inverse without some columns (Schur complement), rather than an inversion for every feature
            row = row - inverse[f, without] @ np.linalg.solve(inverse[np.ix_(without, without)], inverse[without])
        weights[f] = row / row[f]
        weights[f, without] = 0.0
    left = np.einsum("fi,ij,fj->f", weights, covariance, weights, optimize=True)
    return Adjustment(
        weights=weights,
        mean=mean,
        spread=np.sqrt(np.maximum(left, _LEAST_VARIANCE)),
        variance=np.maximum(np.diag(covariance)[: len(own)], _LEAST_VARIANCE),
    )


def deviations(moments: Moments, usual: Adjustment) -> Deviations:
    """How far each week lies from the usual relation."""
    count = len(usual.weights)
    covariance = moments.second - moments.mean[:, :, None] * moments.mean[:, None, :]
    crossed = usual.weights @ covariance  # of each difference with each column, (w, p, k)
    left = np.maximum(np.einsum("wfk,fk->wf", crossed, usual.weights), 0.0)
    variance = np.einsum("wff->wf", covariance[:, :count, :count])
    with_feature = np.einsum("wff->wf", crossed[:, :, :count])
    explained = np.maximum(variance - 2 * with_feature + left, 0.0)
    slope = (variance - with_feature + _SLOPE_PRIOR) / (explained + _SLOPE_PRIOR)
    wilder = np.log(np.maximum(variance, _LEAST_VARIANCE) / usual.variance)
    return Deviations(
        shift=(moments.mean - usual.mean) @ usual.weights.T,
        log_scale=np.log(np.maximum(slope, _LEAST_SLOPE)),
        log_spread=0.5 * (np.log(np.maximum(left, _LEAST_VARIANCE) / np.square(usual.spread)) - wilder),
    )


def cross_fitted(moments: Moments, block: npt.NDArray[np.intp], own: npt.NDArray[np.bool_]) -> Deviations:
    """Deviations of every week from a relation fitted without its own block of weeks, which it would explain too well.

    Args:
        moments: Of w weeks.
        block: Number of the block of each week, shape (w,), at least two different ones.
        own: As in `fit_adjustment`.
    """
    shape = (len(moments.rows), len(own))
    found = Deviations(np.empty(shape), np.empty(shape), np.empty(shape))
    whole = _sums(moments)
    for number in np.unique(block):
        is_own = block == number
        weeks = moments.take(is_own)
        (rows, mean, second), (own_rows, own_mean, own_second) = whole, _sums(weeks)
        left = rows - own_rows
        others = Moments(left, (mean - own_mean) / left, (second - own_second) / left)
        of_block = deviations(weeks, fit_adjustment(others, own))
        for name in ("shift", "log_scale", "log_spread"):
            getattr(found, name)[is_own] = getattr(of_block, name)
    return found


def _sums(moments: Moments) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Rows, sums and sums of products of all weeks together, as of one week."""
    return (
        moments.rows.sum(keepdims=True),
        (moments.rows @ moments.mean)[None],
        np.tensordot(moments.rows, moments.second, 1)[None],
    )

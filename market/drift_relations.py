"""Which feature left its usual place beside the others: regression-adjusted variables over weeks.

A market that falls moves thirty features at once; a feed that breaks moves one. So a feature is compared with what the
other features of the same bars say it should be (Hawkins, Multivariate quality control based on regression-adjusted
variables, Technometrics 33, 1991): the mean of the difference tells a shift, the variance against the one that the
others lead to expect a change of scale, the spread of the difference noise. Everything follows from each week's first
and second moments of normal scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market.drift import Floats

RIDGE = 5e-3
"""Added to the variance of every normal score (1): features that are sums of each other have no inverse."""


@dataclass(frozen=True)
class Moments:
    """First and second moments of w weeks: `rows` (w,), `mean` (w, p), `second` (w, p, p)."""

    rows: npt.NDArray[np.int64]
    mean: Floats
    second: Floats

    def only(self, features: npt.NDArray[np.intp]) -> Moments:
        """Some features."""
        return Moments(self.rows, self.mean[:, features], self.second[:, features][:, :, features])


@dataclass(frozen=True)
class Adjustment:
    """How each of p features follows from the others, k columns being those features and maybe more.

    Attributes:
        weights: (p, k); row f times the scores is feature f minus what the others predict.
        mean: (k,) usual mean of the scores.
        spread: (p,) usual deviation of the differences.
        explained: (p,) usual variance of the predictions.
        variance: (p,) usual variance of the features.
    """

    weights: Floats
    mean: Floats
    spread: Floats
    explained: Floats
    variance: Floats

    @property
    def explained_share(self) -> Floats:
        """Share of each feature's variance that the others account for, 0-1."""
        return np.clip(1 - np.square(self.spread) / self.variance, 0.0, 1.0)


@dataclass(frozen=True)
class Deviations:
    """What differs from the usual relation, (w, p) each.

    Attributes:
        shift: Mean difference from the prediction, in deviations of the feature.
        log_scale: Logarithm of the deviation against the one to expect: a wild week is wild in all features, so it
            follows the predictions' as far as they explain the feature.
        log_spread: Logarithm of the spread of the differences, as a part of the feature's, against the usual part.
    """

    shift: Floats
    log_scale: Floats
    log_spread: Floats


def fit_adjustment(moments: Moments, features: int | None = None) -> Adjustment:
    """Regress every feature on all others, weeks weighted by their rows.

    Args:
        moments: Of w weeks with k columns.
        features: p, when the columns are p features and then the same features before the week (k = 2p): each feature
            is regressed on its own value before, too.
    """
    weight = moments.rows / moments.rows.sum()
    mean = weight @ moments.mean
    covariance = np.tensordot(weight, moments.second, 1) - np.outer(mean, mean)
    count = mean.size if features is None else features
    weights = np.zeros((count, mean.size))
    if features is None:
        inverse = np.linalg.inv(covariance + RIDGE * np.eye(count))
        weights[:] = inverse / np.diag(inverse)[:, None]
    else:
        for f in range(count):
            used = np.append(np.arange(count), count + f)
            row = np.linalg.inv(covariance[np.ix_(used, used)] + RIDGE * np.eye(count + 1))[f]
            weights[f, used] = row / row[f]
    return Adjustment(
        weights=weights,
        mean=mean,
        spread=np.sqrt(np.maximum(_variance(weights, covariance[None])[0], RIDGE)),
        explained=np.maximum(_variance(np.eye(*weights.shape) - weights, covariance[None])[0], RIDGE),
        variance=np.maximum(np.diag(covariance)[:count], RIDGE),
    )


def deviations(moments: Moments, usual: Adjustment) -> Deviations:
    """How far each week lies from the usual relation."""
    covariance = moments.second - np.einsum("wi,wj->wij", moments.mean, moments.mean)
    prediction = np.eye(*usual.weights.shape) - usual.weights
    explained = np.maximum(_variance(prediction, covariance), RIDGE)
    variance = np.maximum(np.einsum("wff->wf", covariance)[:, : len(usual.weights)], RIDGE)
    left = np.maximum(_variance(usual.weights, covariance), RIDGE * RIDGE)
    wilder = np.log(variance / usual.variance)
    return Deviations(
        shift=(moments.mean - usual.mean) @ usual.weights.T,
        log_scale=0.5 * (wilder - usual.explained_share * np.log(explained / usual.explained)),
        log_spread=0.5 * (np.log(left / np.square(usual.spread)) - wilder),
    )


def _variance(weights: Floats, covariance: Floats) -> Floats:
    """Variance of each weighted sum in each week, (w, f); never negative."""
    found: Floats = np.maximum(np.einsum("fi,wij,fj->wf", weights, covariance, weights, optimize=True), 0.0)
    return found


def cross_fitted(moments: Moments, block: npt.NDArray[np.intp], features: int | None = None) -> Deviations:
    """Deviations of every week from a relation fitted without its own block of weeks, which it would explain too well.

    Args:
        moments: Of w weeks.
        block: Number of the block of each week, shape (w,), at least two different ones.
        features: As in `fit_adjustment`.
    """
    shape = (len(moments.rows), moments.mean.shape[1] if features is None else features)
    found = Deviations(np.empty(shape), np.empty(shape), np.empty(shape))
    for number in np.unique(block):
        own = block == number
        usual = fit_adjustment(Moments(moments.rows[~own], moments.mean[~own], moments.second[~own]), features)
        of_block = deviations(Moments(moments.rows[own], moments.mean[own], moments.second[own]), usual)
        for name in ("shift", "log_scale", "log_spread"):
            getattr(found, name)[own] = getattr(of_block, name)
    return found

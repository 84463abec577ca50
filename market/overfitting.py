"""What the best of many tries is worth: Sharpe ratios deflated for the number of trials.

Conventions, the same everywhere here: a Sharpe ratio is the mean of the returns over their sample deviation (ddof 1),
per period and not annualised, without a risk-free rate. Skewness and kurtosis are the plain moment ratios (divisor n);
kurtosis is not in excess, a normal distribution has 3. Returns are finite; NaN is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from market.errors import MetricError

EULER_MASCHERONI: Final = 0.5772156649015329
NORMAL_KURTOSIS: Final = 3.0


@dataclass(frozen=True)
class ReturnShape:
    """What the probabilistic Sharpe ratio needs to know of a series of returns.

    Attributes:
        sharpe: Per period.
        observations: Number of returns.
        skewness: 0 for a symmetric distribution.
        kurtosis: 3 for a normal distribution.
    """

    sharpe: float
    observations: int
    skewness: float = 0.0
    kurtosis: float = NORMAL_KURTOSIS

    @classmethod
    def of(cls, returns: npt.NDArray[Any]) -> ReturnShape | None:
        """Measured on returns of shape (n,); None where the Sharpe ratio is not defined."""
        values = _checked_returns(returns)
        sharpe = sharpe_ratio(values)
        if sharpe is None:
            return None
        centred = values - values.mean()
        variance = float(np.square(centred).mean())
        return cls(
            sharpe=sharpe,
            observations=values.size,
            skewness=float((centred**3).mean()) / variance**1.5,
            kurtosis=float((centred**4).mean()) / variance**2,
        )


def sharpe_ratio(returns: npt.NDArray[Any], *, periods_per_year: float = 1.0) -> float | None:
    """Mean over sample deviation (ddof 1), times sqrt(periods_per_year).

    Args:
        returns: Returns per period, shape (n,), n > 0, any unit.
        periods_per_year: 1 leaves the ratio per period; 252 or 365 annualises daily returns.

    Returns:
        The ratio; None with fewer than two returns or without any variation.

    Raises:
        MetricError: Empty, missing or ill-shaped returns, or `periods_per_year` not positive.
    """
    values = _checked_returns(returns)
    if not periods_per_year > 0:
        raise MetricError(f"periods_per_year {periods_per_year} must be positive")
    if values.size < 2 or np.ptp(values) == 0:
        return None
    return float(values.mean() / values.std(ddof=1) * math.sqrt(periods_per_year))


def probabilistic_sharpe_ratio(shape: ReturnShape, *, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds a benchmark.

    Phi[(SR - benchmark) x sqrt(n - 1) / sqrt(1 - skewness x SR + (kurtosis - 1) / 4 x SR^2)]. (Bailey and Lopez de
    Prado, 2012, "The Sharpe Ratio Efficient Frontier".)

    Args:
        shape: Sharpe ratio per period, length, skewness and kurtosis of the returns.
        benchmark: Sharpe ratio per period to exceed.

    Returns:
        A probability, 0-1.

    Raises:
        MetricError: Fewer than two observations, or moments that no distribution has.
    """
    if shape.observations < 2:
        raise MetricError(f"{shape.observations} returns tell nothing about a Sharpe ratio", remedy="give at least two")
    spread = 1 - shape.skewness * shape.sharpe + (shape.kurtosis - 1) / 4 * shape.sharpe**2
    if not spread > 0:
        raise MetricError(
            f"skewness {shape.skewness} and kurtosis {shape.kurtosis} at Sharpe ratio {shape.sharpe} have no variance",
            remedy="kurtosis is not in excess here (3 for a normal distribution) and at least 1 + skewness squared",
        )
    return float(ndtr((shape.sharpe - benchmark) * math.sqrt((shape.observations - 1) / spread)))


def expected_maximum_sharpe(trials: int, variance: float) -> float:
    """Sharpe ratio to expect of the best of so many trials without any skill.

    sqrt(variance) x ((1 - g) x Phi^-1[1 - 1 / N] + g x Phi^-1[1 - 1 / (N e)]) with g the Euler-Mascheroni constant.
    (Bailey and Lopez de Prado, 2014, "The Deflated Sharpe Ratio", equation 1 for a mean of 0.)

    Args:
        trials: Number of independent trials, N >= 1; nothing was chosen from one trial, which gives 0.
        variance: Variance of the Sharpe ratios (per period) over the trials.

    Raises:
        MetricError: No trial, or a negative variance.
    """
    if trials < 1 or not variance >= 0:
        raise MetricError(f"{trials} trials with variance {variance} have no expected maximum")
    if trials == 1:
        return 0.0
    quantiles = ndtri([1 - 1 / trials, 1 - 1 / (trials * math.e)])
    standardised = (1 - EULER_MASCHERONI) * quantiles[0] + EULER_MASCHERONI * quantiles[1]
    return float(math.sqrt(variance) * standardised)


def deflated_sharpe_ratio(shape: ReturnShape, *, trials: int, variance: float) -> float:
    """Probability that the true Sharpe ratio is positive, given that it is the best of so many trials.

    The probabilistic Sharpe ratio against the expected maximum of skill-less trials. (Bailey and Lopez de Prado, 2014.)

    Args:
        shape: Of the returns of the chosen trial.
        trials: Number of trials it was chosen from, itself included.
        variance: Variance of the Sharpe ratios (per period) over the trials; see `trial_variance`.

    Returns:
        A probability, 0-1; 0.95 and more is what the authors ask for.

    Raises:
        MetricError: As `probabilistic_sharpe_ratio` and `expected_maximum_sharpe`.
    """
    return probabilistic_sharpe_ratio(shape, benchmark=expected_maximum_sharpe(trials, variance))


def trial_variance(sharpes: npt.NDArray[Any], observations: int) -> float:
    """Variance of Sharpe ratios (per period) over trials, never below what chance alone gives.

    The Sharpe ratio of n returns without skill has variance 1 / (n - 1). Trials that repeat one idea agree more than
    that; taking their small spread would count them as no trials at all, so the larger of both is used.

    Args:
        sharpes: Sharpe ratios of the trials as far as known, shape (k,), k >= 0.
        observations: Returns behind each of them, at least two.

    Raises:
        MetricError: Fewer than two observations, or a ratio that is missing.
    """
    known = np.asarray(sharpes, dtype=np.float64)
    if observations < 2 or not np.isfinite(known).all():
        raise MetricError(f"{observations} returns and Sharpe ratios {known.tolist()} give no variance")
    by_chance = 1 / (observations - 1)
    return max(by_chance, float(known.var(ddof=1))) if known.size > 1 else by_chance


def _checked_returns(returns: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise MetricError(
            f"returns {values.shape} must be one-dimensional, finite and not empty", remedy="drop missing returns"
        )
    return values

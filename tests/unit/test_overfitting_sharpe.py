"""Sharpe ratios deflated for trials: the papers' worked examples, another normal distribution, and simulated luck."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from market.errors import MetricError
from market.overfitting import (
    ReturnShape,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    probabilistic_sharpe_ratio,
    sharpe_ratio,
    trial_variance,
)

# Bailey and Lopez de Prado (2014), section "A numerical example": annualised ratio 2.5 over five years of 250 days,
# variance 1/2 of the annualised ratios of the trials, skewness -3, kurtosis 10.
DAILY = 2.5 / math.sqrt(250)
PAPER = ReturnShape(DAILY, 1250, skewness=-3, kurtosis=10)
PAPER_VARIANCE = 0.5 / 250

normal = NormalDist()


def benchmark(trials: int, variance: float) -> float:
    """Equation 1 of the paper with Python's own normal distribution."""
    gamma = -float(np.euler_gamma) + 1
    first, second = normal.inv_cdf(1 - 1 / trials), normal.inv_cdf(1 - math.exp(-1) / trials)
    return math.sqrt(variance) * (gamma * first + (1 - gamma) * second)


def probability(shape: ReturnShape, over: float) -> float:
    deviation = math.sqrt(
        (1 - shape.skewness * shape.sharpe + (shape.kurtosis - 1) / 4 * shape.sharpe**2) / (shape.observations - 1)
    )
    return normal.cdf((shape.sharpe - over) / deviation)


def test_the_worked_example_of_the_deflated_sharpe_ratio():
    assert round(expected_maximum_sharpe(100, PAPER_VARIANCE), 4) == 0.1132
    assert round(deflated_sharpe_ratio(PAPER, trials=100, variance=PAPER_VARIANCE), 4) == 0.9004
    assert round(deflated_sharpe_ratio(PAPER, trials=46, variance=PAPER_VARIANCE), 4) == 0.9505
    normal_returns = ReturnShape(DAILY, 1250)
    assert round(deflated_sharpe_ratio(normal_returns, trials=88, variance=PAPER_VARIANCE), 4) == 0.9505


def test_the_worked_example_of_the_probabilistic_sharpe_ratio():
    # Bailey and Lopez de Prado (2012): two years of monthly returns at 0.458 a month
    assert round(probabilistic_sharpe_ratio(ReturnShape(0.458, 24)), 3) == 0.982
    assert round(probabilistic_sharpe_ratio(ReturnShape(0.458, 24, skewness=-2.448, kurtosis=10.164)), 3) == 0.913


@settings(deadline=None)
@given(
    trials=st.integers(2, 100_000),
    variance=st.floats(1e-6, 0.1),
    sharpe=st.floats(-0.3, 0.3),
    observations=st.integers(10, 5000),
    skewness=st.floats(-2, 2),
)
def test_it_equals_the_formulas_with_another_normal_distribution(trials, variance, sharpe, observations, skewness):
    shape = ReturnShape(sharpe, observations, skewness, 1.5 + skewness**2)

    assert expected_maximum_sharpe(trials, variance) == pytest.approx(benchmark(trials, variance), abs=1e-9)
    ours = deflated_sharpe_ratio(shape, trials=trials, variance=variance)
    assert ours == pytest.approx(probability(shape, benchmark(trials, variance)), abs=1e-9)


@settings(deadline=None)
@given(trials=st.integers(1, 10_000), more=st.integers(1, 10_000), sharpe=st.floats(-0.2, 0.4))
def test_more_trials_never_make_a_result_more_credible(trials, more, sharpe):
    shape = ReturnShape(sharpe, 500, -0.5, 5)

    few, many = (deflated_sharpe_ratio(shape, trials=count, variance=1 / 499) for count in (trials, trials + more))

    assert many <= few
    assert deflated_sharpe_ratio(shape, trials=1, variance=1 / 499) == probabilistic_sharpe_ratio(shape)


def test_the_best_of_skill_less_trials_is_as_good_as_expected():
    generator = np.random.default_rng(5)
    best = [generator.normal(0, 0.05, 200).max() for _ in range(4000)]

    assert expected_maximum_sharpe(200, 0.05**2) == pytest.approx(np.mean(best), rel=0.02)


def test_luck_alone_is_deflated_to_a_coin():
    generator = np.random.default_rng(6)
    probabilities = []
    for _ in range(300):
        returns = generator.normal(0, 0.01, (250, 40))
        ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
        shape = ReturnShape.of(returns[:, ratios.argmax()])
        assert shape is not None
        probabilities.append(deflated_sharpe_ratio(shape, trials=40, variance=trial_variance(ratios, 250)))

    assert np.median(probabilities) == pytest.approx(0.5, abs=0.08)
    assert np.mean(np.array(probabilities) > 0.95) < 0.03, "the best of forty coins looks skilled more often than that"


def test_shape_and_ratio_are_scipys():
    returns = np.random.default_rng(7).standard_t(5, 400) * 0.01 + 0.001

    shape = ReturnShape.of(returns)

    assert shape is not None
    assert shape.sharpe == pytest.approx(returns.mean() / stats.tstd(returns), rel=1e-12)
    assert shape.skewness == pytest.approx(stats.skew(returns), rel=1e-9)
    assert shape.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-9)
    assert sharpe_ratio(returns, periods_per_year=252) == pytest.approx(shape.sharpe * math.sqrt(252), rel=1e-12)


def test_returns_without_variation_have_no_ratio():
    assert sharpe_ratio(np.array([0.01])) is None
    assert sharpe_ratio(np.full(9, 0.1)) is None
    assert ReturnShape.of(np.full(9, 0.1)) is None


def test_trials_that_repeat_one_idea_still_count():
    assert trial_variance(np.array([0.1, 0.1, 0.1]), 101) == 0.01
    assert trial_variance(np.array([]), 101) == 0.01
    assert trial_variance(np.array([0.5, -0.5]), 101) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sharpe_ratio(np.array([])),
        lambda: sharpe_ratio(np.array([0.1, np.nan])),
        lambda: sharpe_ratio(np.array([0.1, 0.2]), periods_per_year=0),
        lambda: probabilistic_sharpe_ratio(ReturnShape(0.1, 1)),
        lambda: probabilistic_sharpe_ratio(ReturnShape(2.0, 100, skewness=3, kurtosis=0)),
        lambda: expected_maximum_sharpe(0, 0.1),
        lambda: expected_maximum_sharpe(5, -0.1),
        lambda: trial_variance(np.array([np.nan]), 100),
        lambda: trial_variance(np.array([0.1]), 1),
    ],
)
def test_what_has_no_ratio_is_refused(call):
    with pytest.raises(MetricError):
        call()

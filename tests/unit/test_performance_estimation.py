"""Accuracy estimated without outcomes: closed forms, and markets simulated with known probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from market.errors import MetricError
from market.performance_estimation import (
    EstimateErrors,
    confidence,
    confidence_falls,
    edge_left,
    estimate_accuracy,
    estimate_errors,
)
from market.sequential import DaySums


def day_sums(values: np.ndarray) -> DaySums:
    """Sums of values of shape (..., days, rows)."""
    return DaySums(np.full(values.shape[:-1], float(values.shape[-1])), values.sum(-1), np.square(values).sum(-1))


def test_confidence_is_the_probability_of_the_predicted_direction():
    assert confidence(np.array([0.5, 0.7, 0.2, 1.0])).tolist() == [0.5, 0.7, 0.8, 1.0]
    with pytest.raises(MetricError):
        confidence(np.array([0.5, np.nan]))
    with pytest.raises(MetricError):
        confidence(np.array([1.01]))


def test_the_estimate_is_the_mean_confidence():
    known = EstimateErrors(estimated=0.6, realised=0.6, day_deviation=0.0, days=100)
    estimate = estimate_accuracy(day_sums(np.array([[0.6, 0.7, 0.8]])), known)
    assert estimate.expected == pytest.approx(0.7)
    assert estimate.rows == 3


def test_without_errors_of_days_the_interval_is_that_of_independent_outcomes():
    known = EstimateErrors(estimated=0.6, realised=0.6, day_deviation=0.0, days=100)
    estimate = estimate_accuracy(day_sums(np.full((1, 400), 0.6)), known)
    margin = stats.t(99).ppf(0.975) * math.sqrt(0.6 * 0.4 / 400)
    assert (estimate.low, estimate.high) == (pytest.approx(0.6 - margin), pytest.approx(0.6 + margin))


def test_errors_of_days_widen_it_and_more_rows_do_not_help_against_them():
    known = EstimateErrors(estimated=0.6, realised=0.58, day_deviation=0.1, days=50)
    quantile = stats.t(49).ppf(0.975)
    one_day = estimate_accuracy(day_sums(np.full((1, 1_000_000), 0.6)), known)
    four_days = estimate_accuracy(day_sums(np.full((4, 250_000), 0.6)), known)
    assert one_day.high - one_day.low == pytest.approx(2 * quantile * 0.1 * math.sqrt(1 + 1 / 50), rel=1e-3)
    assert four_days.high - four_days.low == pytest.approx(2 * quantile * 0.1 * math.sqrt(1 / 4 + 1 / 50), rel=1e-3)
    assert (one_day.high + one_day.low) / 2 == pytest.approx(0.58)


def test_the_interval_stays_within_what_accuracy_can_be():
    known = EstimateErrors(estimated=0.6, realised=0.6, day_deviation=0.8, days=5)
    estimate = estimate_accuracy(day_sums(np.full((1, 10), 0.6)), known)
    assert (estimate.low, estimate.high) == (0.0, 1.0)


@pytest.mark.parametrize("day_effect", [0.0, 0.1])
def test_estimates_of_calibrated_probabilities_are_right_and_their_interval_covers_what_happens(day_effect):
    """1,000 markets of 100 known days and one unknown one; outcomes drawn by probability, days moving together."""
    generator = np.random.default_rng(3)
    sure = 0.5 + 0.2 * generator.beta(2, 2, size=(1_000, 101, 30))
    shift = day_effect * generator.normal(size=(1_000, 101, 1))
    right = (generator.random(sure.shape) < np.clip(sure + shift, 0, 1)).sum(-1).astype(float)
    covered, deviations = [], []
    for one, hits in zip(sure, right, strict=True):
        errors = estimate_errors(day_sums(one[:100]), hits[:100])
        estimate = estimate_accuracy(day_sums(one[100:]), errors)
        covered.append(estimate.low <= hits[100] / 30 <= estimate.high)
        deviations.append(errors.day_deviation**2)

    assert np.mean(covered) == pytest.approx(0.95, abs=0.025)
    assert np.mean(right[:, 100] / 30) == pytest.approx(sure[:, 100].mean(), abs=0.01)
    assert np.mean(deviations) == pytest.approx(day_effect**2, abs=0.0006)


def test_the_error_of_a_model_that_is_too_sure_is_found_as_bias():
    sure = np.full((500, 100), 0.7)
    hits = np.random.default_rng(4).binomial(100, 0.55, 500).astype(float)
    errors = estimate_errors(day_sums(sure), hits)
    assert errors.estimated == pytest.approx(0.7)
    assert errors.bias == pytest.approx(-0.15, abs=0.01)
    assert errors.day_deviation == pytest.approx(math.sqrt((0.55 * 0.45 - 0.7 * 0.3) / 100), abs=0.01)


def test_a_model_that_becomes_unsure_is_seen_on_the_second_day_and_before_any_outcome():
    generator = np.random.default_rng(5)
    sure = 0.5 + 0.2 * generator.beta(2, 2, size=(50, 280, 200))
    sure[:, 260:] = 0.5 + 0.04 * generator.beta(2, 2, size=(50, 20, 200))

    falls = confidence_falls(day_sums(sure), 250, deviations=5, edge_loss=0.25)

    assert not falls.raised[:, :11].any()
    assert falls.raised[:, 11:].all()


def test_a_model_that_stays_sure_and_becomes_wrong_is_not_seen_which_is_why_outcomes_are_tested_too():
    sure = 0.5 + 0.2 * np.random.default_rng(6).beta(2, 2, size=(20, 300, 200))
    assert not confidence_falls(day_sums(sure), 250, deviations=5, edge_loss=0.25).raised.any()


def test_a_low_day_alone_raises_nothing_and_an_alarm_ends_with_the_fifth_day_that_is_not_low():
    sure = np.full((1, 40, 50), 0.6) + np.random.default_rng(7).normal(0, 0.002, (1, 40, 50))
    for day in (22, 25, 26, 30):
        sure[0, day] -= 0.06
    falls = confidence_falls(day_sums(sure), 20, deviations=5, edge_loss=0.25)
    assert np.flatnonzero(falls.low[0]).tolist() == [2, 5, 6, 10]
    assert np.flatnonzero(falls.raised[0]).tolist() == list(range(6, 15))


def test_a_fall_that_is_clear_but_small_is_not_low():
    sure = np.full((1, 30, 50), 0.6) + np.random.default_rng(8).normal(0, 0.0002, (1, 30, 50))
    sure[0, 25:] -= 0.02
    falls = confidence_falls(day_sums(sure), 20, deviations=5, edge_loss=0.25)
    assert (falls.scores[0, 5:] < -20).all()
    assert not falls.low.any()


def test_unsure_days_that_follow_one_another_raise_no_more_than_one_alarm_in_400_months():
    """1,600 months of estimates that resemble those of the day before (0.9), as those of real features do."""
    generator = np.random.default_rng(9)
    effect = generator.normal(size=(240, 450))
    for day in range(1, 450):
        effect[:, day] = 0.9 * effect[:, day - 1] + math.sqrt(1 - 0.81) * effect[:, day]
    mean = 0.53 + 0.004 * effect
    days = DaySums(np.full(mean.shape, 50.0), 50 * mean, 50 * (mean**2 + 0.02**2))

    raised = confidence_falls(days, 250, deviations=5, edge_loss=0.25).raised

    assert raised.any(axis=1).sum() <= 4


def test_the_share_of_the_edge_that_is_left_is_a_line_through_chance_and_baseline():
    left = edge_left(np.array([0.6, 0.55, 0.5, 0.45]), np.array(0.6))
    assert left.tolist() == pytest.approx([1, 0.5, 0, -0.5])
    assert edge_left(np.array([0.4]), np.array(0.5)).tolist() == [1]


def test_what_cannot_be_estimated_is_refused():
    known = EstimateErrors(estimated=0.6, realised=0.6, day_deviation=0.0, days=100)
    days = day_sums(np.full((3, 4), 0.6))
    with pytest.raises(MetricError):
        estimate_errors(day_sums(np.full((1, 4), 0.6)), np.ones(1))
    with pytest.raises(MetricError):
        estimate_errors(days, np.ones(2))
    with pytest.raises(MetricError):
        estimate_accuracy(DaySums(np.zeros(0), np.zeros(0), np.zeros(0)), known)
    with pytest.raises(MetricError):
        estimate_accuracy(days, known, level=1.0)
    for start, deviations, loss in ((1, 5, 0.5), (4, 5, 0.5), (2, 0, 0.5), (2, 5, 0), (2, 5, 1.5)):
        with pytest.raises(MetricError):
            confidence_falls(days, start, deviations=deviations, edge_loss=loss)

"""Reliability and calibration error against scikit-learn's curve, by hand, and against luck that was simulated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from market.calibration import chance_calibration_error, expected_calibration_error, reliability_table
from market.errors import MetricError


def outcomes(seed: int, count: int = 900, spread: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probability = np.clip(generator.normal(0.52, spread, count), 0, 1)
    return (generator.random(count) < 0.3 + 0.4 * probability).astype(int), probability


@pytest.mark.parametrize(("binning", "strategy"), [("mass", "quantile"), ("width", "uniform")])
@pytest.mark.parametrize("seed", range(4))
def test_bins_are_those_of_scikit_learn_and_the_error_their_weighted_distance(seed, binning, strategy):
    actual, probability = outcomes(seed)
    share, mean = calibration_curve(actual, probability, n_bins=10, strategy=strategy)

    table = reliability_table(actual, probability, binning=binning)

    assert table.up_share == pytest.approx(share, abs=1e-12)
    assert table.mean_probability == pytest.approx(mean, abs=1e-12)
    assert table.rows.sum() == 900
    by_hand = sum(rows / 900 * abs(s - m) for rows, s, m in zip(table.rows, share, mean, strict=True))
    assert expected_calibration_error(actual, probability, binning=binning) == pytest.approx(by_hand, abs=1e-12)


def test_the_error_by_hand():
    # Two bins of equal width: (0.2, 0.4) with outcomes 0, 1 and (0.6, 0.8, 1.0) with 1, 1, 0.
    actual, probability = np.array([0, 1, 1, 1, 0]), np.array([0.2, 0.4, 0.6, 0.8, 1.0])
    error = expected_calibration_error(actual, probability, bins=2, binning="width")

    assert error == pytest.approx(2 / 5 * abs(0.3 - 0.5) + 3 / 5 * abs(0.8 - 2 / 3), abs=1e-15)


def test_equal_widths_hide_what_equal_counts_show_where_probabilities_are_narrow():
    probability = np.tile([0.481, 0.495], 5000)
    actual = np.tile([1, 0], 5000)  # always wrong by half a point of probability that one bin averages away

    assert expected_calibration_error(actual, probability, binning="width") == pytest.approx(0.012, abs=1e-12)
    assert expected_calibration_error(actual, probability) == pytest.approx(0.507, abs=1e-12)


def test_equal_probabilities_share_a_bin_and_one_probability_is_one_bin():
    table = reliability_table(np.array([1, 0, 1, 1]), np.full(4, 0.6))

    assert (table.rows.tolist(), table.up_share.tolist()) == ([4], [0.75])


def test_a_probability_on_an_edge_belongs_to_the_bin_below() -> None:
    table = reliability_table(np.array([1, 0, 1]), np.array([0.5, 0.6, 0.7]), bins=2, binning="width")

    assert table.rows.tolist() == [1, 2]


def test_certain_and_right_has_no_error_certain_and_wrong_has_all():
    truth = np.array([0, 1, 1])

    assert expected_calibration_error(truth, truth.astype(float)) == 0.0
    assert expected_calibration_error(truth, 1.0 - truth) == 1.0


def test_perfect_probabilities_show_the_error_that_chance_gives():
    generator = np.random.default_rng(11)
    probability = generator.uniform(0.4, 0.6, 500)
    found = [expected_calibration_error(generator.random(500) < probability, probability) for _ in range(400)]

    assert chance_calibration_error(probability) == pytest.approx(np.mean(found), rel=0.05)


@settings(deadline=None)
@given(seed=st.integers(0, 500), bins=st.integers(1, 20), binning=st.sampled_from(["mass", "width"]))
def test_the_error_lies_between_nothing_and_all_whatever_the_order_of_rows(seed, bins, binning):
    actual, probability = outcomes(seed, count=60)
    shuffled = np.random.default_rng(seed).permutation(60)

    error = expected_calibration_error(actual, probability, bins=bins, binning=binning)

    assert 0 <= error <= 1
    assert error == pytest.approx(
        expected_calibration_error(actual[shuffled], probability[shuffled], bins=bins, binning=binning), abs=1e-12
    )
    gap = abs(actual.mean() - probability.mean())
    assert error >= gap - 1e-12, "bins can only add to the distance of the means"


def test_no_rows_no_bins_and_unknown_outcomes_are_refused():
    for actual, probability, bins in (([], [], 10), ([1.0], [0.5], 0), ([np.nan], [0.5], 10), ([1.0], [1.5], 10)):
        with pytest.raises(MetricError):
            expected_calibration_error(np.array(actual), np.array(probability), bins=bins)

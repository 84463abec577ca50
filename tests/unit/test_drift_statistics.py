"""Statistics of drift against scipy, numpy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from market.drift import (
    bin_shares,
    kolmogorov_smirnov,
    population_stability,
    sorted_quantiles,
    stability_edges,
    summarize,
)
from market.drift_grid import KNOTS, MISSING, ruler
from market.errors import MetricError

numbers = st.lists(st.integers(-4, 4).map(float) | st.floats(-1e6, 1e6), min_size=1, max_size=40)


@pytest.mark.filterwarnings("ignore:ks_2samp:RuntimeWarning")
@given(numbers, numbers)
def test_small_samples_give_what_scipy_gives(before: list[float], now: list[float]) -> None:
    found = kolmogorov_smirnov(np.sort(before), np.sort(now))
    expected = ks_2samp(before, now)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize(("before", "now"), [(30_000, 700), (20_000, 15_000), (50, 12_000)])
def test_large_samples_with_and_without_ties_give_what_scipy_gives(before: int, now: int, decimals: int) -> None:
    random = np.random.default_rng(before + decimals)
    trained = np.round(random.standard_normal(before), decimals)
    newest = np.round(random.normal(0.03, 1.0, now), decimals)
    found = kolmogorov_smirnov(np.sort(trained), np.sort(newest))
    expected = ks_2samp(trained, newest)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300)


def test_samples_that_do_not_touch_are_one_apart() -> None:
    found = kolmogorov_smirnov(np.arange(20_000.0), np.arange(30_000.0, 30_100.0))
    assert (found.statistic, found.p_value) == (1.0, 0.0)


def test_a_distance_needs_values_on_both_sides() -> None:
    with pytest.raises(MetricError, match="both sides"):
        kolmogorov_smirnov(np.array([1.0]), np.empty(0))


def test_the_index_is_the_sum_over_bins() -> None:
    # (0.3 - 0.5) ln(0.3 / 0.5) + (0.7 - 0.5) ln(0.7 / 0.5)
    assert population_stability(np.array([0.5, 0.5]), np.array([0.3, 0.7])) == pytest.approx(
        0.16945957207744073, abs=1e-12
    )


def test_an_empty_bin_counts_as_one_in_ten_thousand() -> None:
    expected = (1 - 0.5) * np.log(1 / 0.5) + (1e-4 - 0.5) * np.log(1e-4 / 0.5)
    assert population_stability(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == pytest.approx(expected, abs=1e-12)


def test_bins_are_the_baselines_deciles_with_their_upper_edge() -> None:
    values = np.arange(1.0, 101.0)
    edges = stability_edges(values)
    assert edges.tolist() == pytest.approx([10.9, 20.8, 30.7, 40.6, 50.5, 60.4, 70.3, 80.2, 90.1])
    assert bin_shares(values, edges).tolist() == pytest.approx([0.1] * 10)
    assert bin_shares(np.array([10.9, 10.95, 200.0]), edges).tolist() == pytest.approx([1 / 3, 1 / 3, *[0] * 7, 1 / 3])


def test_a_flags_bins_are_its_values_even_when_nearly_all_are_ones() -> None:
    values = np.array([0.0, *[1.0] * 99])
    edges = stability_edges(values, ruler(values).knots)
    assert bin_shares(values, edges).tolist() == pytest.approx([0.01, 0.99])


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=60))
def test_moments_and_quantiles_are_numpys(given_values: list[float]) -> None:
    values = np.sort(given_values)
    found = summarize(values, missing=3)
    scale = max(1.0, float(np.abs(values).max()))
    assert (found.rows, found.missing, found.low, found.high) == (values.size, 3, values[0], values[-1])
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9 * scale)
    assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-9 * scale)
    assert found.quartiles == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]), abs=1e-9 * scale)
    assert found.missing_share == 3 / (values.size + 3)


def test_nothing_is_said_of_no_value_and_no_deviation_of_one() -> None:
    assert summarize(np.empty(0), 4).mean is None
    assert summarize(np.empty(0), 4).missing_share == 1.0
    assert summarize(np.array([2.0])).std is None
    assert summarize(np.array([2.0])).quartiles == (2.0, 2.0, 2.0)


def test_infinite_values_are_refused() -> None:
    with pytest.raises(MetricError, match="infinite"):
        summarize(np.array([1.0, np.inf]))


def test_equal_neighbours_have_their_value_as_quantile() -> None:
    assert sorted_quantiles(np.full(7, 0.1), np.linspace(0, 1, 23)).tolist() == [0.1] * 23


def test_a_ruler_measures_distances_to_one_step() -> None:
    random = np.random.default_rng(4)
    trained, newest = np.sort(random.standard_t(3, 50_000)), random.standard_t(3, 900) + 0.2
    one = ruler(trained)
    codes = one.codes(np.append(newest, np.nan))
    assert codes[-1] == MISSING
    seen = np.cumsum(np.bincount(codes[:-1], minlength=one.knots.size + 1))[:-1] / newest.size
    exact = kolmogorov_smirnov(trained, np.sort(newest)).statistic
    assert np.abs(seen - one.upto).max() == pytest.approx(exact, abs=1 / KNOTS)


def test_normal_scores_of_the_baseline_have_mean_0_and_deviation_1() -> None:
    for values in (np.random.default_rng(1).exponential(size=20_000), np.repeat([0.0, 1.0], [9_900, 100])):
        one = ruler(np.sort(values))
        scores = one.scores()[one.codes(values)]
        assert scores.mean() == pytest.approx(0.0, abs=1e-9)
        assert scores.std() == pytest.approx(1.0, abs=1e-9)


def test_flags_and_scores_are_discrete_and_a_single_value_is_constant() -> None:
    assert ruler(np.repeat([0.0, 25.0, 100.0], [500, 400, 1])).is_discrete
    assert not ruler(np.sort(np.random.default_rng(0).normal(size=100))).is_discrete
    assert ruler(np.full(10, 3.0)).is_constant
    assert ruler(np.full(10, 3.0)).scores().tolist() == [0.0, 0.0]

"""Regimes and relations on literal weeks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from market.drift_regime import relation_changes, trend_shift, volatility_shift

WEEKS = np.array([1.0, 1.5, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(("now", "is_shift"), [(2.0, False), (4.2, False), (4.4, True), (0.94, False), (0.92, True)])
def test_volatility_shifts_beyond_every_week_by_the_margin(now: float, is_shift: bool) -> None:
    # limits: 2 x 2^1.1 = 4.287 above, 2 / 2^1.1 = 0.933 below
    found = volatility_shift(now, WEEKS, margin=0.1)
    assert found.is_shift == is_shift
    assert found.usual == pytest.approx(2.0)
    assert found.limit == pytest.approx(2 * 2**1.1 if now >= 2 else 2 / 2**1.1)


def test_trend_states_are_compared_by_half_the_absolute_difference() -> None:
    weeks = np.array([[0.6, 0.4], [0.4, 0.6]])
    assert trend_shift(np.array([0.6, 0.4]), weeks, 0.1).now == pytest.approx(0.1)
    assert not trend_shift(np.array([0.6, 0.4]), weeks, 0.1).is_shift
    found = trend_shift(np.array([0.7, 0.3]), weeks, 0.1)
    assert (found.now, found.limit, found.is_shift) == (pytest.approx(0.2), pytest.approx(0.11), True)


def test_one_relation_that_turned_round_is_found_and_the_others_are_not() -> None:
    random = np.random.default_rng(3)
    block = np.repeat(np.arange(20), 8)
    usual = random.normal(0, 0.03, (160, 4)) + np.array([0.1, 0.0, -0.1, 0.0])
    recent = random.normal(0, 0.03, (8, 4)) + np.array([-0.1, 0.0, -0.1, 0.0])
    found = relation_changes(recent, usual, block, rate=0.01, least=0.05)
    assert found.changed.tolist() == [True, False, False, False]
    means = usual.reshape(20, 8, 4).mean(axis=1)
    expected = ttest_ind(means, recent.mean(axis=0, keepdims=True)).pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-9)


def test_a_sure_but_small_change_is_none() -> None:
    block = np.repeat(np.arange(20), 8)
    usual = np.random.default_rng(3).normal(0, 0.001, (160, 1))
    found = relation_changes(np.full((8, 1), 0.04), usual, block, rate=0.01, least=0.05)
    assert found.p_value[0] < 1e-9
    assert not found.changed[0]
    assert found.reach[0] == 0.05


def test_what_has_no_outcome_is_not_judged() -> None:
    block = np.repeat(np.arange(4), 2)
    usual = np.column_stack([np.full(8, np.nan), np.zeros(8), np.arange(8.0)])
    found = relation_changes(np.array([[1.0, 1.0, np.nan]]), usual, block, rate=0.01, least=0.05)
    assert np.isnan(found.p_value).all()
    assert not found.changed.any()


def test_false_alarms_stay_within_the_rate_for_many_features() -> None:
    alarms = 0
    block = np.repeat(np.arange(20), 8)
    for seed in range(200):
        random = np.random.default_rng(seed)
        regime = random.normal(0, 0.05, (21, 1, 30))  # eight neighbouring weeks have something in common
        weeks = random.normal(0, 0.05, (21, 8, 30)) + regime
        found = relation_changes(weeks[20], weeks[:20].reshape(160, 30), block, rate=0.05, least=0.01)
        alarms += bool(found.changed.any())
    assert alarms <= 18, "5% of 200, and two standard deviations"

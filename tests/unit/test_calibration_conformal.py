"""Conformal sets hold the truth as often as promised, whatever the model is worth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.calibration_conformal import conformal_limit, conformal_sets
from market.errors import MetricError


def test_the_limit_by_hand():
    # Probabilities of what came true: 0.9, 0.6, 0.7, 0.2; ceil(5 x 0.6) = 3rd smallest score is 1 - 0.6.
    actual, probability = np.array([1, 0, 1, 0]), np.array([0.9, 0.4, 0.7, 0.8])

    assert conformal_limit(actual, probability, level=0.6) == pytest.approx(0.6)
    assert conformal_limit(actual, probability, level=0.8) == pytest.approx(0.2)
    assert conformal_limit(actual, probability, level=0.9) == 0.0, "four rows promise no nine in ten"


def test_a_set_holds_every_direction_that_is_likely_enough():
    sets = conformal_sets(np.array([0.7, 0.5, 0.2]), 0.4)

    assert sets.up.tolist() == [True, True, False]
    assert sets.down.tolist() == [False, True, True]
    assert sets.decided.tolist() == [True, False, True]
    assert sets.holds(np.array([1, 0, 1])).tolist() == [True, True, False]


@pytest.mark.parametrize("level", [0.6, 0.8, 0.9])
@pytest.mark.parametrize("skill", [0.0, 0.5, 1.0, 1.6])
def test_coverage_is_the_promised_one_for_good_bad_and_too_sure_models(level, skill):
    generator = np.random.default_rng(int(10 * level + 100 * skill))
    truth = generator.uniform(0.2, 0.8, 60_000)
    actual = (generator.random(60_000) < truth).astype(int)
    claimed = np.clip(0.5 + skill * (truth - 0.5) + generator.normal(0, 0.01, 60_000), 0, 1)
    limit = conformal_limit(actual[:30_000], claimed[:30_000], level=level)

    held = conformal_sets(claimed[30_000:], limit).holds(actual[30_000:])

    assert held.mean() == pytest.approx(level, abs=0.02)


@settings(deadline=None)
@given(seed=st.integers(0, 300), count=st.integers(1, 60), level=st.floats(0.51, 0.99))
def test_at_least_the_promised_share_of_the_rows_behind_it_is_held(seed, count, level):
    generator = np.random.default_rng(seed)
    actual, probability = generator.integers(0, 2, count), generator.random(count).round(1)

    limit = conformal_limit(actual, probability, level=level)

    held = conformal_sets(probability, limit).holds(actual)
    assert held.sum() >= min(count, np.ceil((count + 1) * level))


def test_senseless_levels_and_unknown_outcomes_are_refused():
    for actual, level in (([1.0], 1.0), ([1.0], 0.0), ([np.nan], 0.8)):
        with pytest.raises(MetricError):
            conformal_limit(np.array(actual), np.array([0.5]), level=level)

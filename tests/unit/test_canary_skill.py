"""Skill beyond the base rate: what counts as knowing, and that chance seldom passes for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from market.errors import MetricError
from training.canary_skill import directional_skill

DAYS = np.arange("2020-01-01", "2022-09-27", dtype="datetime64[D]")


def flags(text: str) -> np.ndarray:
    return np.array([letter == "U" for letter in text])


def test_eight_predictions_counted_by_hand() -> None:
    skill = directional_skill(flags("UUUUDDDD"), flags("UUUDDDUD"), DAYS[:8])
    assert (skill.rows, skill.dates) == (8, 8)
    assert skill.accuracy == 75.0
    assert skill.base_rate == 50.0
    assert skill.by_chance == 50.0
    assert skill.excess == 25.0
    # products of centred directions are six times +1/2 and twice -1/2: sum of squared residuals 1.5, 8/7 for 8 dates
    assert skill.standard_error == pytest.approx(100 * np.sqrt(8 / 7 * 1.5) / 8, rel=1e-12)
    assert skill.p_value == pytest.approx(0.0852, abs=0.001)


def test_always_guessing_the_frequent_direction_is_no_skill() -> None:
    actual = np.arange(1000) % 12 == 0
    skill = directional_skill(np.zeros(1000, bool), actual, DAYS[:1000])
    assert skill.accuracy == skill.base_rate == pytest.approx(91.6)
    assert (skill.excess, skill.p_value) == (0.0, 1.0)


def test_knowledge_counts_where_always_guessing_the_frequent_direction_would_score_more() -> None:
    """Nine of ten fall; half of the rises are called, and as many falls wrongly."""
    actual = np.tile(flags("UDDDDDDDDD"), 100)
    predicted = np.tile(flags("UDDDDDDDDD" + "DUDDDDDDDD"), 50)
    skill = directional_skill(predicted, actual, DAYS)
    assert (skill.accuracy, skill.base_rate) == (90.0, 90.0)
    assert skill.by_chance == pytest.approx(82.0)
    assert skill.p_value < 1e-6


def test_knowing_wrongly_is_not_skill() -> None:
    up = np.arange(1000) % 2 == 0
    predicted = np.where(np.arange(1000) % 5 == 0, up, ~up)
    assert directional_skill(predicted, up, DAYS).p_value == pytest.approx(1.0)


def test_one_date_proves_nothing() -> None:
    day = np.repeat(DAYS[:1], 100)
    up = np.arange(100) % 2 == 0
    assert directional_skill(up, up, day).p_value == 1.0


def test_outcomes_that_share_their_dates_prove_less() -> None:
    random = np.random.default_rng(4)
    up = random.random(1000) < 0.5
    predicted = np.where(random.random(1000) < 0.55, up, ~up)
    alone = directional_skill(predicted, up, DAYS)
    crowd = directional_skill(np.repeat(predicted, 9), np.repeat(up, 9), np.repeat(DAYS, 9))
    assert crowd.excess == pytest.approx(alone.excess)
    assert crowd.standard_error == pytest.approx(alone.standard_error)
    assert crowd.rows == 9000


def test_knowing_each_symbols_mix_is_skill_only_where_symbols_are_not_told_apart() -> None:
    random = np.random.default_rng(5)
    symbol = np.repeat([0, 1], 500)
    up = random.random(1000) < np.where(symbol == 0, 0.6, 0.4)
    dates = np.tile(DAYS[:500], 2)
    predicted = symbol == 0
    assert directional_skill(predicted, up, dates).p_value < 1e-6
    told_apart = directional_skill(predicted, up, dates, symbol)
    assert (told_apart.excess, told_apart.p_value) == (0.0, 1.0)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 20)), min_size=2, max_size=80))
@settings(max_examples=100, deadline=None)
def test_the_excess_is_the_accuracy_over_independent_mixes_in_any_order(rows: list[tuple[bool, bool, int]]) -> None:
    predicted, actual, day = (np.array(column) for column in zip(*rows, strict=True))
    skill = directional_skill(predicted, actual, DAYS[day])
    q, p = predicted.mean(), actual.mean()
    assert skill.by_chance == pytest.approx(100 * (q * p + (1 - q) * (1 - p)), abs=1e-9)
    assert skill.accuracy == pytest.approx(100 * (predicted == actual).mean())
    back = directional_skill(predicted[::-1], actual[::-1], DAYS[day][::-1])
    assert back.excess == pytest.approx(skill.excess, abs=1e-9)
    assert back.standard_error == pytest.approx(skill.standard_error, abs=1e-9)


def test_coins_pass_for_skill_no_more_often_than_the_level_says() -> None:
    """Coins that share a factor by date, predicted by a rule that leans on what happened last."""
    random = np.random.default_rng(6)
    level, trials, symbols, days = 0.01, 1500, 6, 150
    dates = np.repeat(DAYS[:days], symbols)
    failures = 0
    for _ in range(trials):
        shared = np.sqrt(0.3) * random.standard_normal((days, 1))
        up = shared + np.sqrt(0.7) * random.standard_normal((days, symbols)) < 0
        lean = np.roll(up, 1, axis=0) ^ (np.roll(up, 1, axis=0).mean(axis=1, keepdims=True) > 0.7)
        failures += directional_skill(lean.ravel(), up.ravel(), dates).p_value <= level
    assert failures <= binom.ppf(0.999, trials, level)


def test_ill_shaped_input_is_refused() -> None:
    with pytest.raises(MetricError, match="must be of one length and not empty"):
        directional_skill(flags("UD"), flags("U"), DAYS[:2])
    with pytest.raises(MetricError):
        directional_skill(flags(""), flags(""), DAYS[:0])

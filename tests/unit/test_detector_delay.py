"""All detectors together, the 7-day rule included, on simulated markets of three classes with weekends."""

from __future__ import annotations

import numpy as np
import pytest

from bench import detector_delay as bench
from bench.detector_worlds import REFERENCE, WORLDS, Days, simulate
from configs.settings import load_settings
from market.sequential import DaySums


@pytest.fixture(scope="module")
def settings():
    return load_settings("test")


def together(settings, days: Days, *, leave_out: str = "") -> np.ndarray:
    return np.logical_or.reduce([one(days) for name, one in bench.detectors(settings).items() if name != leave_out])


def test_a_fall_from_60_to_50_percent_is_seen_within_10_days_in_at_least_95_of_100_seeds(settings):
    days = simulate(REFERENCE, 100, bench.BASELINE + bench.GOOD + 10, seed=1, decay="wrong", bad_from=270)
    raised = together(settings, days)
    assert not raised[:, : bench.GOOD].any()
    assert (bench.delays(raised) <= 10).sum() >= 95


def test_without_decay_all_together_raise_at_most_one_false_alarm_in_100_months(settings):
    """60 series of 250 days: 20 of crypto (30 days a month), 40 of stocks and ETFs (21): about 640 months."""
    days = simulate(REFERENCE, 60, bench.BASELINE + bench.CLEAN_DAYS, seed=2)
    assert bench.begins(together(settings, days)) <= 6


def test_where_the_market_moves_all_symbols_our_own_tests_keep_their_promise(settings):
    """The 7-day rule does not: it takes a bad week of the market for decay, which is told in the documentation."""
    days = simulate(WORLDS[3], 30, bench.BASELINE + bench.CLEAN_DAYS, seed=3)
    assert bench.begins(together(settings, days, leave_out="rolling_7d_accuracy")) <= 2
    assert bench.begins(bench.detectors(settings)["rolling_7d_accuracy"](days)) > 50


def test_the_choice_of_symbols_is_seen_through_a_market_that_hides_accuracy(settings):
    days = simulate(WORLDS[3], 20, bench.BASELINE + bench.GOOD + 30, seed=4, decay="wrong", bad_from=270)
    own = bench.detectors(settings)
    assert np.median(bench.delays(own["selection_sequential"](days))) <= 15
    assert np.median(bench.delays(own["accuracy_sequential"](days))) > 30


def calendar_days(right: list[float], rows: float = 200.0) -> Days:
    """One crypto series whose last days had so many right predictions."""
    total = np.array([right])
    sums = DaySums(np.full(total.shape, rows), total, total)
    return Days(sums, sums, sums, sums)


@pytest.mark.parametrize(("recent", "raised"), [(102, False), (101, True)])
def test_the_rule_of_seven_days_is_the_users_at_the_edge(settings, monkeypatch, recent, raised):
    """85% of 120 of 200 right is 102 of 200."""
    monkeypatch.setattr(bench, "BASELINE", 36)
    days = calendar_days([120.0] * 30 + [float(recent)] * 7)
    assert bench.seven_day_rule(settings, days).tolist() == [[raised]]


def test_sessions_leave_out_weekends():
    (sessions, stocks), (every_day, crypto) = bench.kinds(9, 12)
    assert sessions.tolist() == [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 14, 15]
    assert every_day.tolist() == list(range(12))
    assert (stocks, crypto) == (slice(0, 6), slice(6, 9))


def test_a_delay_counts_bad_days_and_alarms_are_counted_where_they_begin():
    raised = np.zeros((2, bench.GOOD + 5), dtype=bool)
    raised[0, bench.GOOD + 2 :] = True
    raised[1, 3:5] = True
    assert bench.delays(raised).tolist() == [3.0, float("inf")]
    assert bench.begins(raised) == 2

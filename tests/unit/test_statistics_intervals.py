"""Intervals and standard errors against closed forms, other libraries and simulated truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from market.errors import MetricError
from market.statistics import Interval, block_bootstrap_accuracy_ci, clustered_standard_error, wilson_interval

SETTINGS = {"samples": 500, "block_days": 5, "seed": 3}


def dates(count: int) -> np.ndarray:
    return np.datetime64("2023-01-01") + np.arange(count)


def test_the_interval_is_in_percent_and_holds_the_accuracy():
    correct = np.tile([True, True, True, False], 50)

    interval = block_bootstrap_accuracy_ci(correct, dates(200), **SETTINGS)

    assert 60 < interval.low < 75 < interval.high < 90


def test_the_same_seed_gives_the_same_interval_whatever_the_order_of_rows():
    generator = np.random.default_rng(1)
    correct, days = generator.random(300) < 0.55, np.repeat(dates(100), 3)
    shuffled = generator.permutation(300)

    first = block_bootstrap_accuracy_ci(correct, days, **SETTINGS)

    assert block_bootstrap_accuracy_ci(correct, days, **SETTINGS) == first
    assert block_bootstrap_accuracy_ci(correct[shuffled], days[shuffled], **SETTINGS) == first
    assert block_bootstrap_accuracy_ci(correct, days, **(SETTINGS | {"seed": 4})) != first


def test_blocks_of_one_day_with_one_outcome_each_are_the_plain_bootstrap():
    correct = np.random.default_rng(2).random(400) < 0.6
    share = correct.mean()

    interval = block_bootstrap_accuracy_ci(correct, dates(400), samples=20_000, block_days=1, seed=1)

    low, high = stats.binom(400, share).ppf([0.025, 0.975]) / 4
    assert interval.low == pytest.approx(low, abs=0.3) and interval.high == pytest.approx(high, abs=0.3)


def test_a_block_bootstrap_by_plain_loops_gives_the_same_spread():
    generator = np.random.default_rng(5)
    days = generator.integers(0, 60, 500)
    correct = generator.random(500) < 0.4 + 0.3 * (days // 10 % 2)
    distinct = np.unique(days)
    means = []
    for _ in range(1500):
        chosen = []
        while len(chosen) < distinct.size:
            start = generator.integers(distinct.size)
            chosen += [distinct[(start + i) % distinct.size] for i in range(7)]
        rows = [correct[days == day] for day in chosen[: distinct.size]]
        means.append(100 * np.concatenate(rows).mean())

    interval = block_bootstrap_accuracy_ci(correct, days, samples=10_000, block_days=7, seed=1)

    low, high = np.quantile(means, [0.025, 0.975])
    assert interval.low == pytest.approx(low, abs=0.7) and interval.high == pytest.approx(high, abs=0.7)


def test_outcomes_that_share_a_date_count_as_one():
    by_date = np.random.default_rng(6).random(80) < 0.5
    alone = block_bootstrap_accuracy_ci(by_date, dates(80), **SETTINGS)

    copied = block_bootstrap_accuracy_ci(np.repeat(by_date, 20), np.repeat(dates(80), 20), **SETTINGS)

    assert copied == alone  # twenty copies of each day make nothing surer


def test_runs_of_good_and_bad_days_widen_the_interval():
    correct = np.repeat(np.random.default_rng(7).random(40) < 0.5, 10)  # ten days alike

    blocks = block_bootstrap_accuracy_ci(correct, dates(400), samples=2000, block_days=20, seed=1)
    single = block_bootstrap_accuracy_ci(correct, dates(400), samples=2000, block_days=1, seed=1)

    assert blocks.high - blocks.low > 2 * (single.high - single.low)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    generator = np.random.default_rng(8)
    days = np.repeat(dates(120), 4)
    held = 0
    for trial in range(300):
        day_effect = np.repeat(generator.choice([-0.1, 0.1], 120), 4)  # symbols move together within a day
        correct = generator.random(480) < 0.55 + day_effect
        interval = block_bootstrap_accuracy_ci(correct, days, samples=300, block_days=5, seed=trial)
        held += interval.low <= 55 <= interval.high

    assert 0.90 <= held / 300 <= 0.985


def test_every_sample_holds_as_many_dates_as_there_are():
    correct, parameters = np.array([1, 0, 1, 0, 0]), {"samples": 1, "block_days": 2}

    drawn = {block_bootstrap_accuracy_ci(correct, dates(5), seed=seed, **parameters).low for seed in range(60)}

    assert {20.0, 40.0, 60.0} <= drawn <= {0.0, 20.0, 40.0, 60.0, 80.0, 100.0}  # fifths only


def test_all_right_or_all_wrong_leaves_no_room():
    assert block_bootstrap_accuracy_ci(np.ones(30), dates(30), **SETTINGS) == Interval(100, 100)
    assert block_bootstrap_accuracy_ci(np.zeros(30), dates(30), **SETTINGS) == Interval(0, 0)


def test_one_date_tells_nothing_and_few_dates_are_still_resampled():
    assert block_bootstrap_accuracy_ci(np.array([1, 1, 0]), np.repeat(dates(1), 3), **SETTINGS) == Interval(0, 100)
    few = block_bootstrap_accuracy_ci(np.array([1, 0, 1]), dates(3), **(SETTINGS | {"block_days": 50}))
    assert few.low < 200 / 3 < few.high


@pytest.mark.parametrize(
    ("values", "days", "changes"),
    [
        ([], [], {}),
        ([1.0, np.nan], dates(2), {}),
        ([1.0, 0.0], dates(3), {}),
        ([1.0, 0.0], np.array(["2023-01-01", "NaT"], dtype="datetime64[D]"), {}),
        ([1.0, 0.0], dates(2), {"samples": 0}),
        ([1.0, 0.0], dates(2), {"block_days": 0}),
        ([1.0, 0.0], dates(2), {"level": 1.0}),
    ],
)
def test_missing_values_and_senseless_parameters_are_refused(values, days, changes):
    with pytest.raises(MetricError):
        block_bootstrap_accuracy_ci(np.array(values), np.array(days), **(SETTINGS | changes))


def test_clustered_by_single_rows_it_is_the_ordinary_standard_error():
    values = np.random.default_rng(9).normal(3, 2, 50)

    assert clustered_standard_error(values, dates(50)) == pytest.approx(stats.sem(values), rel=1e-12)


def test_it_equals_the_sandwich_written_out():
    values, days = np.array([1.0, 2.0, 4.0, 7.0, 1.0]), np.array([1, 1, 2, 3, 3])
    # mean 3; residuals by date: (-2 - 1) = -3, 1, (4 - 2) = 2; 3 / 2 x (9 + 1 + 4) = 21

    assert clustered_standard_error(values, days) == pytest.approx(np.sqrt(21) / 5, rel=1e-12)


def test_it_finds_the_spread_of_means_over_repeated_draws():
    generator = np.random.default_rng(10)
    days = np.arange(400) % 40
    draws = [generator.normal(0, 1, 40)[days] + generator.normal(0, 1, 400) for _ in range(800)]

    estimated = np.mean([clustered_standard_error(values, days) for values in draws])

    assert estimated == pytest.approx(np.std([values.mean() for values in draws]), rel=0.06)
    assert estimated > 2 * np.mean([stats.sem(values) for values in draws])


def test_one_date_has_no_standard_error():
    assert clustered_standard_error(np.array([1.0, 2.0]), np.repeat(dates(1), 2)) == float("inf")


@given(trials=st.integers(1, 5000), data=st.data(), level=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_equals_scipy(trials, data, level):
    successes = data.draw(st.integers(0, trials))

    ours = wilson_interval(successes, trials, level=level)

    theirs = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert (ours.low, ours.high) == (pytest.approx(theirs.low, abs=1e-12), pytest.approx(theirs.high, abs=1e-12))
    assert 0 <= ours.low <= successes / trials <= ours.high <= 1


def test_wilson_by_hand():
    interval = wilson_interval(8, 10)

    assert (round(interval.low, 4), round(interval.high, 4)) == (0.4902, 0.9433)


@pytest.mark.parametrize(("successes", "trials", "level"), [(1, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 0.0)])
def test_wilson_refuses_counts_that_cannot_be(successes, trials, level):
    with pytest.raises(MetricError):
        wilson_interval(successes, trials, level=level)

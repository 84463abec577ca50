"""The sequential test of days: against a plain slow twin, its promise on simulated markets, and what it must not do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from market.errors import MetricError
from market.sequential import SHIFTS, STAKE, DaySums, day_deviations, day_scores, log_bets, watch

THRESHOLD = 12_000.0


def hit_days(
    accuracy: np.ndarray, rows: int, generator: np.random.Generator, *, day_effect: float = 0.0, memory: float = 0.0
) -> DaySums:
    """Hits of `rows` predictions a day; a day's own effect moves them all, and lasts with `memory`."""
    noise = generator.normal(size=accuracy.shape)
    effect = noise.copy()
    for day in range(1, accuracy.shape[-1]):
        effect[..., day] = memory * effect[..., day - 1] + math.sqrt(1 - memory**2) * noise[..., day]
    right = generator.binomial(rows, np.clip(accuracy + day_effect * effect, 0, 1)).astype(float)
    return DaySums(np.full(right.shape, float(rows)), right, right)


def decay(seeds: int, reference: int, good: int, bad: int) -> np.ndarray:
    """60% accuracy, then 50%."""
    return np.tile(np.where(np.arange(reference + good + bad) < reference + good, 0.6, 0.5), (seeds, 1))


def slow_twin(days: DaySums, start: int, threshold: float) -> list[tuple[float, bool]]:
    """One series, low is worse, before the end of the first alarm, from the definitions with plain loops."""
    means = [t / n for t, n in zip(days.total, days.rows, strict=True)]
    cusums = [1.0] * len(SHIFTS)
    said: list[tuple[float, bool]] = []
    for day in range(start, len(means)):
        bag = range(day + 1)
        n = [days.rows[i] for i in bag]
        mean = sum(days.total[i] for i in bag) / sum(n)
        within = sum(days.squares[i] - days.total[i] ** 2 / days.rows[i] for i in bag) / (sum(n) - len(n))
        q = sum(days.rows[i] * (means[i] - mean) ** 2 for i in bag)
        between = max(0.0, (q - (len(n) - 1) * within) / (sum(n) - sum(x * x for x in n) / sum(n)))
        score = [(means[i] - mean) / math.sqrt(between + within / days.rows[i]) for i in bag]
        rank, count = sum(one <= score[day] for one in score), len(score)
        for i, shift in enumerate(SHIFTS):
            until, before = (stats.norm.cdf(stats.norm.ppf(r / count) + shift) for r in (rank, rank - 1))
            cusums[i] = max(1.0, cusums[i]) * (1 - STAKE + STAKE * count * (until - before))
        statistic = sum(cusums) / len(cusums)
        said.append((math.log(statistic), statistic >= threshold))
        if statistic >= threshold:
            break
    return said


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_until_its_first_alarm_it_says_what_the_definitions_say(seed):
    generator = np.random.default_rng(seed)
    rows = generator.integers(20, 60, 100).astype(float)
    right = generator.binomial(rows.astype(int), np.where(np.arange(100) < 70, 0.62, 0.40)).astype(float)
    days = DaySums(rows, right, right)

    seen = watch(days, 50, threshold=300, worse="low")
    twin = slow_twin(days, 50, 300)

    assert twin[-1][1], "the slow twin must see the change as well, or nothing is compared"
    assert seen.evidence[: len(twin)].tolist() == pytest.approx([one for one, _ in twin], abs=1e-9)
    assert seen.raised[: len(twin)].tolist() == [one for _, one in twin]


@pytest.mark.parametrize("count", [2, 31, 251])
def test_a_bet_pays_one_on_average_over_all_ranks_and_more_for_worse_ones(count):
    paid = np.exp(log_bets(np.arange(1, count + 1), np.full(count, count)))

    assert paid.mean(axis=0).tolist() == pytest.approx([1.0] * len(SHIFTS), abs=1e-12)
    assert (np.diff(paid, axis=0) < 0).all()
    assert (paid > 1 - STAKE).all()


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_rank_pays_the_mean_of_the_likelihood_ratio_over_its_p_values(shift):
    rank, count = 3, 40
    low, high = (stats.norm.ppf(r / count) for r in (rank - 1, rank))
    mean, _ = integrate.quad(lambda z: stats.norm.pdf(z, -shift) / stats.norm.pdf(z) * stats.norm.pdf(z), low, high)
    paid = math.exp(log_bets(np.array([rank]), np.array([count]))[0, SHIFTS.index(shift)])
    assert paid == pytest.approx(1 - STAKE + STAKE * count * mean)


def test_scores_are_distances_in_standard_deviations_of_a_day():
    generator = np.random.default_rng(4)
    days = hit_days(np.full((1, 20_000), 0.55), 25, generator, day_effect=0.1)
    scores = day_scores(days.rows, days.total, days.squares, np.ones((1, 20_000), dtype=bool))
    expected = math.sqrt(0.1**2 + (0.55 * 0.45 - 0.1**2) / 25)

    assert scores.std() == pytest.approx(1, abs=0.02)
    assert (days.total / days.rows).std() == pytest.approx(expected, rel=0.02)


def test_the_deviation_of_a_days_mean_is_what_days_show_whatever_their_size():
    generator = np.random.default_rng(14)
    rows = np.where(np.arange(40_000) % 2, 10.0, 200.0)
    right = generator.binomial(rows.astype(int), np.clip(0.6 + generator.normal(0, 0.08, rows.size), 0, 1)).astype(
        float
    )
    deviation = day_deviations(DaySums(rows, right, right), rows.size)
    for size in (10.0, 200.0):
        assert deviation[rows == size][0] == pytest.approx((right / rows)[rows == size].std(), rel=0.02)
    with pytest.raises(MetricError):
        day_deviations(DaySums(rows, right, right), 1)


def test_days_of_few_and_of_many_predictions_are_ranked_fairly():
    """Where days differ by chance alone, small days are no more often among the worst tenth than large ones."""
    generator = np.random.default_rng(5)
    rows = np.tile([10.0, 400.0], 2_000)[None, :]
    right = generator.binomial(rows.astype(int), 0.55).astype(float)
    scores = day_scores(rows, right, right, np.ones(rows.shape, dtype=bool))[0]
    worst = scores < np.quantile(scores, 0.1)

    assert worst[0::2].mean() == pytest.approx(0.1, abs=0.03)
    assert worst[1::2].mean() == pytest.approx(0.1, abs=0.03)


def test_a_fall_from_60_to_50_percent_at_200_predictions_a_day_is_seen_within_10_days_in_95_of_100_seeds():
    for reference in (100, 250):
        days = hit_days(decay(100, reference, 30, 10), 200, np.random.default_rng(reference))

        raised = watch(days, reference, threshold=THRESHOLD, worse="low").raised

        assert not raised[:, :30].any()
        assert raised[:, -1].sum() >= 95


@pytest.mark.parametrize(
    ("rows", "day_effect", "memory"),
    [(200, 0.0, 0.0), (200, 0.05, 0.0), (200, 0.25, 0.0), (4, 0.0, 0.0), (50, 0.25, 0.1), (50, 0.1, 0.2)],
)
def test_without_decay_alarms_are_rarer_than_promised_even_where_days_move_together(rows, day_effect, memory):
    """1,000 asset-class months (30 days each) a case; 2.5 false alarms are promised, at most."""
    days = hit_days(np.full((150, 450), 0.6), rows, np.random.default_rng(rows), day_effect=day_effect, memory=memory)

    raised = watch(days, 250, threshold=THRESHOLD, worse="low").raised

    assert raised.any(axis=-1).sum() <= 2


def test_the_promise_itself_holds_where_it_is_small_enough_to_be_measured():
    """The chance of a false alarm within 40 days is at most 40 / threshold; here days have a heavy-tailed effect."""
    generator = np.random.default_rng(6)
    accuracy = np.clip(0.55 + 0.05 * generator.standard_t(3, size=(4_000, 70)), 0, 1)
    days = hit_days(accuracy, 20, generator)

    within_40_days = watch(days, 30, threshold=200, worse="low").raised.any(axis=-1).mean()

    assert 0.004 < within_40_days < 40 / 200


def test_counting_predictions_instead_of_days_would_raise_alarms_where_days_move_together():
    """Why a day is one observation: the same days, taken for 200 independent predictions each, look like decay."""
    days = hit_days(np.full((50, 450), 0.6), 200, np.random.default_rng(7), day_effect=0.1)
    z = (days.total / days.rows - 0.6) / math.sqrt(0.24 / 200)
    cusum = np.zeros(50)
    alarms = np.zeros(50, dtype=bool)
    for day in range(250, 450):
        cusum = np.maximum(cusum, 0) - z[:, day] - 0.5
        alarms |= cusum > math.log(THRESHOLD)

    assert alarms.mean() > 0.9
    assert watch(days, 250, threshold=THRESHOLD, worse="low").raised.any(axis=-1).mean() < 0.05


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(41, 79))
def test_later_days_change_nothing_that_was_said_before(seed, cut):
    generator = np.random.default_rng(seed)
    rows = generator.integers(1, 30, 80).astype(float)
    right = generator.binomial(rows.astype(int), np.where(np.arange(80) < 55, 0.7, 0.2)).astype(float)
    whole = watch(DaySums(rows, right, right), 40, threshold=200, worse="low")

    early = watch(DaySums(rows[:cut], right[:cut], right[:cut]), 40, threshold=200, worse="low")

    assert early.evidence.tolist() == whole.evidence[: cut - 40].tolist()
    assert early.raised.tolist() == whole.raised[: cut - 40].tolist()
    assert early.changed.tolist() == whole.changed[: cut - 40].tolist()


def test_the_same_series_watched_alone_or_among_others_says_the_same():
    days = hit_days(decay(5, 60, 10, 20), 100, np.random.default_rng(8))
    together = watch(days, 60, threshold=1_000, worse="low")
    for i in range(5):
        alone = watch(DaySums(days.rows[i], days.total[i], days.squares[i]), 60, threshold=1_000, worse="low")
        assert alone.evidence.shape == (30,)
        assert alone.evidence.tolist() == together.evidence[i].tolist()
        assert alone.changed.tolist() == together.changed[i].tolist()


def test_high_is_worse_is_the_mirror_image_of_low():
    days = hit_days(decay(3, 60, 10, 20), 100, np.random.default_rng(9))
    losses = days.rows - days.total
    mirrored = DaySums(days.rows, losses, losses)

    low, high = watch(days, 60, threshold=1_000, worse="low"), watch(mirrored, 60, threshold=1_000, worse="high")

    assert low.raised.any()
    assert low.raised.tolist() == high.raised.tolist()
    assert not watch(mirrored, 60, threshold=1_000, worse="low").raised.any()


def test_an_alarm_names_the_day_of_the_change_and_lasts_as_long_as_the_bad_days():
    days = hit_days(decay(20, 250, 40, 200), 200, np.random.default_rng(10))

    seen = watch(days, 250, threshold=THRESHOLD, worse="low")

    assert seen.raised[:, 50:].all()
    assert np.median(seen.changed[:, -1]) == pytest.approx(290, abs=2)
    assert (seen.changed[~seen.raised] == -1).all()


def test_a_bad_state_that_lasts_for_years_does_not_become_the_new_normal():
    days = hit_days(decay(4, 250, 10, 900), 200, np.random.default_rng(13))
    assert watch(days, 250, threshold=THRESHOLD, worse="low").raised[:, 30:].all()


def test_an_alarm_ends_about_19_ordinary_days_after_the_bad_ones_and_does_not_flap():
    accuracy = np.tile(np.r_[np.full(280, 0.6), np.full(15, 0.5), np.full(60, 0.6)], (40, 1))
    seen = watch(hit_days(accuracy, 200, np.random.default_rng(11)), 250, threshold=THRESHOLD, worse="low")
    begins = seen.raised & ~np.pad(seen.raised, ((0, 0), (1, 0)))[:, :-1]
    ends = [int(np.flatnonzero(one)[-1]) + 1 - 45 for one in seen.raised]

    assert begins.sum(axis=1).tolist() == [1] * 40
    assert not seen.raised[:, -1].any()
    assert 12 < np.median(ends) < 30


def test_days_that_are_all_alike_show_nothing():
    same = np.full(80, 10.0)
    seen = watch(DaySums(same, same / 2, same / 2), 40, threshold=1_000, worse="low")
    assert not seen.raised.any()
    assert (seen.evidence < 0.1).all()


def test_one_prediction_a_day_never_raises_an_alarm_on_ordinary_misses():
    right = np.random.default_rng(12).binomial(1, 0.5, 300).astype(float)
    seen = watch(DaySums(np.ones(300), right, right), 100, threshold=THRESHOLD, worse="low")
    assert not seen.raised.any()


def test_without_monitored_days_there_is_nothing_to_say():
    right = np.full(50, 5.0)
    seen = watch(DaySums(np.full(50, 10.0), right, right), 50, threshold=1_000, worse="low")
    assert (seen.evidence.shape, seen.raised.shape, seen.changed.shape) == ((0,), (0,), (0,))


def test_what_is_no_test_is_refused():
    right = np.full(50, 5.0)
    days = DaySums(np.full(50, 10.0), right, right)
    for start, threshold in ((1, 100.0), (51, 100.0), (20, 1.0)):
        with pytest.raises(MetricError):
            watch(days, start, threshold=threshold, worse="low")
    with pytest.raises(MetricError):
        DaySums(np.zeros(3), np.zeros(3), np.zeros(3))
    with pytest.raises(MetricError):
        DaySums(np.ones(3), np.ones(2), np.ones(3))
    with pytest.raises(MetricError):
        DaySums(np.ones(2), np.array([1.0, np.nan]), np.ones(2))

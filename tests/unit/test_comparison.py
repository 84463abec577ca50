"""Paired tests between two models against statsmodels, plain loops and simulated truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.api import OLS

from market.comparison import DieboldMariano, diebold_mariano, paired_bootstrap, panel_diebold_mariano
from market.errors import MetricError
from market.statistics import Interval, block_bootstrap_means, hit_rate_interval, wilson_interval

SETTINGS = {"samples": 500, "block_days": 5, "seed": 3}


def dates(count: int) -> np.ndarray:
    return np.datetime64("2023-01-01") + np.arange(count)


def losses(seed: int, periods: int = 120, gap: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    shared = np.convolve(generator.normal(size=periods + 3), [0.5, 0.3, 0.2, 0.1], "valid")
    return shared + generator.normal(gap, 1, periods), shared + generator.normal(0, 1, periods)


def test_the_interval_holds_the_mean_of_the_differences_and_is_in_their_unit():
    differences = np.random.default_rng(1).normal(0.3, 1, 400)

    interval = paired_bootstrap(differences, dates(400), **SETTINGS)

    assert 0.1 < interval.low < differences.mean() < interval.high < 0.5


def test_swapping_the_models_turns_the_interval_around():
    differences = np.random.default_rng(2).normal(0.3, 1, 300)

    one, other = (paired_bootstrap(sign * differences, dates(300), **SETTINGS) for sign in (1, -1))

    assert (other.low, other.high) == (pytest.approx(-one.high), pytest.approx(-one.low))


def test_the_bootstrap_by_plain_loops_gives_the_same_spread():
    generator = np.random.default_rng(5)
    days = np.repeat(np.arange(60), generator.integers(1, 12, 60))
    differences = generator.normal(0, 1, 60)[days] + generator.normal(0, 1, days.size)
    means = []
    for _ in range(1500):
        chosen: list[int] = []
        while len(chosen) < 60:
            start = int(generator.integers(60))
            chosen += [(start + i) % 60 for i in range(7)]
        means.append(np.concatenate([differences[days == day] for day in chosen[:60]]).mean())

    drawn = block_bootstrap_means(differences, days, samples=10_000, block_days=7, seed=1)

    assert drawn.mean() == pytest.approx(np.mean(means), abs=0.02)
    assert drawn.std() == pytest.approx(np.std(means), rel=0.08)


def test_one_date_says_nothing_about_another():
    assert paired_bootstrap(np.array([1.0, 2.0]), np.repeat(dates(1), 2), **SETTINGS) == Interval(-np.inf, np.inf)


def test_nineteen_of_twenty_intervals_hold_the_true_difference():
    generator = np.random.default_rng(8)
    days = np.repeat(dates(120), 4)
    held = 0
    for trial in range(300):
        differences = 0.2 + np.repeat(generator.normal(0, 1, 120), 4) + generator.normal(0, 1, 480)
        interval = paired_bootstrap(differences, days, samples=300, block_days=5, seed=trial)
        held += interval.low <= 0.2 <= interval.high

    assert 0.89 <= held / 300 <= 0.985


@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_the_statistic_is_the_mean_over_statsmodels_long_run_deviation(horizon):
    loss_a, loss_b = losses(seed=horizon)
    fitted = OLS(loss_a - loss_b, np.ones(120)).fit(
        cov_type="HAC", cov_kwds={"maxlags": horizon - 1, "kernel": "uniform", "use_correction": False}
    )
    correction = np.sqrt((120 + 1 - 2 * horizon + horizon * (horizon - 1) / 120) / 120)

    ours = diebold_mariano(loss_a, loss_b, horizon=horizon)

    assert ours.mean_difference == pytest.approx(fitted.params[0], rel=1e-12)
    assert ours.statistic == pytest.approx(fitted.tvalues[0] * correction, rel=1e-9)
    assert ours.p_value == pytest.approx(2 * stats.t.sf(abs(ours.statistic), 119), rel=1e-9)
    assert ours.periods == 120


def test_one_step_ahead_it_is_the_ordinary_paired_t_test():
    loss_a, loss_b = losses(seed=9)

    ours, theirs = diebold_mariano(loss_a, loss_b), stats.ttest_rel(loss_a, loss_b)

    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-10)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def test_it_equals_the_formula_written_out():
    # differences 1, 3, 2, 4: mean 2.5, autocovariances 5/4 and (-1.5 x 0.5 - 0.25 - 0.75) / 4 = -1.75 / 4
    # horizon 2: variance (1.25 - 2 x 0.4375) / 4 = 0.09375; correction sqrt((4 + 1 - 4 + 2 / 4) / 4) = sqrt(0.375)
    ours = diebold_mariano(np.array([1.0, 3.0, 2.0, 4.0]), np.zeros(4), horizon=2)

    assert ours.statistic == pytest.approx(2.5 / np.sqrt(0.09375) * np.sqrt(0.375), rel=1e-12)


def test_a_negative_long_run_variance_falls_back_to_lag_zero():
    differences = np.array([1.0, -1.0, 1.2, -0.8, 1.0, -1.0, 0.9, -1.1])  # neighbours cancel

    one, two = (diebold_mariano(differences, np.zeros(8), horizon=horizon) for horizon in (1, 2))

    centred = differences - differences.mean()
    assert centred @ centred + 2 * (centred[1:] @ centred[:-1]) < 0
    correction = np.sqrt((8 + 1 - 4 + 2 / 8) / 8) / np.sqrt((8 + 1 - 2) / 8)
    assert two.statistic == pytest.approx(one.statistic * correction, rel=1e-12)


def test_equal_losses_are_no_evidence_and_a_constant_gap_is_no_test():
    loss = np.array([0.2, 0.3, 0.1])

    assert diebold_mariano(loss, loss) == DieboldMariano(0.0, 1.0, 0.0, 3)
    with pytest.raises(MetricError, match=r"differ by the constant 0\.1"):
        diebold_mariano(loss + 0.1, loss)


def test_the_better_second_model_gives_a_positive_statistic():
    worse, better = losses(seed=4, periods=2000, gap=0.3)

    result = diebold_mariano(worse, better)

    assert result.statistic > 3 and result.p_value < 0.01 and result.mean_difference == pytest.approx(0.3, abs=0.1)


def test_a_panel_averages_each_date_before_it_tests():
    days = np.array([1, 1, 2, 3, 3, 3])
    loss_a, loss_b = np.array([1.0, 3.0, 5.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 6.0, 0.0, 0.0, 0.0])

    panel = panel_diebold_mariano(loss_a, loss_b, days)

    assert panel == diebold_mariano(np.array([1.5, -1.0, 2.0]), np.zeros(3))


def test_copies_of_every_row_make_a_panel_no_surer():
    loss_a, loss_b = losses(seed=6)
    once = panel_diebold_mariano(loss_a, loss_b, dates(120))

    copied = panel_diebold_mariano(np.repeat(loss_a, 20), np.repeat(loss_b, 20), np.repeat(dates(120), 20))

    assert copied.statistic == pytest.approx(once.statistic, rel=1e-9)


def test_equally_good_models_are_called_different_once_in_twenty():
    generator = np.random.default_rng(12)
    called = sum(
        diebold_mariano(generator.normal(size=60), generator.normal(size=60)).p_value < 0.05 for _ in range(1000)
    )

    assert 30 <= called <= 72


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.01, 100), horizon=st.integers(1, 3))
def test_the_unit_of_the_loss_does_not_matter_and_swapping_flips_the_sign(seed, factor, horizon):
    loss_a, loss_b = losses(seed, periods=40)
    result = diebold_mariano(loss_a, loss_b, horizon=horizon)

    scaled = diebold_mariano(factor * loss_a, factor * loss_b, horizon=horizon)
    swapped = diebold_mariano(loss_b, loss_a, horizon=horizon)

    assert scaled.statistic == pytest.approx(result.statistic, rel=1e-6, abs=1e-9)
    assert swapped.statistic == pytest.approx(-result.statistic, rel=1e-9)
    assert 0 <= result.p_value <= 1


@pytest.mark.parametrize(
    ("loss_a", "loss_b", "horizon"),
    [
        ([1.0], [2.0], 1),
        ([1.0, 2.0], [2.0, 2.0], 2),
        ([1.0, 2.0], [2.0, 2.0], 0),
        ([1.0, np.nan], [2.0, 2.0], 1),
        ([1.0, 2.0], [2.0], 1),
        ([[1.0, 2.0]], [[2.0, 1.0]], 1),
    ],
)
def test_losses_that_cannot_be_compared_are_refused(loss_a, loss_b, horizon):
    with pytest.raises(MetricError):
        diebold_mariano(np.array(loss_a), np.array(loss_b), horizon=horizon)


def test_dates_must_be_known_for_every_row():
    with pytest.raises(MetricError, match="dates"):
        panel_diebold_mariano(np.ones(2), np.zeros(2), np.array(["2023-01-01", "NaT"], dtype="datetime64[D]"))
    with pytest.raises(MetricError, match="dates"):
        panel_diebold_mariano(np.ones(2), np.zeros(2), dates(3))
    with pytest.raises(MetricError):
        paired_bootstrap(np.array([1.0, np.nan]), dates(2), **SETTINGS)
    with pytest.raises(MetricError):
        paired_bootstrap(np.ones(0), dates(0), **SETTINGS)


def test_a_hit_rate_of_few_rows_is_never_certain_and_clustered_rows_are_never_sure():
    few = hit_rate_interval(np.ones(3), dates(3), **SETTINGS)
    clustered = hit_rate_interval(
        np.repeat(np.random.default_rng(3).random(40) < 0.5, 25), np.repeat(dates(40), 25), **SETTINGS
    )

    alone = wilson_interval(3, 3)
    assert (few.low, few.high) == (pytest.approx(100 * alone.low), 100.0)
    assert clustered.high - clustered.low > 20, "forty days are forty draws, not a thousand"

"""The waterfall on simulated bars, whose truth is known: what the faults are worth, and what is left without them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl
import pytest

from configs.settings import Settings, load_settings
from market.errors import NotEnoughDataError
from market.simulate import simulate_market
from training.dataset import as_dataset
from training.explain import Explanation, explain_bars
from training.explain_data import fitting_splits, honest_tables, study_settings, with_service
from training.explain_score import Step
from training.walk_forward import run_walk_forward

Explain = Callable[..., Explanation]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("home")))
        return load_settings("test")


def simulated(*, planted: int = 0, noise: int = 0, seed: int = 1, start: date = date(2018, 1, 1)) -> pl.DataFrame:
    return simulate_market(
        "etf", seed=seed, start=start, end=date(2025, 6, 30), planted_symbols=planted, noise_symbols=noise
    ).bars


@pytest.fixture(scope="module")
def noise(settings: Settings) -> Explanation:
    return explain_bars(simulated(noise=6), settings, duplicates=7)


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    """Progress of the explanation of one symbol."""
    return []


@pytest.fixture(scope="module")
def single(settings: Settings, told: list[tuple[int, int]]) -> Explanation:
    return explain_bars(one_symbol(), settings, progress=lambda *done: told.append(done))


def one_symbol() -> pl.DataFrame:
    return simulated(noise=1, start=date(2020, 1, 1))


def named(explanation: Explanation, start: str) -> Step:
    (found,) = (step for step in explanation.steps if step.step.startswith(start))
    return found


def test_the_steps_stand_in_their_order_with_the_reported_first_and_the_honest_last(noise: Explanation) -> None:
    assert [step.step for step in noise.steps] == [
        "as reported: every row 7 times, look-ahead pivots, one split",
        "without duplicates",
        "control: the same on a random walk",
        "pivots confirmed two bars later",
        "last label unknown instead of DOWN",
        "walk-forward instead of one split",
        "honest: scale-free features",
    ]


def test_look_ahead_finds_some_60_percent_in_pure_noise_and_nothing_is_left_without_it(noise: Explanation) -> None:
    hindsight, honest = named(noise, "without duplicates"), noise.steps[-1]
    assert 58.0 < hindsight.accuracy < 64.0
    assert hindsight.accuracy_ci_95[0] > hindsight.base_rate + 4
    assert 58.0 < named(noise, "control").accuracy < 64.0
    for step in noise.steps[3:]:
        assert 47.0 < step.accuracy < 53.0
    assert honest.accuracy_ci_95[0] < honest.base_rate + 1
    dropped = named(noise, "pivots")
    assert dropped.change == pytest.approx(dropped.accuracy - hindsight.accuracy)
    assert dropped.change_ci_95 is not None
    assert dropped.change_ci_95[0] < dropped.change < dropped.change_ci_95[1] < -5


def test_only_steps_that_test_the_same_bars_have_an_interval_of_their_change(noise: Explanation) -> None:
    paired = [step.change_ci_95 is not None for step in noise.steps]
    assert paired == [False, False, False, True, False, True, True]


def test_seven_copies_score_no_more_than_their_own_base_rate_of_about_93_percent(noise: Explanation) -> None:
    copied = noise.steps[0]
    assert copied.rows == 7 * noise.steps[1].rows
    assert copied.base_rate == pytest.approx(100 - 50 / 7, abs=0.6)
    assert copied.accuracy == pytest.approx(copied.base_rate, abs=0.5)


def test_every_step_is_tested_on_the_same_bars_but_for_the_newest_of_each_symbol(noise: Explanation) -> None:
    rows = [step.rows for step in noise.steps if not step.is_control]
    assert rows[1] == rows[2] == rows[3] + 6
    assert len(set(rows[3:])) == 1


def test_a_planted_edge_survives_to_the_honest_step(settings: Settings) -> None:
    found = explain_bars(simulated(planted=6), settings)
    honest = found.steps[-1]
    assert found.steps[0].step == "as reported: look-ahead pivots, one split"
    assert honest.accuracy_ci_95[0] > honest.base_rate
    assert honest.accuracy < found.steps[0].accuracy - 2
    assert named(found, "control").accuracy != found.steps[0].accuracy


def test_the_honest_step_is_what_walk_forward_training_records(settings: Settings) -> None:
    bars = simulated(planted=2, noise=2, start=date(2019, 1, 1))
    found = explain_bars(bars, settings)
    own = study_settings(settings, bars, found.splits)
    rows = honest_tables(bars, own, ("default",))["default"]
    record = run_walk_forward(as_dataset(with_service(own, "default"), "etf", rows), own).predictions
    judged = record.filter((pl.col("data_split") == "VALIDATE") & pl.col("target_direction").is_not_null())
    right = (judged["up_probability"] >= 0.5) == (judged["target_direction"] == 1)
    assert found.steps[-1].rows == judged.height
    assert found.steps[-1].accuracy == pytest.approx(100 * right.mean())


@pytest.mark.slow
def test_the_same_bars_give_the_same_explanation(settings: Settings, single: Explanation) -> None:
    assert explain_bars(one_symbol(), settings) == single


def test_bars_that_the_profile_s_dates_do_not_fit_are_split_by_their_own(settings: Settings) -> None:
    bars = simulated(noise=1, start=date(2018, 1, 1)).filter(pl.col("datetime").dt.date() < date(2022, 1, 1))
    splits, is_own = fitting_splits(bars, settings)
    dates = bars["datetime"].dt.date().to_list()
    assert not is_own
    assert dates.index(splits.train_end) + 1 == pytest.approx(0.6 * len(dates), abs=1)
    assert dates.index(splits.test_end) + 1 == pytest.approx(0.8 * len(dates), abs=1)
    found = explain_bars(bars, settings)
    assert found.steps[-1].rows == len(dates) - dates.index(splits.test_end) - 2


def test_a_thousand_bars_of_one_symbol_are_enough_to_see_what_look_ahead_gives_away(settings: Settings) -> None:
    usual = settings.model_copy(
        update={"training": settings.training.model_copy(update={"min_train_rows": 500, "max_trees": 400})}
    )
    bars = simulated(noise=1).tail(1000)
    found = explain_bars(bars, usual)
    assert found.bars == 1000
    assert found.steps[0].accuracy > found.steps[-1].accuracy + 3


def test_too_short_a_history_is_refused_with_the_length_that_is_needed(settings: Settings) -> None:
    with pytest.raises(NotEnoughDataError, match="250 bars of 1 symbol on 250 dates are too short a history") as caught:
        explain_bars(simulated(noise=1).tail(250), settings)
    assert "at least 335 daily bars a symbol" in caught.value.remedy
    enough = simulated(noise=1).tail(340)
    assert not fitting_splits(enough, settings)[1]


def test_one_bar_is_too_short_too(settings: Settings) -> None:
    with pytest.raises(NotEnoughDataError, match="1 bars"):
        explain_bars(simulated(noise=1).tail(1), settings)


def test_progress_counts_every_model_up_to_the_last(single: Explanation, told: list[tuple[int, int]]) -> None:
    models = 4 + 2 * 2  # one split four times, and the years 2024 and 2025 with two services
    assert told == [(number, models) for number in range(1, models + 1)]


def test_a_profile_s_own_files_are_neither_read_nor_written(settings: Settings, single: Explanation) -> None:
    assert not settings.paths.home.exists()

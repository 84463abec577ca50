"""Features and parameters are chosen from the first fold's training rows alone, and every trial is counted."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from configs.settings import Settings
from market.errors import ConfigError, NotEnoughDataError
from tests.training_rows import as_dataset, training, training_set
from training.dataset import Dataset
from training.inner_folds import first_window, inner_folds
from training.selection import narrowed, select_features
from training.tuning import Tuned, tune
from training.walk_forward import run_walk_forward


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return training_set(lean=0.15)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return training(
        tuning={"trials": 4}, selection={"method": "permutation", "min_features": 1}, min_train_rows=100, max_trees=20
    )


@pytest.fixture(scope="module")
def tuned(dataset: Dataset, settings: Settings) -> Tuned:
    return tune(dataset, settings)


def _first_test(dataset: Dataset) -> np.datetime64:
    return np.datetime64("2022-01-01")


def test_the_window_is_that_of_the_first_fold(dataset: Dataset, settings: Settings, tuned: Tuned) -> None:
    window = first_window(dataset, settings)
    assert (dataset.label_known_at[window] < _first_test(dataset)).all()
    assert tuned.window_rows == len(window) == 3 * (365 - 2)
    assert tuned.chosen_through == np.datetime64("2021-12-31T00:00:00", "us")
    first = run_walk_forward(tuned.dataset, tuned.settings).folds[0]
    assert first.model.trained_through >= tuned.chosen_through


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_after_the_window_changes_what_is_chosen(
    dataset: Dataset, settings: Settings, tuned: Tuned, seed: int
) -> None:
    """Labels and features from the first test bar on are shuffled; so are labels that became known later."""
    random = np.random.default_rng(seed)
    later = np.flatnonzero(dataset.label_known_at >= _first_test(dataset))
    label, matrix = dataset.label.copy(), dataset.matrix.copy()
    label[later] = random.permutation(label[later])
    bars = np.flatnonzero(dataset.datetime >= _first_test(dataset))
    matrix[bars] = -5 * matrix[random.permutation(bars)]
    other = tune(replace(dataset, label=label, matrix=matrix), settings)
    assert other.trials == tuned.trials
    assert other.features == tuned.features
    assert other.settings.training.xgboost == tuned.settings.training.xgboost
    assert other.dataset.features == tuned.dataset.features


def test_what_lies_in_the_window_does_change_the_search(dataset: Dataset, settings: Settings, tuned: Tuned) -> None:
    """The test above can fail."""
    early = np.flatnonzero(dataset.label_known_at < _first_test(dataset))
    label = dataset.label.copy()
    label[early] = np.random.default_rng(1).permutation(label[early])
    other = tune(replace(dataset, label=label), settings)
    assert [trial.log_loss for trial in other.trials] != [trial.log_loss for trial in tuned.trials]


def test_the_planted_feature_is_selected_and_noise_is_not(tuned: Tuned) -> None:
    worth = {one.feature: one for one in tuned.features}
    assert [one.feature for one in tuned.features] == ["a", "b", "c", "d"]
    assert worth["a"].kept
    assert worth["a"].log_loss_increase > 3 * worth["a"].standard_error
    assert max(worth[name].log_loss_increase for name in "bcd") < worth["a"].log_loss_increase / 10
    assert tuned.dataset.features[0] == "a"


def test_at_least_so_many_features_stay(dataset: Dataset) -> None:
    settings = training(selection={"method": "permutation", "min_features": 3}, min_train_rows=100, max_trees=20)
    worth = select_features(dataset, inner_folds(dataset, first_window(dataset, settings), settings), settings)
    assert sum(one.kept for one in worth) == 3
    assert worth[0].kept


def test_pure_noise_leaves_only_the_least_number(settings: Settings) -> None:
    noise = training_set(lean=0.0)
    assert len(tune(noise, settings.model_copy()).dataset.features) <= 2


def test_narrowed_rows_keep_their_values(dataset: Dataset) -> None:
    two = narrowed(dataset, ("d", "b"))
    assert two.features == ("d", "b")
    np.testing.assert_array_equal(two.matrix, dataset.matrix[:, [3, 1]])
    assert two.matrix.flags.c_contiguous


def test_every_trial_is_counted_and_the_configured_parameters_are_the_first(settings: Settings, tuned: Tuned) -> None:
    assert [trial.number for trial in tuned.trials] == [0, 1, 2, 3]
    assert tuned.trials[0].parameters == settings.training.xgboost
    assert tuned.trial_count == 5, "four parameter sets and one selection of features"
    assert tuned.to_dict()["trial_count"] == 5
    best = min(tuned.trials, key=lambda trial: trial.log_loss)
    assert tuned.settings.training.xgboost == best.parameters


def test_the_search_stays_in_its_space_and_repeats_itself(dataset: Dataset, settings: Settings, tuned: Tuned) -> None:
    space = settings.training.tuning.space
    for trial in tuned.trials[1:]:
        for name in ("learning_rate", "max_depth", "min_child_weight", "subsample", "colsample_bytree", "reg_lambda"):
            ends = getattr(space, name)
            assert ends.low <= getattr(trial.parameters, name) <= ends.high
    assert tune(dataset, settings).trials == tuned.trials


def test_the_log_loss_of_a_trial_is_that_of_its_own_fits(dataset: Dataset) -> None:
    """The twin: one trial, written out with XGBoost's own interface."""
    import xgboost as xgb

    settings = training(
        tuning={"trials": 1, "inner_folds": 1}, early_stopping_share=0.0, max_trees=6, min_train_rows=50
    )
    window = first_window(dataset, settings)
    days = np.unique(dataset.datetime[window])
    begin = days[len(days) // 2]
    train = window[dataset.label_known_at[window] < begin]
    test = window[dataset.datetime[window] >= begin]
    model = xgb.XGBClassifier(
        n_estimators=6, tree_method="hist", n_jobs=1, random_state=7, **settings.training.xgboost.model_dump()
    ).fit(dataset.matrix[train], dataset.label[train])
    probability = model.predict_proba(dataset.matrix[test])[:, 1].astype(float)
    actual = dataset.label[test]
    expected = -np.mean(actual * np.log(probability) + (1 - actual) * np.log(1 - probability))
    assert tune(dataset, settings).trials[0].log_loss == pytest.approx(expected, abs=1e-12)


def test_inner_folds_never_train_on_a_label_of_their_own_test_dates(dataset: Dataset, settings: Settings) -> None:
    folds = inner_folds(dataset, first_window(dataset, settings), settings)
    assert len(folds) == 3
    for fold in folds:
        assert dataset.label_known_at[fold.train].max() < dataset.datetime[fold.test].min()
    tested = np.concatenate([fold.test for fold in folds])
    assert len(np.unique(tested)) == len(tested)


def test_switched_off_it_changes_nothing(dataset: Dataset) -> None:
    settings = training()
    off = tune(dataset, settings)
    assert off.dataset is dataset
    assert off.settings is settings
    assert (off.trial_count, off.chosen_through) == (0, None)


def test_a_window_too_short_for_choices_is_an_error_with_a_remedy(dataset: Dataset) -> None:
    settings = training(tuning={"trials": 2}, min_train_rows=1000)
    with pytest.raises(NotEnoughDataError, match="too short to choose anything in") as caught:
        tune(dataset, settings)
    assert "switch tuning and selection off" in caught.value.remedy


def test_without_optuna_the_error_names_the_extra(
    dataset: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match="Optuna is not installed") as caught:
        tune(dataset, settings)
    assert "tradehits[tuning]" in caught.value.remedy


def test_a_constant_feature_is_worth_nothing(settings: Settings) -> None:
    rows = training_set(lean=0.15)
    matrix = rows.matrix.copy()
    matrix[:, 3] = 1.0
    plain = as_dataset(rows.keys, matrix, rows.label)
    worth = select_features(plain, inner_folds(plain, first_window(plain, settings), settings), settings)
    assert (worth[3].log_loss_increase, worth[3].kept) == (0.0, False)

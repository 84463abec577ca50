"""The section `training` refuses what cannot be done, and its defaults are the plain way."""

from __future__ import annotations

import pickle

import pytest

from configs.settings import load_settings
from market.errors import ConfigError


def test_the_defaults_fit_every_fold_exactly_here_and_choose_nothing() -> None:
    training = load_settings("local").training
    assert (training.mode, training.engine, training.parallel_folds) == ("exact", "local", 1)
    assert not training.makes_choices


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MODE": "warm_start", "WINDOW": "rolling"}, "needs window expanding"),
        ({"ENGINE": "dask"}, "engine dask needs dask.address"),
        ({"WARM_START__MARGIN": "0"}, "training.warm_start.margin"),
        ({"TUNING__SPACE__SUBSAMPLE": '{"low": 0.9, "high": 0.5}'}, "high 0.5 must not be below low 0.9"),
        ({"PARALLEL_FOLDS": "0"}, "training.parallel_folds"),
        ({"EARLY_STOPPING_SHARE": "0.5"}, "training.early_stopping_share"),
        ({"WARMSTART__MARGIN": "1"}, "did you mean warm_start"),
    ],
)
def test_what_cannot_be_done_is_named(variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"TRADEHITS__TRAINING__{name}", value)
    with pytest.raises(ConfigError, match=message):
        load_settings("local")


def test_tuning_or_selection_is_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS__TRAINING__TUNING__TRIALS", "5")
    assert load_settings("local").training.makes_choices
    monkeypatch.setenv("TRADEHITS__TRAINING__TUNING__TRIALS", "0")
    monkeypatch.setenv("TRADEHITS__TRAINING__SELECTION__METHOD", "permutation")
    assert load_settings("local").training.makes_choices


def test_the_section_can_be_sent_to_a_worker() -> None:
    training = load_settings("local").training
    assert pickle.loads(pickle.dumps(training)) == training


def test_the_mode_of_the_command_line_is_checked_like_the_file() -> None:
    training = load_settings("local").training
    assert training.with_mode("warm_start").mode == "warm_start"
    assert training.with_mode("exact") == training

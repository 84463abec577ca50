"""Booster parameters and features, chosen inside the first fold's training window; every trial is counted.

Whatever is chosen has seen no bar that any fold is tested on. The number of trials belongs to the result: the best of
many looks good by luck, and the deflated statistics take their number into account.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.settings import Settings
from configs.training import SearchSettings, XGBoostSettings
from market.errors import ConfigError
from training.dataset import Dataset
from training.inner_folds import InnerFold, first_window, inner_folds
from training.model import fit, predict
from training.selection import FeatureWorth, log_loss_by_row, narrowed, select_features

if TYPE_CHECKING:
    import optuna

LOGARITHMIC = ("learning_rate", "min_child_weight", "reg_lambda")


@dataclass(frozen=True)
class Trial:
    """One parameter set and its log loss (nats) on the inner folds' test rows, pooled."""

    number: int
    parameters: XGBoostSettings
    log_loss: float


@dataclass(frozen=True)
class Tuned:
    """What training goes on with.

    Attributes:
        dataset: With the chosen features.
        settings: With the chosen booster parameters.
        trials: Every parameter set tried; the configured one is the first.
        features: What each feature was worth; empty without selection.
        window_rows: Rows of the window that the choice was made in.
        chosen_through: Latest `label_known_at` among them; None when nothing was chosen.
    """

    dataset: Dataset
    settings: Settings
    trials: tuple[Trial, ...] = ()
    features: tuple[FeatureWorth, ...] = ()
    window_rows: int = 0
    chosen_through: np.datetime64 | None = None

    @property
    def trial_count(self) -> int:
        """How many variants were looked at to arrive here; 0 when nothing was chosen."""
        return len(self.trials) + bool(self.features)

    def to_dict(self) -> dict[str, Any]:
        """Plain fields, as the run's artifact shows them."""
        return {
            "trials": [
                {"number": trial.number, "log_loss": trial.log_loss, **trial.parameters.model_dump()}
                for trial in self.trials
            ],
            "features": [asdict(worth) for worth in self.features],
            "window_rows": self.window_rows,
            "chosen_through": None if self.chosen_through is None else f"{self.chosen_through}Z",
            "trial_count": self.trial_count,
        }


def tune(dataset: Dataset, settings: Settings, progress: Callable[[int, int], None] | None = None) -> Tuned:
    """Choose features, then booster parameters, as far as the settings ask for it.

    Args:
        dataset: The rows of an asset class; only those of the first fold's training window are looked at.
        settings: Section `training`.
        progress: Called with (trials done, trials in all).

    Raises:
        NotEnoughDataError: The window is too short for inner folds.
        ConfigError: A search is asked for and Optuna is not installed.
    """
    if not settings.training.makes_choices:
        return Tuned(dataset, settings)
    window = first_window(dataset, settings)
    folds = inner_folds(dataset, window, settings)
    worth: list[FeatureWorth] = []
    chosen = dataset
    if settings.training.selection.method == "permutation":
        worth = select_features(dataset, folds, settings)
        chosen = narrowed(dataset, tuple(one.feature for one in worth if one.kept))
    trials = _search(chosen, folds, settings, progress) if settings.training.tuning.trials else []
    best = min(trials, key=lambda trial: trial.log_loss).parameters if trials else settings.training.xgboost
    return Tuned(
        dataset=chosen,
        settings=_with_parameters(settings, best),
        trials=tuple(trials),
        features=tuple(worth),
        window_rows=len(window),
        chosen_through=dataset.label_known_at[window].max(),
    )


def _search(
    dataset: Dataset, folds: list[InnerFold], settings: Settings, progress: Callable[[int, int], None] | None
) -> list[Trial]:
    """The configured set first, then what Optuna's seeded sampler proposes."""
    study, count = _study(settings.training.seed), settings.training.tuning.trials
    trials: list[Trial] = []
    for number in range(count):
        asked = study.ask() if number else None
        parameters = settings.training.xgboost if asked is None else _proposed(asked, settings.training.tuning.space)
        loss = _log_loss(dataset, folds, _with_parameters(settings, parameters))
        if asked is not None:
            study.tell(asked, loss)
        trials.append(Trial(number, parameters, loss))
        if progress:
            progress(number + 1, count)
    return trials


def _study(seed: int) -> optuna.Study:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ConfigError(
            "training.tuning.trials asks for a search, and Optuna is not installed",
            remedy="install the extra: pip install 'tradehits[tuning]', or set training.tuning.trials to 0",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))


def _proposed(asked: optuna.Trial, space: SearchSettings) -> XGBoostSettings:
    values: dict[str, float] = {}
    for name in SearchSettings.model_fields:
        ends = getattr(space, name)
        if name == "max_depth":
            values[name] = asked.suggest_int(name, ends.low, ends.high)
        else:
            values[name] = asked.suggest_float(name, ends.low, ends.high, log=name in LOGARITHMIC)
    return XGBoostSettings.model_validate(values)


def _log_loss(dataset: Dataset, folds: list[InnerFold], settings: Settings) -> float:
    losses = []
    for fold in folds:
        booster = fit(dataset, fold.train, settings.training).booster
        losses.append(log_loss_by_row(dataset.label[fold.test], predict(booster, dataset.matrix[fold.test])))
    return float(np.concatenate(losses).mean())


def _with_parameters(settings: Settings, parameters: XGBoostSettings) -> Settings:
    training = settings.training.model_copy(update={"xgboost": parameters})
    return settings.model_copy(update={"training": training})

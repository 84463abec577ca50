"""Settings of training: folds, early stopping, the booster, and how the work is done."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from market.errors import ConfigError

Mode = Literal["exact", "warm_start"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class XGBoostSettings(_Section):
    """Booster parameters, named as XGBoost names them."""

    learning_rate: float = Field(gt=0, le=1)
    max_depth: int = Field(ge=1, le=16)
    min_child_weight: float = Field(ge=0)
    subsample: float = Field(gt=0, le=1)
    colsample_bytree: float = Field(gt=0, le=1)
    reg_lambda: float = Field(ge=0)


class WarmStartSettings(_Section):
    """How a fold goes on from the fold before it, and what it must prove.

    Attributes:
        new_trees: Boosting rounds that each fold adds.
        windows: Newest test-window lengths of training rows that the new trees learn from.
        check_folds: Folds fitted exactly as well, the newest complete one among them, for the paired test.
        margin: Largest excess of the Brier score over exact mode; the one-sided bound of the paired test must lie
            below it, or the run falls back to exact mode.
        level: Confidence of that bound.
    """

    new_trees: int = Field(ge=1)
    windows: int = Field(ge=1)
    check_folds: int = Field(ge=1)
    margin: float = Field(gt=0)
    level: float = Field(gt=0.5, lt=1)


class DaskSettings(_Section):
    """An existing Dask cluster for the engine `dask`.

    Attributes:
        address: Of the scheduler, such as tcp://host:8786.
        shared_folder: A folder that this machine and every worker see under the same name: the arrays are written there
            once and mapped by the workers. None: they are sent to each worker.
        rows_per_worker: A fold with more training rows is trained by all workers together, with `xgboost.dask`. None:
            never.
        timeout_seconds: To reach the scheduler.
    """

    address: str | None
    shared_folder: str | None
    rows_per_worker: int | None = Field(ge=1)
    timeout_seconds: float = Field(gt=0)


class _Range(_Section):
    """Both ends inclusive."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> _Range:
        if self.high < self.low:
            raise ValueError(f"high {self.high} must not be below low {self.low}")
        return self


class RealRange(_Range):
    """Ends of a searched real number."""


class WholeRange(_Range):
    """Ends of a searched whole number."""

    low: int
    high: int


class SearchSettings(_Section):
    """Where the search looks; learning rate, child weight and lambda on a logarithmic scale."""

    learning_rate: RealRange
    max_depth: WholeRange
    min_child_weight: RealRange
    subsample: RealRange
    colsample_bytree: RealRange
    reg_lambda: RealRange


class TuningSettings(_Section):
    """Search of booster parameters inside the first fold's training window.

    Attributes:
        trials: Parameter sets tried, the configured one first; 0 switches the search off.
        inner_folds: Expanding folds inside that window, over its newest half, on which each set is judged.
        space: Where it looks.
    """

    trials: int = Field(ge=0)
    inner_folds: int = Field(ge=1)
    space: SearchSettings


class SelectionSettings(_Section):
    """Selection of features inside the first fold's training window.

    Attributes:
        method: `permutation` keeps the features whose shuffling raises the out-of-sample log loss of the inner folds.
        level: Confidence with which the increase must lie above 0.
        min_features: At least so many are kept, the strongest first.
        repeats: Shuffles a feature and inner fold.
    """

    method: Literal["none", "permutation"]
    level: float = Field(gt=0.5, lt=1)
    min_features: int = Field(ge=1)
    repeats: int = Field(ge=1)


class TrainingSettings(_Section):
    """Folds, early stopping, the booster, and how the work is done.

    Attributes:
        early_stopping_share: Newest share of the training dates, which decides the number of trees; 0: `max_trees`.
        mode: `exact` fits every fold from scratch; `warm_start` goes on from the fold before and proves it is no worse.
        engine: `local`, or `dask` for folds as tasks on a cluster. Predictions are the same.
        parallel_folds: Folds fitted at the same time on this machine, each with `threads`.
        memory_gb: Parallel folds wait while those at work would need more than this together.
    """

    feature_service: Literal["default", "reference", "validated_16"]
    retrain: Literal["weekly", "monthly", "quarterly", "yearly"]
    window: Literal["expanding", "rolling"]
    rolling_years: int = Field(ge=1)
    embargo_days: int = Field(ge=0)
    burn_in_years: int = Field(ge=0)
    min_train_rows: int = Field(ge=1)
    early_stopping_share: float = Field(ge=0, lt=0.5)
    early_stopping_rounds: int = Field(ge=1)
    max_trees: int = Field(ge=1)
    threads: int = Field(ge=1)
    seed: int
    mode: Mode
    engine: Literal["local", "dask"]
    parallel_folds: int = Field(ge=1)
    memory_gb: float = Field(gt=0)
    xgboost: XGBoostSettings
    warm_start: WarmStartSettings
    dask: DaskSettings
    tuning: TuningSettings
    selection: SelectionSettings

    @model_validator(mode="after")
    def _can_be_done(self) -> TrainingSettings:
        if self.mode == "warm_start" and self.window == "rolling":
            raise ValueError("mode warm_start never forgets what it saw: it needs window expanding")
        if self.engine == "dask" and not self.dask.address:
            raise ValueError("engine dask needs dask.address, the scheduler of an existing cluster")
        return self

    @property
    def makes_choices(self) -> bool:
        """Whether features or booster parameters are to be chosen before the folds."""
        return self.tuning.trials > 0 or self.selection.method != "none"

    def with_mode(self, mode: Mode) -> TrainingSettings:
        """The same settings in another mode.

        Raises:
            ConfigError: The mode does not go with the other settings.
        """
        try:
            return TrainingSettings.model_validate({**self.model_dump(), "mode": mode})
        except ValidationError as error:
            raise ConfigError(
                "; ".join(str(one["msg"]) for one in error.errors()),
                remedy="mend the section training, or leave --mode",
            ) from error

"""Walk-forward: one model a fold, predictions only on bars after everything that model saw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from configs.settings import Settings
from configs.training import TrainingSettings
from market.errors import NotEnoughDataError
from market.splits import Fold, test_rows, train_rows, walk_forward_folds
from training.dataset import Dataset, as_utc
from training.fold_cache import FoldCache
from training.fold_run import FoldRun, Progress
from training.folds import FINAL, Engine, FoldFit, FoldJob
from training.local_engine import LocalEngine
from training.matrix import as_index
from training.model import FittedModel, continue_fit, fit, has_both_directions, predict

if TYPE_CHECKING:
    from training.warm_start import WarmStartProof


@dataclass(frozen=True)
class FoldResult:
    """A fold, its model and the bars it was tested on."""

    fold: Fold
    model: FittedModel
    tested: int


@dataclass(frozen=True)
class WalkForward:
    """The out-of-sample record of one training run.

    Attributes:
        folds: Results in time order.
        predictions: One row per tested bar: key, `bar_known_at`, labels, `fold`, `fold_start`, `trained_through`,
            `up_probability`; sorted by (datetime, symbol).
        final: The model refit on every label known at training time; of a warm start, the newest continuation.
        skipped: Burn-in folds left out because too little history lay before them.
        mode: How the folds were fitted in the end: `exact` or `warm_start`.
        proof: The paired test of a warm start against exact mode, whichever way it went; None in exact mode.
        resumed: Folds taken over from a run that was killed.
    """

    folds: list[FoldResult]
    predictions: pl.DataFrame
    final: FittedModel
    skipped: list[Fold]
    mode: str = "exact"
    proof: WarmStartProof | None = None
    resumed: int = 0

    def tags(self) -> dict[str, str]:
        """How the record came about, as tags of its run."""
        tags = {"mode": self.mode, "folds_resumed": str(self.resumed)}
        if self.proof is not None:
            tags |= {"warm_start": "stands" if self.proof.passed else "fell back to exact"}
            tags |= {f"warm_start.{name}": str(value) for name, value in self.proof.to_dict().items()}
        return tags


def plan_folds(dataset: Dataset, settings: Settings) -> list[Fold]:
    """The folds of an asset class by its split dates and the training settings."""
    splits, training = settings.splits.of(dataset.asset_type), settings.training
    return walk_forward_folds(
        train_end=splits.train_end,
        test_end=splits.test_end,
        last=dataset.keys["datetime"].max(),  # type: ignore[arg-type]
        retrain=training.retrain,
        window=training.window,
        rolling_years=training.rolling_years,
        embargo_days=training.embargo_days,
        burn_in_years=training.burn_in_years,
    )


def run_walk_forward(
    dataset: Dataset, settings: Settings, progress: Progress | None = None, *, cache: Path | None = None
) -> WalkForward:
    """Train and test every fold, then refit on all known labels.

    The same data, settings and seed give the same bits whatever the engine and the number of parallel folds, and after
    any interruption.

    Args:
        dataset: The rows of an asset class.
        settings: Split dates and the section `training`.
        progress: Told how far the work is.
        cache: Folder in which results of single folds wait until the run has succeeded; a run that finds some of its
            own there goes on from them. None: nothing is kept.

    Raises:
        NotEnoughDataError: There is no bar after TRAIN, or a fold after the burn-in has too little history.
    """
    jobs, skipped = plan_jobs(dataset, settings)
    kept = FoldCache.open(cache, dataset, settings)
    with opened_engine(dataset, settings.training) as engine:
        run = FoldRun(engine, kept, progress)
        fits, proof = _fit_all(dataset, settings, run, jobs)
    kept.clear()
    folds = [job for job in jobs if job.fold is not None]
    return WalkForward(
        folds=[FoldResult(job.fold, fits[job.number].model, len(fits[job.number].probability)) for job in folds],  # type: ignore[arg-type]
        predictions=pl.concat([_fold_predictions(dataset, job, fits[job.number]) for job in folds]).sort(
            "datetime", "symbol"
        ),
        final=fits[FINAL].model,
        skipped=skipped,
        mode="warm_start" if proof is not None and proof.passed else "exact",
        proof=proof,
        resumed=run.resumed,
    )


def _fit_all(
    dataset: Dataset, settings: Settings, run: FoldRun, jobs: list[FoldJob]
) -> tuple[dict[int, FoldFit], WarmStartProof | None]:
    """Results by job number: of a warm start that stands, else of exact mode."""
    if settings.training.mode == "exact":
        run.expect(jobs)
        return run.fit(jobs), None
    from training.warm_start import fit_warm

    warm = fit_warm(dataset, settings, run, jobs)
    if warm.proof.passed:
        return warm.fits, warm.proof
    rest = [job for job in jobs if job.number not in warm.exact]
    run.expect(rest)
    return {**warm.exact, **run.fit(rest)}, warm.proof


def plan_jobs(dataset: Dataset, settings: Settings) -> tuple[list[FoldJob], list[Fold]]:
    """One job for each fold that has bars to test and for the final model, in time order; and the folds skipped.

    Raises:
        NotEnoughDataError: There is no bar after TRAIN.
    """
    splits = settings.splits.of(dataset.asset_type)
    test_begin = np.datetime64(splits.train_end, "us") + np.timedelta64(1, "D")
    if not dataset.rows or dataset.datetime.max() < test_begin:
        raise NotEnoughDataError(
            f"{dataset.asset_type}: no bar after train_end {splits.train_end}",
            remedy=f"set splits.{dataset.asset_type} to dates inside your bars",
        )
    jobs: list[FoldJob] = []
    skipped: list[Fold] = []
    for fold in plan_folds(dataset, settings):
        trained = training_positions(dataset, fold)
        burn_in = np.datetime64(fold.test_start.replace(tzinfo=None), "us") < test_begin
        enough = len(trained) >= settings.training.min_train_rows and has_both_directions(dataset, trained)
        if burn_in and not enough:
            skipped.append(fold)
        elif test_rows(fold, dataset.datetime).any():
            jobs.append(FoldJob(fold.index, fold, len(trained)))
    jobs.append(FoldJob(FINAL, None, len(training_positions(dataset, None))))
    return jobs, skipped


def fit_fold(dataset: Dataset, job: FoldJob, settings: TrainingSettings) -> FoldFit:
    """Fit one fold on its own training rows and predict its test rows; depends on nothing else."""
    trained = training_positions(dataset, job.fold)
    if job.previous is None:
        model = fit(dataset, trained, settings)
    else:
        newest = trained[dataset.datetime[as_index(trained)] >= job.since] if job.since is not None else trained
        model = continue_fit(dataset, newest, settings, job.previous)
    tested = tested_positions(dataset, job.fold)
    probability = predict(model.booster, dataset.matrix[as_index(tested)]) if len(tested) else np.empty(0)
    return FoldFit(job.number, model, probability)


def training_positions(dataset: Dataset, fold: Fold | None) -> NDArray[np.intp]:
    """Rising positions of the rows that a fold trains on; without a fold, of every row whose label is known."""
    if fold is None:
        return np.flatnonzero(~np.isnan(dataset.label))
    return np.flatnonzero(train_rows(fold, dataset.datetime, dataset.label_known_at))


def tested_positions(dataset: Dataset, fold: Fold | None) -> NDArray[np.intp]:
    """Rising positions of the rows that a fold is tested on; none without a fold."""
    return np.empty(0, dtype=np.intp) if fold is None else np.flatnonzero(test_rows(fold, dataset.datetime))


@contextmanager
def opened_engine(dataset: Dataset, settings: TrainingSettings) -> Iterator[Engine]:
    """The configured engine with the data at hand; closed at the end.

    Raises:
        TrainingError: The cluster cannot be reached or its workers cannot do the work.
    """
    engine: Engine
    if settings.engine == "dask":
        from training.dask_engine import DaskEngine

        engine = DaskEngine(dataset, settings, fit_fold)
    else:
        engine = LocalEngine(dataset, settings, fit_fold)
    try:
        yield engine
    finally:
        engine.close()


def _fold_predictions(dataset: Dataset, job: FoldJob, done: FoldFit) -> pl.DataFrame:
    instant = pl.Datetime("us", "UTC")
    assert job.fold is not None
    tested = tested_positions(dataset, job.fold)
    return dataset.keys[as_index(tested)].with_columns(
        fold=pl.lit(job.fold.index, dtype=pl.Int64),
        fold_start=pl.lit(job.fold.test_start).cast(instant),
        trained_through=pl.lit(as_utc(done.model.trained_through)).cast(instant),
        up_probability=pl.Series(done.probability),
    )

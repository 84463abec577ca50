"""What the audit needs of a training run: predictions and folds, from the run at hand or from its artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
import xgboost as xgb

from market.assets import AssetType
from market.errors import RegistryError
from registry.store import RunStore
from training.dataset import as_utc
from training.walk_forward import FoldResult, WalkForward

PREDICTIONS_FILE = "predictions/out_of_sample.parquet"
FOLDS_FILE = "folds/folds.json"
RAW, PUBLISHED = "raw_up_probability", "up_probability"


@dataclass(frozen=True)
class FoldRecord:
    """One fold as it was trained; times are UTC.

    Attributes:
        index: The fold's number.
        train_start: First stamp that may train; None for all history.
        train_end: Labels known at or after this may not train.
        test_start: First stamp tested.
        test_end: End of the tested stamps (exclusive).
        trained_through: Newest label among the rows handed to XGBoost.
        train_rows: Rows of the fit.
        tested: Rows predicted.
        seen_rows: First position and last position + 1 of the training rows in the training set; None when unknown.
        booster: Gives the fold's model.
    """

    index: int
    train_start: datetime | None
    train_end: datetime
    test_start: datetime
    test_end: datetime
    trained_through: datetime
    train_rows: int
    tested: int
    seen_rows: tuple[int, int] | None
    booster: Callable[[], xgb.Booster]


@dataclass(frozen=True)
class Record:
    """The out-of-sample record of a training run.

    Attributes:
        run_id: The MLflow run it was read from; None for the run at hand.
        data_hash: Content hash of the training set it was made from.
        folds: In time order.
        predictions: As `training.walk_forward.WalkForward.predictions`, with `raw_up_probability` where calibrated.
        mode: How the folds were fitted: `exact` or `warm_start`.
        settings_differ: Why a fold cannot be fitted again with the settings at hand; empty when it can.
    """

    run_id: str | None
    data_hash: str
    folds: tuple[FoldRecord, ...]
    predictions: pl.DataFrame
    mode: str = "exact"
    settings_differ: str = ""

    @property
    def probability_column(self) -> str:
        """The models' own probabilities, before calibration."""
        return RAW if RAW in self.predictions.columns else PUBLISHED


def record_of(walk_forward: WalkForward, data_hash: str) -> Record:
    """The record of the run at hand."""
    folds = tuple(_fold(result) for result in walk_forward.folds)
    return Record(None, data_hash, folds, walk_forward.predictions, walk_forward.mode)


def load_record(store: RunStore, run_id: str) -> Record:
    """Read the record of a finished run from its artifacts.

    Raises:
        RegistryError: The run or an artifact is missing.
    """
    run = store.run(run_id)
    facts = json.loads(store.artifact(run_id, FOLDS_FILE).read_text(encoding="utf-8"))
    predictions = pl.read_parquet(store.artifact(run_id, PREDICTIONS_FILE))
    folds = tuple(_stored_fold(store, run_id, fold) for fold in facts)
    tags = run.data.tags
    return Record(run_id, tags.get("data_hash", ""), folds, predictions, tags.get("mode", "exact"))


def newest_run(store: RunStore, asset_type: AssetType) -> str | None:
    """Id of the class's newest training run that has a record; studies of an earlier time do not count."""
    runs = store.client.search_runs(
        [store.experiment_id],
        filter_string=f"tags.asset_type = '{asset_type}'",
        order_by=["attributes.start_time DESC"],
        max_results=50,
    )
    for run in runs:
        tags = run.data.tags
        if "as_of" not in tags and "data_hash" in tags and _has_record(store, run.info.run_id):
            return str(run.info.run_id)
    return None


def _has_record(store: RunStore, run_id: str) -> bool:
    try:
        return store.artifact(run_id, PREDICTIONS_FILE).exists()
    except RegistryError:
        return False


def _fold(result: FoldResult) -> FoldRecord:
    fold, model = result.fold, result.model
    seen = model.seen_rows if model.seen_rows != (0, 0) else None
    return FoldRecord(
        index=fold.index,
        train_start=fold.train_start,
        train_end=fold.train_end,
        test_start=fold.test_start,
        test_end=fold.test_end,
        trained_through=as_utc(model.trained_through),
        train_rows=model.rows,
        tested=result.tested,
        seen_rows=seen,
        booster=lambda: model.booster,
    )


def _stored_fold(store: RunStore, run_id: str, facts: dict[str, str | int | None]) -> FoldRecord:
    index = int(facts["fold"])  # type: ignore[arg-type]
    path = store.artifact(run_id, f"folds/fold_{index:03d}.ubj")
    started = facts.get("train_start")

    def instant(name: str) -> datetime:
        return datetime.fromisoformat(str(facts[name]))

    return FoldRecord(
        index=index,
        train_start=None if started is None else datetime.fromisoformat(str(started)),
        train_end=instant("train_end"),
        test_start=instant("test_start"),
        test_end=instant("test_end"),
        trained_through=instant("model_trained_through" if "model_trained_through" in facts else "trained_through"),
        train_rows=int(facts["train_rows"]),  # type: ignore[arg-type]
        tested=int(facts["tested_rows"]),  # type: ignore[arg-type]
        seen_rows=None,
        booster=lambda: _booster(path),
    )


def _booster(path: Path) -> xgb.Booster:
    booster = xgb.Booster()
    booster.load_model(path)
    return booster

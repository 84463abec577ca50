"""A training run that searches, selects and warm-starts, from features to a registered bundle and its tags."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from configs.settings import Settings, load_settings
from flows.context import Context, open_context
from flows.features import features
from flows.ingest import ingest
from flows.prefecting import PlainTasks
from flows.progress import LogReporter
from flows.retrain import TrainReport, train
from registry.store import RunStore


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("TRADEHITS__TRAINING__TUNING__TRIALS", "3")
        patch.setenv("TRADEHITS__TRAINING__SELECTION__METHOD", "permutation")
        patch.setenv("TRADEHITS__TRAINING__MODE", "warm_start")
        patch.setenv("TRADEHITS__TRAINING__WARM_START__MARGIN", "0.2")
        patch.setenv("TRADEHITS__TRAINING__WARM_START__NEW_TREES", "2")
        return load_settings("test")


@pytest.fixture(scope="module")
def context(settings: Settings) -> Context:
    context = open_context(settings, LogReporter(), PlainTasks())
    ingest(context, source="simulated", paths=[], asset_type="crypto")
    features(context)
    return context


@pytest.fixture(scope="module")
def report(context: Context) -> TrainReport:
    return train(context, ["crypto"])[0]


def test_the_run_is_registered_and_says_how_it_came_about(context: Context, report: TrainReport) -> None:
    run = RunStore(context.settings).client.get_run(report.run_id)
    assert report.status in ("champion", "challenger")
    assert run.data.tags["mode"] == "warm_start"
    assert run.data.tags["warm_start"] == "stands"
    assert float(run.data.tags["warm_start.brier_excess_bound"]) <= 0.2
    assert run.data.tags["folds_resumed"] == "0"
    assert run.data.metrics["tuning_trials"] == 4


def test_every_trial_is_kept_with_the_run(context: Context, report: TrainReport) -> None:
    client = RunStore(context.settings).client
    choice = _choice(context, report)
    assert [trial["number"] for trial in choice["trials"]] == [0, 1, 2]
    assert choice["chosen_through"] < date(2022, 1, 1).isoformat()
    best = min(choice["trials"], key=lambda trial: trial["log_loss"])
    assert float(client.get_run(report.run_id).data.params["xgboost.learning_rate"]) == best["learning_rate"]


def test_no_check_failed_on_a_chosen_warm_started_run(report: TrainReport) -> None:
    assert [check for check in report.checks if check.status == "failed"] == []


def test_the_record_is_that_of_the_chosen_features(context: Context, report: TrainReport) -> None:
    client = RunStore(context.settings).client
    record = pl.read_parquet(client.download_artifacts(report.run_id, "predictions/out_of_sample.parquet"))
    assert (record["trained_through"] <= record["fold_start"]).all()
    choice = _choice(context, report)
    kept = [one["feature"] for one in choice["features"] if one["kept"]]
    assert 5 <= len(kept) < len(choice["features"])


def test_nothing_waits_in_the_cache_after_the_run(context: Context, report: TrainReport) -> None:
    assert report.folds > 0
    assert list((context.settings.paths.cache / "walk_forward").rglob("*.npz")) == []


def _choice(context: Context, report: TrainReport) -> dict[str, Any]:
    client = RunStore(context.settings).client
    return json.loads(Path(client.download_artifacts(report.run_id, "tuning/choice.json")).read_text())

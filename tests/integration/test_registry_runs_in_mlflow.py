"""Runs are written to a real MLflow store: all of it, in the right place, and nothing anywhere else."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure
from polars.testing import assert_frame_equal

from configs.settings import Settings, load_settings
from market.errors import RegistryError
from registry.mlflow_api import MlflowException
from registry.store import DatasetSnapshot, RunStore


def settings_at(home: Path) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        return load_settings("test")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    return RunStore(settings_at(tmp_path_factory.mktemp("mlflow") / "my home"))


@pytest.fixture
def run(store: RunStore) -> Iterator[str]:
    with store.start_run("a run") as run_id:
        yield run_id


def status(store: RunStore, run_id: str) -> str:
    return store.run(run_id).info.status


def test_a_run_ends_finished_and_is_named(store: RunStore) -> None:
    with store.start_run("stocks", tags={"asset_type": "stocks"}) as run_id:
        assert status(store, run_id) == "RUNNING"
    run = store.run(run_id)
    assert (run.info.status, run.info.run_name, run.data.tags["asset_type"]) == ("FINISHED", "stocks", "stocks")


def test_a_run_left_by_an_exception_is_failed_and_says_why(store: RunStore) -> None:
    with pytest.raises(RegistryError, match="no luck"), store.start_run("etf") as run_id:
        raise RegistryError("no luck", remedy="try again")
    run = store.run(run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == "RegistryError: no luck\n  remedy: try again"


def test_an_interrupted_run_is_killed(store: RunStore) -> None:
    with pytest.raises(KeyboardInterrupt), store.start_run("etf") as run_id:
        raise KeyboardInterrupt
    assert status(store, run_id) == "KILLED"


def test_a_failing_child_fails_its_parent_and_not_its_siblings(store: RunStore) -> None:
    with pytest.raises(ValueError, match="child"), store.start_run("parent") as parent:
        with store.start_run("first", parent=parent) as first:
            pass
        with store.start_run("second", parent=parent) as second:
            raise ValueError("child")
    assert [status(store, run_id) for run_id in (parent, first, second)] == ["FAILED", "FINISHED", "FAILED"]


def test_children_are_found_below_their_parent(store: RunStore) -> None:
    with store.start_run("walk-forward") as parent:
        for name in ("stocks", "etf", "crypto"):
            with store.start_run(name, parent=parent):
                pass
    assert [child.info.run_name for child in store.children(parent)] == ["stocks", "etf", "crypto"]
    found = store.client.search_runs([store.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert sorted(child.info.run_name for child in found) == ["crypto", "etf", "stocks"]


def test_metrics_keep_their_steps_and_what_is_not_a_number_is_left_out(store: RunStore, run: str) -> None:
    store.log_metrics(
        run, [("auc", 0.51, 0), ("auc", 0.53, 2), ("brier", None, 0), ("auc", float("nan"), 1), ("x", float("inf"), 0)]
    )
    assert [(point.step, point.value) for point in store.client.get_metric_history(run, "auc")] == [
        (0, 0.51),
        (2, 0.53),
    ]
    assert store.run(run).data.metrics == {"auc": 0.53}


def test_thousands_of_metrics_take_one_call_for_each_thousand(store: RunStore, run: str, monkeypatch) -> None:
    sizes: list[int] = []
    log_batch = store.client.log_batch

    def counting(run_id: str, **entities: list[object]) -> None:
        sizes.append(len(entities["metrics"]))
        log_batch(run_id, **entities)

    monkeypatch.setattr(store.client, "log_batch", counting)
    store.log_metrics(run, ((f"metric_{i % 50}", i / 7, i // 50) for i in range(2345)))
    assert sizes == [1000, 1000, 345]
    history = store.client.get_metric_history(run, "metric_49")
    assert len(history) == 46
    assert history[-1].value == (45 * 50 + 49) / 7


def test_no_metrics_at_all_are_no_error(store: RunStore, run: str) -> None:
    store.log_metrics(run, [])
    store.log_params(run, {})


def test_parameters_are_texts_or_json(store: RunStore, run: str) -> None:
    store.log_params(
        run,
        {
            "retrain": "quarterly",
            "learning_rate": 0.05,
            "on": True,
            "none": None,
            "end": date(2022, 12, 31),
            "f": ("a", "b"),
        },
    )
    assert store.run(run).data.params == {
        "retrain": "quarterly",
        "learning_rate": "0.05",
        "on": "true",
        "none": "null",
        "end": '"2022-12-31"',
        "f": '["a", "b"]',
    }


def test_a_value_too_long_for_mlflow_is_cut_and_says_so(store: RunStore, run: str) -> None:
    store.log_params(run, {"fits": "x" * 6000, "long": "x" * 6001})
    store.set_tags(run, {"long": "y" * 9000})
    run_data = store.run(run).data
    assert run_data.params["fits"] == "x" * 6000
    assert run_data.params["long"] == "x" * 5992 + " … (cut)"
    assert run_data.tags["long"].endswith("y … (cut)")
    assert len(run_data.tags["long"]) == 8000


def test_more_than_a_hundred_parameters_are_split_into_batches(store: RunStore, run: str) -> None:
    store.log_params(run, {f"p{i:03d}": i for i in range(250)})
    assert len(store.run(run).data.params) == 250


def test_a_parameter_is_never_changed(store: RunStore, run: str) -> None:
    store.log_params(run, {"seed": 7})
    with pytest.raises(RegistryError, match=f"parameters of run {run} were refused") as caught:
        store.log_params(run, {"seed": 8})
    assert caught.value.remedy == "a run keeps its parameters: log each once, or start another run"
    assert store.run(run).data.params["seed"] == "7"


def test_artifacts_come_back_as_they_were(store: RunStore, run: str) -> None:
    frame = pl.DataFrame({"symbol": ["A", None], "p": [0.5, None]})
    store.log_table(run, frame, "predictions/out_of_sample.parquet")
    store.log_text(run, "trained … yes", "notes.txt")
    store.log_json(run, {"day": date(2024, 1, 2), "n": 3}, "folds/plan.json")
    store.log_bytes(run, b"\x00\xff", "folds/fold_000.ubj")
    assert_frame_equal(pl.read_parquet(store.artifact(run, "predictions/out_of_sample.parquet")), frame)
    assert store.artifact(run, "notes.txt").read_text(encoding="utf-8") == "trained … yes"
    assert json.loads(store.artifact(run, "folds/plan.json").read_text()) == {"day": "2024-01-02", "n": 3}
    assert store.artifact(run, "folds/fold_000.ubj").read_bytes() == b"\x00\xff"
    assert [item.path for item in store.client.list_artifacts(run, "folds")] == [
        "folds/fold_000.ubj",
        "folds/plan.json",
    ]


def test_a_figure_becomes_a_png(store: RunStore, run: str) -> None:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    store.log_figure(run, figure, "plots/roc.png")
    assert store.artifact(run, "plots/roc.png").read_bytes().startswith(b"\x89PNG")


def test_nan_in_json_is_refused_before_anything_is_written(store: RunStore, run: str) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.log_json(run, {"auc": float("nan")}, "bad.json")
    with pytest.raises(RegistryError, match=rf"run {run} has no artifact 'bad.json'"):
        store.artifact(run, "bad.json")


def test_an_unknown_run_is_named(store: RunStore) -> None:
    with pytest.raises(RegistryError, match="no run 0123456789abcdef0123456789abcdef"):
        store.run("0123456789abcdef0123456789abcdef")
    with pytest.raises(RegistryError, match="has no artifact 'x'"):
        store.artifact("0123456789abcdef0123456789abcdef", "x")


def test_the_data_a_run_saw_is_described_and_not_copied(store: RunStore, run: str) -> None:
    snapshot = DatasetSnapshot(
        name="stocks/default",
        source={"sources": ["sample"]},
        columns={"symbol": pl.String(), "datetime": pl.Datetime("us", "UTC"), "rsi": pl.Float32(), "label": pl.Int64()},
        profile={"rows": 13_000, "first": date(2000, 3, 1)},
        digest="ab" * 32,
    )
    store.log_dataset(run, snapshot)
    (logged,) = store.run(run).inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("stocks/default", "ab" * 18)
    assert {tag.key: tag.value for tag in logged.tags} == {"mlflow.data.context": "training"}
    profile = json.loads(logged.dataset.profile)
    assert profile == {"rows": 13_000, "first": "2000-03-01", "content_hash": "ab" * 32}
    schema = json.loads(logged.dataset.schema)["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in schema] == [
        ("symbol", "string"),
        ("datetime", "datetime"),
        ("rsi", "double"),
        ("label", "long"),
    ]


def test_runs_written_from_several_threads_do_not_mix(store: RunStore) -> None:
    def one(number: int) -> str:
        with store.start_run(f"thread {number}") as run_id:
            for step in range(5):
                store.log_metrics(run_id, [("number", number, step)])
            store.log_text(run_id, str(number), "number.txt")
        return run_id

    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(one, range(8)))
    for number, run_id in enumerate(runs):
        assert [point.value for point in store.client.get_metric_history(run_id, "number")] == [number] * 5
        assert store.artifact(run_id, "number.txt").read_text() == str(number)


def test_mlflows_global_state_telemetry_and_the_working_folder_stay_untouched(
    store: RunStore, tmp_path, monkeypatch
) -> None:
    import mlflow
    from mlflow.telemetry import get_telemetry_client

    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    with store.start_run("here") as run_id:
        store.log_text(run_id, "x", "x.txt")
        assert mlflow.active_run() is None
    assert mlflow.get_tracking_uri() == before
    assert get_telemetry_client() is None
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_moved_is_read_where_it_is_and_writes_nothing_to_the_old_place(store: RunStore, tmp_path) -> None:
    with store.start_run("before the move") as old:
        store.log_text(old, "kept", "notes.txt")
    moved_settings = settings_at(tmp_path / "moved")
    first_home = tmp_path / "first"
    for home in (first_home, tmp_path / "moved"):
        shutil.copytree(store.settings.paths.mlruns, settings_at(home).paths.mlruns)
    shutil.rmtree(first_home)
    before = sorted(store.artifact_root.iterdir())
    moved = RunStore(moved_settings)
    assert moved.artifact(old, "notes.txt").is_relative_to(tmp_path / "moved")
    with moved.start_run("after the move") as new:
        moved.log_text(new, "new", "notes.txt")
    assert moved.artifact(new, "notes.txt") == moved.artifact_root / new / "artifacts" / "notes.txt"
    assert sorted(store.artifact_root.iterdir()) == before
    assert RunStore(moved_settings).experiment_id == moved.experiment_id != store.experiment_id


def test_opening_twice_finds_the_same_experiment(store: RunStore) -> None:
    assert RunStore(store.settings).experiment_id == store.experiment_id
    experiment = store.client.get_experiment(store.experiment_id)
    assert experiment.name == "walk_forward"
    assert experiment.artifact_location == store.settings.mlflow_artifacts


def test_a_database_of_another_mlflow_is_refused_with_the_command_that_upgrades_it(store: RunStore, tmp_path) -> None:
    settings = settings_at(tmp_path / "other")
    settings.paths.mlruns.mkdir(parents=True)
    shutil.copy(store.settings.paths.mlruns / "mlflow.db", settings.paths.mlruns / "mlflow.db")
    with sqlite3.connect(settings.paths.mlruns / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    with pytest.raises(RegistryError, match="cannot open MLflow's store sqlite:///") as caught:
        RunStore(settings)
    assert caught.value.remedy.endswith(f"mlflow db upgrade {settings.mlflow_uri}")
    assert isinstance(caught.value.__cause__, MlflowException)

"""A part fails: warehouse locked, MLflow down, online store gone, Gemini down, disk full. All is said, nothing lost."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from flows.context import exclusive
from flows.monitor import monitor
from flows.prefecting import may_pass
from flows.publish_snapshot import publish_snapshot
from market.errors import FeatureError, RegistryError, TradeHitsError, WarehouseFileError, WarehouseLockedError
from serving.snapshot import load_snapshot
from tests.integration.inference_world import World, days_pass, world_at
from warehouse.duckdb import DuckDBWarehouse

HOLD = """
import sys, time
from filelock import ReadWriteLock
lock = ReadWriteLock(sys.argv[1], is_singleton=False)
lock.acquire_write()
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""
UNTOUCHED_BY_A_RUN = ("asset_settings", "table_writes")
"""Clock, thresholds and times of writing are noted by every command."""

PREDICTED = ('"ml_models"."realtime_predictions"', '"ml_models"."walk_forward_predictions_v2"')


@pytest.fixture(scope="module")
def morning(inference_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Friday is predicted, a day of crypto is new, and nothing has failed yet."""
    home = tmp_path_factory.mktemp("morning") / "home"
    world = world_at(home, inference_home)
    world.predict()
    days_pass(world, 1)
    return home


@pytest.fixture
def world(morning: Path, tmp_path: Path) -> World:
    return world_at(tmp_path / "own", morning)


def again(world: World, **changes: object) -> World:
    """The same home with other settings."""
    return world_at(world.settings.paths.home.parent, **changes)


def contents(world: World) -> dict[str, tuple[int, int]]:
    assert isinstance(world.warehouse, DuckDBWarehouse)
    found = {one.table: (one.rows, one.content_hash) for one in world.warehouse.contents()}
    return {name: value for name, value in found.items() if not any(part in name for part in UNTOUCHED_BY_A_RUN)}


def recovers(world: World) -> None:
    """The next run does what the failed one was for."""
    report = world.predict()
    assert {one.asset_type: (one.predicted, one.written.predictions) for one in report.classes} == {
        "stocks": (6, 0),
        "crypto": (6, 6),
    }


@contextmanager
def held(world: World, seconds: float) -> Iterator[None]:
    """Another process writes to the warehouse."""
    lock = f"{world.settings.paths.warehouse_file}.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, lock, str(seconds)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        yield
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


@contextmanager
def files_end_at(limit_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond a size: what a full disk does, on any machine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_locked_warehouse_is_waited_for_and_then_named_with_what_to_do(world: World) -> None:
    impatient = again(world, warehouse=world.settings.warehouse.model_copy(update={"lock_timeout_seconds": 0.2}))
    before = contents(world)
    with held(world, 60.0), pytest.raises(WarehouseLockedError) as locked:
        impatient.predict()
    assert "within 0.2 s" in locked.value.message and "warehouse.duckdb.lock" in locked.value.message
    assert locked.value.remedy.startswith("wait for the other command to end, or raise warehouse.lock_timeout_seconds")
    assert may_pass(locked.value), "Prefect tries it again"
    assert contents(world) == before
    with held(world, 1.0):  # the other process ends its work meanwhile
        recovers(world)


@pytest.mark.slow
def test_a_lost_online_store_is_loaded_again_by_the_next_run(world: World) -> None:
    online = list((world.settings.paths.state / "feast").glob("*online*"))
    assert online
    for file in online:
        file.unlink()
    recovers(world)


def test_a_redis_that_does_not_answer_is_named_tried_again_and_costs_nothing(world: World) -> None:
    redis = world.settings.feast.redis.model_copy(update={"port": 1})
    feast = world.settings.feast.model_copy(update={"online_store": "redis", "redis": redis})
    before = contents(world)
    with pytest.raises(FeatureError, match="Redis at localhost:1 does not answer") as down:
        again(world, feast=feast).predict()
    assert down.value.remedy == "start it, or mend feast.redis and TRADEHITS_REDIS_PASSWORD"
    assert may_pass(down.value)
    after = contents(world)
    assert [after[name] for name in PREDICTED] == [before[name] for name in PREDICTED]
    recovers(again(world))


@pytest.mark.slow
def test_a_gemini_that_is_down_costs_its_opinion_and_is_said(world: World) -> None:
    gemini = world.settings.gemini.model_copy(
        update={
            "enabled": True,
            "ask_about_past": True,
            "api_key": SecretStr("AIza-test"),
            "base_url": "http://127.0.0.1:9",
            "attempts": 1,
        }
    )
    report = again(world, gemini=gemini).predict(classes=["crypto"])
    [crypto] = report.classes
    assert (crypto.written.predictions, crypto.gemini) == (6, {"error": 6})
    assert crypto.note.startswith("Gemini gave no usable answer to 6 of 6 questions, XGBoost stands")
    made = world.rows().filter(gemini_status="error")
    assert made["ensemble_up_probability"].to_list() == made["xgb_up_probability"].to_list()


def test_an_mlflow_server_that_is_down_is_named_and_nothing_is_predicted(world: World) -> None:
    before = contents(world)
    mlflow = world.settings.mlflow.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    with pytest.raises(RegistryError, match=r"the MLflow server http://127\.0\.0\.1:9 does not answer") as down:
        again(world, mlflow=mlflow).predict(classes=["crypto"])
    assert down.value.remedy == "start it, or mend mlflow.tracking_uri"
    after = contents(world)
    assert [after[name] for name in PREDICTED] == [before[name] for name in PREDICTED]
    recovers(again(world))


@pytest.mark.slow
def test_without_its_mlflow_store_nothing_is_predicted_and_nothing_is_lost(world: World) -> None:
    before, mlruns = contents(world), world.settings.paths.mlruns
    mlruns.rename(mlruns.with_name("away"))
    environment = {"TRADEHITS_HOME": str(world.settings.paths.home.parent), "TRADEHITS_PROFILE": "test"}
    for command, message in (("predict", "walk_forward_crypto/1"), ("train", "another model would get its name")):
        gone = subprocess.run(  # a process of its own: MLflow keeps a database open by its name for as long as it lives
            [str(Path(sys.executable).with_name("tradehits")), command, "--asset-type", "crypto"],
            env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert gone.returncode == 1
        assert message in gone.stderr
        assert "remedy:" in gone.stderr
        assert "Traceback" not in gone.stderr
    after = contents(world)
    assert [after[name] for name in PREDICTED] == [before[name] for name in PREDICTED]
    shutil.rmtree(mlruns)
    mlruns.with_name("away").rename(mlruns)
    recovers(world)


@pytest.mark.slow
def test_a_damaged_mlflow_database_is_named(world: World) -> None:
    database = world.settings.paths.mlruns / "mlflow.db"
    whole = database.read_bytes()
    database.write_bytes(b"no database" * 1000)
    with pytest.raises(RegistryError, match=r"mlflow\.db"):
        world.predict(classes=["crypto"])
    database.write_bytes(whole)
    recovers(world)


def test_a_full_disk_undoes_the_write_and_says_how_to_free_space(world: World) -> None:
    before = contents(world)
    with files_end_at(100_000), pytest.raises(WarehouseFileError) as full, exclusive(world.settings):
        world.predict(classes=["crypto"])
    assert full.value.message.startswith("the disk is full")
    assert "free space" in full.value.remedy
    assert not may_pass(full.value), "another attempt would fail as well"
    after = contents(again(world))
    assert [after[name] for name in PREDICTED] == [before[name] for name in PREDICTED]
    recovers(again(world))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_wherever_the_disk_is_full_the_error_is_named_and_the_next_run_completes(
    world: World, morning: Path, tmp_path: Path
) -> None:
    """From files of a kilobyte to the warehouse's: staging, Feast's copies, SQLite, snapshot, the file itself."""
    size = world.settings.paths.warehouse_file.stat().st_size
    ended = []
    for limit in sorted({*(2**power for power in range(12, 24)), int(size * 0.9), int(size * 0.99), size, size + 4096}):
        own = world_at(tmp_path / str(limit), morning)  # a place of its own: MLflow keeps databases open by their names
        before = contents(own)
        try:
            with files_end_at(limit), exclusive(own.settings):
                own.predict()
                monitor(own.context)
                publish_snapshot(own.settings, warehouse=own.warehouse)
        except TradeHitsError as error:
            assert error.remedy, f"{limit} bytes: {error}"
            ended.append(type(error).__name__)
        after = contents(again(own))
        for name in ('"ml_models"."realtime_predictions"', '"tradehits"."bar_versions"'):
            assert after[name][0] >= before[name][0], f"{limit} bytes: {name} lost rows"
        report = again(own).predict()
        assert [one.predicted for one in report.classes] == [6, 6], f"{limit} bytes"
        assert monitor(again(own).context).succeeded
        load_snapshot(own.settings.paths.snapshot_file)
        shutil.rmtree(own.settings.paths.home)
    assert "WarehouseFileError" in ended


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_warehouse_locked_for_a_minute_delays_a_run_and_fails_none(world: World) -> None:
    started = time.monotonic()
    with held(world, 60.0):
        recovers(world)
    assert time.monotonic() - started > 55.0, "the lock was held all the time"

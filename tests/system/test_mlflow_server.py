"""Runs and models behind a real MLflow server that keeps the files too: nothing of them lies on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from numpy.testing import assert_array_equal

from configs.settings import Settings, load_settings
from market.errors import RegistryError
from registry.bundle import Bundle
from registry.models import ModelRegistry
from registry.store import RunStore
from registry.traces import ModelCall, TraceStore
from tests.bundles import info, rows, train

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    store = (f"--backend-store-uri=sqlite:///{folder}/server.db", f"--artifacts-destination={folder}/files")
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *store, *options],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 180
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert time.monotonic() < end, (folder / "log").read_text()[-3000:]
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def machine(home: Path, server: str) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        patch.setenv("TRADEHITS__MLFLOW__TRACKING_URI", server)
        return load_settings("test")


def test_a_model_that_one_machine_registers_another_one_loads(server: str, tmp_path: Path) -> None:
    here, there = (ModelRegistry(RunStore(machine(tmp_path / name, server))) for name in ("here", "there"))
    with here.store.start_run("stocks") as run_id:
        here.store.log_text(run_id, "seen", "notes/first.txt")
        bundle = Bundle(train(trees=7), info(run_id=run_id, trees=7))
        version = here.register(bundle, here.log_bundle(run_id, bundle, rows()[:5]))
    here.set_alias("stocks", "champion", version)

    assert there.champion_version("stocks") == "walk_forward_stocks/1"
    assert_array_equal(there.load_bundle("stocks").predict(rows()), bundle.predict(rows()))
    assert there.store.artifact(run_id, "notes/first.txt").read_text() == "seen"
    here.store.log_text(run_id, "seen again", "notes/first.txt")
    assert there.store.artifact(run_id, "notes/first.txt").read_text() == "seen again"
    assert there.store.artifact_root == tmp_path / "there" / "test" / "cache" / "mlflow-artifacts"
    assert not [path.name for path in there.store.artifact_root.iterdir() if path.name.startswith(".fetching")]
    with pytest.raises(RegistryError, match=r"has no artifact 'notes/second\.txt'"):
        there.store.artifact(run_id, "notes/second.txt")

    there.store.files.forget_run(run_id)
    with pytest.raises(RegistryError, match="has no artifact"):
        here.store.artifact(run_id, "notes/first.txt")
    assert there.load_bundle("stocks").info.trees == 7  # a model's files are its own


def test_a_model_whose_files_the_server_lost_is_named(server: str, tmp_path: Path) -> None:
    registry = ModelRegistry(RunStore(machine(tmp_path / "one", server)))
    with registry.store.start_run("etf") as run_id:
        bundle = Bundle(train(trees=7), info(asset_type="etf", run_id=run_id, trees=7))
        logged = registry.log_bundle(run_id, bundle)
        version = registry.register(bundle, logged)
    registry.store.files._repository(logged.folder).delete_artifacts()
    other = ModelRegistry(RunStore(machine(tmp_path / "two", server)))
    with pytest.raises(RegistryError, match="are gone from mlflow-artifacts:/tradehits-test"):
        other.load_bundle("etf", version)


def test_traces_go_to_the_server(server: str, tmp_path: Path) -> None:
    call = ModelCall(
        call_id="0123456789abcdef0123456789abcdef",
        name="NVDA",
        model="gemini",
        started_at=datetime(2026, 1, 5, tzinfo=UTC),
        seconds=1.5,
        error=None,
        inputs={"symbol": "NVDA"},
        outputs={"up": 0.5},
        input_tokens=10,
        output_tokens=2,
        cost_usd=0.001,
    )
    store = TraceStore(machine(tmp_path, server))
    store.write([call])
    found = store._client.search_traces(locations=[store._experiment_id])
    assert [one.info.trace_id for one in found] == ["tr-0123456789abcdef0123456789abcdef"]

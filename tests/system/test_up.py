"""`tradehits up` on a small trained home: every page, every schedule once on a real Prefect server, nothing left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.up_leftovers import end_marked, marked
from tests.system.browser import open_browser

TRADEHITS = Path(sys.executable).parent / "tradehits"
NAMES = ("ml-daily-inference", "ml-weekly-retrain", "ml-model-monitoring", "ml-backtest-daily")
OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]


class World:
    """A home with champions, and the ports of its pages."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with_ports = [socket.socket() for _ in range(4)]
        for probe in with_ports:
            probe.bind(("127.0.0.1", 0))
        self.mlflow, self.prefect, self.reports, self.service = (one.getsockname()[1] for one in with_ports)
        for probe in with_ports:
            probe.close()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TRADEHITS", "PREFECT"))}
        self.environment = inherited | {
            "TRADEHITS_HOME": str(home),
            "TRADEHITS_PROFILE": "test",
            "TRADEHITS__UP__MLFLOW_PORT": str(self.mlflow),
            "TRADEHITS__UP__PREFECT_PORT": str(self.prefect),
            "TRADEHITS__UP__REPORTS_PORT": str(self.reports),
            "TRADEHITS__SERVING__PORT": str(self.service),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "150",
        }

    @property
    def mark(self) -> str:
        return str(self.home / "test" / "state")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(TRADEHITS), *arguments], env=self.environment, capture_output=True, text=True, timeout=600, check=False
        )

    def start(self) -> subprocess.Popen[str]:
        output = (self.home / "up.out").open("w")
        return subprocess.Popen(  # in a session of its own: an interrupt of the tests is not its interrupt
            [str(TRADEHITS), "up"],
            env=self.environment,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )

    def told(self) -> str:
        return (self.home / "up.out").read_text()

    def api(self, path: str, body: Any = None) -> Any:
        method = "GET" if body is None else "POST"
        for pause in (1, 2, 4, 8, 0):  # a server whose database is busy says so, and Prefect's own client asks again
            answer = httpx.request(
                method, f"http://127.0.0.1:{self.prefect}/api{path}", json=body, timeout=60, trust_env=False
            )
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(pause)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("home"))
    done = made.run("run")
    assert done.returncode == 0, done.stderr[-3000:]
    yield made
    end_marked(made.mark)


@pytest.fixture
def running(world: World) -> Iterator[subprocess.Popen[str]]:
    """`tradehits up`, ready, and ended at the end whatever happened."""
    process = world.start()
    try:
        wait(lambda: "Ctrl-C stops everything" in world.told() or process.poll() is not None, 300)
        assert process.poll() is None, world.told()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)


def wait(true: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(1)


def test_check_finds_every_page_as_it_should_be_and_leaves_nothing(world: World) -> None:
    done = world.run("up", "--check", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    checks = {(one["page"], one["what"]): one for one in json.loads(done.stdout)}
    assert all(one["ok"] for one in checks.values())
    assert "walk_forward" in checks["mlflow", "experiments of this store"]["found"]
    assert "01:30" in checks["prefect", "ml-daily-inference"]["found"]
    assert checks["prefect", "ml-weekly-retrain"]["found"].startswith("next run Sun ")
    assert checks["service", "models behind the answers"]["found"].count("walk_forward_") == 3
    assert not list(marked(world.mark))


def test_each_deployment_completes_on_the_real_server_with_its_artifacts(
    world: World, running: subprocess.Popen[str], tmp_path: Path
) -> None:
    found = {one["name"]: one for one in world.api("/deployments/filter", {})}
    assert set(found) == set(NAMES)
    for name in NAMES:  # one by one: retraining would wait for the inference of today anyhow
        state = {"state": {"type": "SCHEDULED"}}
        run = world.api(f"/deployments/{found[name]['id']}/create_flow_run", state)["id"]
        wait(lambda run=run: world.api(f"/flow_runs/{run}")["state"]["type"] in OVER, 600)
        ended = world.api(f"/flow_runs/{run}")
        assert (ended["state"]["type"], ended["state"]["name"]) == ("COMPLETED", "Completed"), ended["state"]
        assert ended["name"].startswith(f"{name} 20")
        artifacts = world.api("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        assert {f"{name}-summary", f"{name}-table"} <= {one["key"] for one in artifacts}
        (summary,) = [one["data"] for one in artifacts if one["key"] == f"{name}-summary"]
        assert f"http://127.0.0.1:{world.mlflow}" in summary
        tasks = world.api("/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        assert tasks and {one["state_type"] for one in tasks} == {"COMPLETED"}
    look_at_pages(world, tmp_path)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=120) == 0, world.told()
    assert not list(marked(world.mark))


def look_at_pages(world: World, folder: Path) -> None:
    """A browser that can reach this machine alone draws every page, with this home's data in it."""
    prefect, mlflow = f"http://127.0.0.1:{world.prefect}", f"http://127.0.0.1:{world.mlflow}"
    pages = {
        f"{prefect}/deployments": ("ml-weekly-retrain", "At 01:30 AM every day"),
        f"{prefect}/runs": ("ml-daily-inference 20", "Completed"),
        f"{mlflow}/#/experiments": ("walk_forward", "backtests"),
        f"http://127.0.0.1:{world.service}/": ("/api/ml/predictions", "/predict"),
        f"http://127.0.0.1:{world.reports}/": ("TradeHits reports", "stocks"),
    }
    with open_browser(folder) as browser:
        for address, texts in pages.items():
            drawn = " && ".join(f"document.body.innerText.toLowerCase().includes({text.lower()!r})" for text in texts)
            seen = browser.see(address, width=1400, dark=False, ready=drawn, question="document.title")
            assert seen.left == (), f"{address} asked other machines: {seen.left}"


def test_what_a_killed_up_left_is_ended_by_the_next_and_its_lost_runs_are_settled(world: World) -> None:
    first = world.start()
    wait(lambda: "Ctrl-C stops everything" in world.told() or first.poll() is not None, 300)
    deployment = next(one for one in world.api("/deployments/filter", {}) if one["name"] == "ml-weekly-retrain")
    run = world.api(f"/deployments/{deployment['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]
    wait(lambda: world.api(f"/flow_runs/{run}")["state"]["type"] == "RUNNING", 300)
    first.kill()
    first.wait(timeout=10)
    assert list(marked(world.mark)), "whatever it started lives on"
    second = world.start()
    try:
        wait(lambda: "Ctrl-C stops everything" in world.told() or second.poll() is not None, 300)
        assert "an earlier `up` was killed and left" in world.told()
        assert world.api(f"/flow_runs/{run}")["state"]["type"] == "CRASHED"
    finally:
        second.send_signal(signal.SIGINT)
        second.wait(timeout=120)
    assert not list(marked(world.mark))

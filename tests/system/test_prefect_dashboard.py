"""`tradehits` commands appear in a Prefect dashboard when one is configured: a real server, asked over its API."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

BIN = Path(sys.executable).parent
pytestmark = [pytest.mark.system, pytest.mark.timeout(280)]
FEW = {"TRADEHITS__SIMULATION__PLANTED_SYMBOLS": "1", "TRADEHITS__SIMULATION__NOISE_SYMBOLS": "0"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A Prefect server on loopback with a home of its own; yields its API address and its clients' environment."""
    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRADEHITS", "PREFECT"))}
    environment |= {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    log = (home / "server.log").open("w")
    process = subprocess.Popen(
        [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        env=environment, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    api = f"http://127.0.0.1:{port}/api"
    try:
        for _ in range(240):
            if process.poll() is not None:
                pytest.fail(f"the Prefect server ended: {(home / 'server.log').read_text()[-2000:]}")
            try:
                if httpx.get(f"{api}/health", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(1)
        else:
            pytest.fail("the Prefect server did not answer")
        yield api, environment
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


def test_a_command_shows_up_as_a_flow_run_with_its_steps(server: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    api, environment = server
    home = {"TRADEHITS_HOME": str(tmp_path / "home"), "PREFECT_API_URL": api} | FEW
    done = subprocess.run(
        [str(BIN / "tradehits"), "ingest", "--asset-type", "crypto", "--profile", "test"],
        env=environment | home, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = httpx.post(f"{api}/flow_runs/filter", json={}, timeout=30).json()
    assert run["state_type"] == "COMPLETED"
    flow = httpx.get(f"{api}/flows/{run['flow_id']}", timeout=30).json()
    assert flow["name"] == "ingest"
    tasks = httpx.post(f"{api}/task_runs/filter", json={}, timeout=30).json()
    assert {task["name"] for task in tasks} == {"read-bars", "store-crypto"}
    assert {task["state_type"] for task in tasks} == {"COMPLETED"}


def test_a_failed_step_is_a_failed_flow_run_and_exit_code_1(server: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    api, environment = server
    home = {"TRADEHITS_HOME": str(tmp_path / "home"), "PREFECT_API_URL": api} | FEW
    done = subprocess.run(
        [str(BIN / "tradehits"), "features", "--profile", "test"],
        env=environment | home, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "there are no bars to build features from" in done.stderr
    runs = httpx.post(f"{api}/flow_runs/filter", json={"sort": "START_TIME_DESC", "limit": 1}, timeout=30).json()
    assert runs[0]["state_type"] == "FAILED"

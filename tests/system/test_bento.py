"""A bento as it is shipped: built from the project, served from its own files, answering as `tradehits serve` does."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.served import RawAnswer, request, speak
from tests.service_world import ServiceWorld, scores, service_world

pytestmark = pytest.mark.system

REPO = Path(__file__).resolve().parents[2]
BENTOML = Path(sys.executable).with_name("bentoml")
PACKED = {
    *("market", "configs", "warehouse", "registry", "feature_repo", "serving", "gemini_ensemble_integration.py"),
    *("pyproject.toml", "constraints.txt", "docs", "bentofile.yaml"),
}
ALONE = """
import sys

sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path = [place for place in sys.path if "editable" not in place and place != {repo!r}]
"""
"""Run at every start of Python: the project that is installed for tests is not to be found, only the bento is."""


@dataclass(frozen=True)
class Bento:
    """A built bento in a store of its own, with a published state to serve."""

    world: ServiceWorld
    home: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Bento:
    root = tmp_path_factory.mktemp("bento")
    world = service_world(root / "home")
    (root / "alone").mkdir()
    (root / "alone" / "sitecustomize.py").write_text(ALONE.format(repo=str(REPO)))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TRADEHITS", "BENTOML"))},
        "BENTOML_HOME": str(root / "store"),
        "BENTOML_DO_NOT_TRACK": "true",
        "TRADEHITS_HOME": str(root / "home"),
        "TRADEHITS_PROFILE": "test",
        "PYTHONPATH": str(root / "alone"),
    }
    project = copied_project(root / "project")
    build = {**environment, "PYTHONPATH": str(project)}
    command = [BENTOML, "build", "--version", "1", project]
    subprocess.run(command, env=build, cwd=project, check=True, timeout=240, capture_output=True)
    return Bento(world, root, environment)


def copied_project(to: Path) -> Path:
    """The project as a user has it: with an environment of its own, compiled files and tests beside the sources."""
    for name in PACKED - {"bentofile.yaml"}:
        if (REPO / name).is_dir():
            shutil.copytree(REPO / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            to.mkdir(exist_ok=True)
            shutil.copy(REPO / name, to / name)
    for other in ("env/lib/pandas/pyproject.toml", "tests/constraints.txt", "market/__pycache__/bars.pyc", "docs/x.md"):
        (to / other).parent.mkdir(parents=True, exist_ok=True)
        (to / other).write_text("")
    return to


@pytest.fixture(scope="module")
def port(bento: Bento) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [str(BENTOML), "serve", "tradehits:latest", "--host", "127.0.0.1", "--port", str(port)]
    with (bento.home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=bento.environment, cwd=bento.home, stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 90
            while not is_ready(port):
                assert process.poll() is None and time.monotonic() < deadline, (bento.home / "log").read_text()[-3000:]
                time.sleep(0.2)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def is_ready(port: int) -> bool:
    try:
        return ask(port, "GET", "/readyz").status == 200
    except OSError:
        return False


def ask(port: int, method: str, target: str, body: bytes | None = None) -> RawAnswer:
    kind = {} if body is None else {"Content_Type": "application/json"}
    return speak(port, request(method, target, body=body, Connection="close", **kind))


def test_a_bento_holds_the_services_own_files_and_none_of_an_environment(bento: Bento) -> None:
    source = bento.home / "store" / "bentos" / "tradehits" / "1" / "src"
    assert {entry.name for entry in source.iterdir()} == PACKED
    assert [entry.name for entry in (source / "docs").iterdir()] == ["serving.md"]
    assert list(source.rglob("__pycache__")) == []
    assert (source / "serving" / "prompts" / "market_opinion_v1.txt").exists()


def test_a_served_bento_answers_reads_scores_and_opinions_and_takes_up_a_new_champion(bento: Bento, port: int) -> None:
    read = ask(port, "GET", "/api/ml/symbol-prediction/NVDA?asset_type=stocks")
    assert (read.status, read.headers["x-model-version"]) == (200, "walk_forward_stocks/1")
    assert ask(port, "GET", "/api/ml/predictions").json()["count"] == 50
    for page in ("/docs", "/openapi.json", "/metrics", "/static_content/swagger-ui-bundle.js"):
        assert ask(port, "GET", page).status == 200
    row = b'{"asset_type": "stocks", "rows": [[0.5, -1.25, null]]}'
    assert ask(port, "POST", "/predict", row).json()["up_probability"] == scores("stocks", 1, [[0.5, -1.25, None]])
    opinion = ask(port, "POST", "/api/ml/ensemble-prediction", b'{"symbol": "NVDA", "asset_type": "stocks"}')
    assert (opinion.status, opinion.json()["gemini_prediction"]["status"]) == (200, "disabled")
    assert ask(port, "POST", "/predict", b"{}").status == 422
    bento.world.publish(2)
    deadline = time.monotonic() + 20
    while ask(port, "POST", "/predict", row).headers["x-model-version"] != "walk_forward_stocks/2":
        assert time.monotonic() < deadline
    assert ask(port, "GET", "/api/ml/predictions").json()["predictions"][0]["price"] == 2013.0
    log = (bento.home / "log").read_text()
    assert "Traceback" not in log and str(REPO) not in log

"""One worker from its start without a snapshot, through two champions, to its end; and what a bento is made of."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.service_world import ServiceWorld, scores, service_world

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own
REPO = Path(__file__).resolve().parents[2]
NVDA = "/api/ml/symbol-prediction/NVDA"
ROW = [0.5, -1.25, None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ServiceWorld:
    return service_world(tmp_path_factory.mktemp("home"))


@pytest.fixture
def client(world: ServiceWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """BentoML's application with our layers, as a worker builds it, on a home without a snapshot."""
    world.settings.paths.snapshot_file.unlink(missing_ok=True)
    monkeypatch.setenv("TRADEHITS_HOME", str(world.settings.paths.home.parent))
    monkeypatch.setenv("TRADEHITS_PROFILE", "test")
    monkeypatch.setenv("TRADEHITS__SERVING__POLL_SECONDS", "0.05")
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "true")
    from serving import service

    service.runtime.cache_clear()
    service.TradeHits.mount_apps.clear()
    with TestClient(service.TradeHits.to_asgi(), base_url="http://127.0.0.1") as opened:
        yield opened
    service.runtime.cache_clear()
    service.TradeHits.mount_apps.clear()


def until(happened: Callable[[], bool]) -> None:
    for _ in range(200):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within ten seconds")


def test_a_worker_is_ready_with_a_snapshot_and_takes_up_the_next_champion_by_itself(
    client: TestClient, world: ServiceWorld
) -> None:
    assert client.get("/livez").status_code == 200
    for answer in (
        client.get("/readyz"),
        client.get(NVDA),
        client.post("/predict", json={"asset_type": "stocks", "rows": [ROW]}),
    ):
        assert answer.status_code == 503
        assert (answer.json()["status"], answer.json()["field"]) == ("error", None)
    assert "nothing was published yet" in client.get(NVDA).json()["message"]
    for version in (1, 2):
        world.publish(version)
        until(
            lambda version=version: (
                client.get("/readyz").status_code == 200
                and client.get(NVDA).headers["x-model-version"] == f"walk_forward_stocks/{version}"
            )
        )
        read = client.get(NVDA)
        assert read.json()["latest_prediction"]["price"] == 1000 * version + 13, "rows and header of one snapshot"
        assert client.get(NVDA).content == read.content
        scored = client.post("/predict", json={"asset_type": "stocks", "rows": [ROW]})
        assert scored.headers["x-model-version"] == scored.json()["model_version"] == f"walk_forward_stocks/{version}"
        assert scored.json()["up_probability"] == scores("stocks", version, [ROW])
    unchanged = client.get(NVDA, headers={"If-None-Match": read.headers["etag"]})
    assert unchanged.status_code == 304
    world.settings.paths.snapshot_file.write_bytes(b"no snapshot")
    time.sleep(0.3)
    assert client.get(NVDA).content == read.content, "a damaged file changes nothing"


def test_bentos_hold_everything_that_the_service_imports(tmp_path: Path) -> None:
    """What the build copies is put on an import path of its own."""
    import shutil
    import tomllib

    build = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["bentoml"]["build"]
    for pattern in build["include"]:
        for found in [REPO / pattern.removeprefix("/").removesuffix("/**")]:
            target = tmp_path / found.relative_to(REPO)
            if found.is_dir():
                shutil.copytree(found, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif found.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, target)
    code = (
        "import sys; sys.path.insert(0, '.'); import serving.service; import gemini_ensemble_integration; "
        f"outside = [m.__file__ for m in sys.modules.values() "
        f"if str(getattr(m, '__file__', '')).startswith({str(REPO)!r}) "
        "and 'site-packages' not in m.__file__]; print(serving.service.TradeHits.name, outside)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "tradehits []\n", done.stderr[-2000:]

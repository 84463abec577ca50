"""Twenty new champions while clients keep asking: nobody notices but by the version that each answer names."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.load import Asked, Load, under_load
from tests.service_world import ServiceWorld, scores, service_world, version_name

pytestmark = pytest.mark.system

SWAPS, REQUESTS = 20, 10_000
ROW = [[0.5, -1.0, 0.25]]
TARGETS = [
    Asked("GET", "/api/ml/symbol-prediction/NVDA?asset_type=stocks"),
    Asked("POST", "/predict", json.dumps({"asset_type": "crypto", "rows": ROW}).encode()),
    Asked("GET", "/api/ml/predictions?asset_type=etf&limit=5"),
    Asked("GET", "/api/ml/high-confidence-signals?asset_type=crypto&signal_type=buy"),
    Asked("POST", "/api/ml/ensemble-prediction", b'{"symbol": "BTC/USDT", "asset_type": "crypto"}'),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ServiceWorld:
    return service_world(tmp_path_factory.mktemp("home"))


def test_no_request_fails_and_every_answer_names_the_version_that_made_it(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEHITS_HOME", str(world.settings.paths.home.parent))
    monkeypatch.setenv("TRADEHITS__SERVING__POLL_SECONDS", "0.1")
    monkeypatch.setenv("TRADEHITS__SERVING__WORKERS", "1")
    expected = {n: scores("crypto", n, ROW)[0] for n in range(1, SWAPS + 2)}
    assert len(set(expected.values())) == SWAPS + 1, "the boosters can be told apart by their scores"

    def judge(asked: Asked, status: int, headers: http.client.HTTPMessage, body: bytes) -> tuple[Any, str | None]:
        if status != 200:
            return None, f"{asked.target}: {status} {body[:200]!r}"
        named = headers["X-Model-Version"]
        version = int(named.rsplit("/", 1)[1])
        made_by = version_of(asked.target, json.loads(body), expected)
        return version, None if made_by == version else f"{asked.target}: names {named}, was made by {made_by}"

    with world.serve() as base, under_load(base, TARGETS, judge) as load:
        for version in range(2, SWAPS + 2):
            before = load.answered
            world.publish(version)
            wait_until(load, lambda wanted=version: wanted in load.seen)
            wait_until(load, lambda start=before: load.answered >= start + REQUESTS // SWAPS)
        wait_until(load, lambda: load.answered >= REQUESTS)
    assert load.faults == []
    assert load.answered >= REQUESTS
    assert load.seen == set(range(1, SWAPS + 2))


def version_of(target: str, body: dict[str, Any], expected: dict[int, float]) -> int | None:
    """Which version made an answer, by what it says and not by what it claims."""
    if target == "/predict":
        told = body["up_probability"][0]
        matching = [n for n, score in expected.items() if abs(score - told) < 1e-9]
        claimed = int(body["model_version"].rsplit("/", 1)[1])
        return matching[0] if matching == [claimed] else None
    if "symbol-prediction" in target:
        prices = {row["price"] for row in [body["latest_prediction"], *body["history"]]}
    elif "ensemble" in target:
        prices = {body["price"], body["market_data"]["close"]}
    else:
        prices = {row["price"] for row in body.get("predictions", body.get("signals"))}
        versions = body.get("model_versions", {})
        if versions and versions != {"etf": version_name("etf", int(min(prices) // 1000))}:
            return None
    found = {int(price // 1000) for price in prices}
    return found.pop() if len(found) == 1 else None


def wait_until(load: Load, is_so: Any) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert not load.faults, load.faults
        assert time.monotonic() < deadline, f"{load.answered} answered, versions {sorted(load.seen)}"
        time.sleep(0.01)


def test_a_damaged_snapshot_leaves_the_service_with_the_one_before(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEHITS_HOME", str(world.settings.paths.home.parent))
    monkeypatch.setenv("TRADEHITS__SERVING__POLL_SECONDS", "0.1")
    world.publish(30)
    file = Path(world.settings.paths.snapshot_file)

    def judge(asked: Asked, status: int, headers: http.client.HTTPMessage, body: bytes) -> tuple[Any, str | None]:
        return headers["X-Model-Version"], None if status == 200 else f"{status} {body[:200]!r}"

    with world.serve() as base, under_load(base, TARGETS[:1], judge, clients=2) as load:
        staged = file.with_suffix(".damaged")
        staged.write_bytes(file.read_bytes()[:-100] + b"\x00" * 100)
        staged.replace(file)
        start = load.answered
        time.sleep(1)
        wait_until(load, lambda: load.answered >= start + 200)
        assert load.seen == {version_name("stocks", 30)}
        world.publish(31)
        wait_until(load, lambda: version_name("stocks", 31) in load.seen)
    assert load.faults == []

"""The service where other machines reach it: keys, their end, rates, and bodies that never come."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from serving.security_keys import KeyStore
from tests.served import RawAnswer, read_answer, request, speak
from tests.service_world import ServiceWorld, service_world

pytestmark = pytest.mark.system

SCORE = json.dumps({"asset_type": "etf", "rows": [[1, 2, 3]]}).encode()
PREDICTIONS = "/api/ml/predictions?limit=1"


@dataclass(frozen=True)
class Open:
    """A service bound to every address, with one key."""

    world: ServiceWorld
    port: int
    key: str

    @property
    def keys(self) -> KeyStore:
        return KeyStore(self.world.settings.paths.api_keys_file)

    def get(self, key: str | None = None) -> RawAnswer:
        return speak(self.port, request("GET", PREDICTIONS, Connection="close", **sent(key)))

    def post(self, key: str | None = None) -> RawAnswer:
        headers = {"Content_Type": "application/json", "Connection": "close", **sent(key)}
        return speak(self.port, request("POST", "/predict", body=SCORE, **headers))


def sent(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        world = service_world(home)
        patch.setenv("TRADEHITS_HOME", str(home))
        patch.setenv("TRADEHITS__SERVING__BODY_TIMEOUT_SECONDS", "1")
        patch.setenv("TRADEHITS__SERVING__RATE_LIMITS__KEY", "600")
        _, key = KeyStore(world.settings.paths.api_keys_file).add("phone")
        with world.serve(workers=2, host="0.0.0.0") as base:
            port = urlsplit(base).port
            assert port is not None
            yield Open(world, port, key)


def test_without_keys_it_does_not_start(service: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    home = service.world.settings.paths.home.parent / "other"
    monkeypatch.setenv("TRADEHITS_HOME", str(home))
    command = [sys.executable, "-c", "from flows.cli import main; main()", "serve", "--profile", "test"]
    done = subprocess.run([*command, "--host", "0.0.0.0"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "there is no API key" in done.stderr
    assert "tradehits serve keys add" in done.stderr


def test_a_key_opens_it_and_a_revoked_one_does_not(service: Open) -> None:
    assert (service.get().status, service.post().status) == (401, 401)
    assert (service.get("th_0_0").status, service.post("th_0_0").status) == (401, 401)
    assert (service.get(service.key).status, service.post(service.key).status) == (200, 200)
    made, text = service.keys.add("tablet")
    deadline = time.monotonic() + 10
    while service.get(text).status != 200:
        assert time.monotonic() < deadline
    service.keys.revoke(made.id)
    time.sleep(2.5)
    assert 200 not in {service.get(text).status for _ in range(8)}, "no worker takes it any more"
    assert service.get(service.key).status == 200


def test_workers_share_the_rate_of_a_key(service: Open) -> None:
    _, text = service.keys.add("busy")
    time.sleep(1.5)
    statuses = [service.get(text).status for _ in range(140)]
    assert set(statuses) == {200, 429}
    refused = service.get(text)
    assert int(refused.headers["retry-after"]) >= 1
    assert 100 <= statuses.count(200) <= 135, "a burst of ten seconds, and what came due meanwhile"


def test_slow_bodies_are_ended_and_do_not_keep_others_waiting(service: Open) -> None:
    head = request("POST", "/predict", Content_Type="application/json", Content_Length="100", **sent(service.key))
    slow = [socket.create_connection(("127.0.0.1", service.port), timeout=20) for _ in range(60)]
    try:
        for connection in slow:
            connection.sendall(head + b"{")
        assert service.post(service.key).status == 200
        answers = [read_answer(connection) for connection in slow]
    finally:
        for connection in slow:
            connection.close()
    assert {answer.status for answer in answers} <= {408, 429}
    assert 408 in {answer.status for answer in answers}


def test_the_log_names_keys_and_holds_none(service: Open) -> None:
    time.sleep(1)
    log = (service.world.settings.paths.cache / "compat-service.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith('{"at"')]
    assert {"phone", "busy"} <= {line["key"] for line in lines}
    assert service.key not in log
    assert service.key.split("_", 2)[2] not in log

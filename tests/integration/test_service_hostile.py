"""The service as a process, spoken to by those who wish it ill, and by the user's own two requests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flows.compat import compat
from tests.hostile import Hostile, corpus
from tests.served import RawAnswer, request, speak
from tests.service_world import ServiceWorld, scores, service_world

EXAMPLES = Path(__file__).parents[2] / "examples"
TELLING = ("Traceback", "site-packages", "duckdb", "sqlite", "pydantic", 'File "', "root:x:")


@dataclass(frozen=True)
class Running:
    """A service with version 1 of every class."""

    world: ServiceWorld
    base: str

    @property
    def port(self) -> int:
        port = urlsplit(self.base).port
        assert port is not None
        return port

    def get(self, target: str, **headers: str) -> RawAnswer:
        return speak(self.port, request("GET", target, Connection="close", **headers))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        world = service_world(home)
        patch.setenv("TRADEHITS_HOME", str(home))
        with world.serve() as base:
            yield Running(world, base)


def faults(case: Hostile, answer: RawAnswer) -> list[str]:
    """What is wrong with the answer to a hostile request."""
    found = []
    if answer.status not in case.allowed:
        found.append(f"status {answer.status}: {answer.body[:120]!r}")
    text = answer.body.decode("utf-8", "replace")
    found += [f"tells {word}" for word in TELLING if word in text]
    by_the_server = answer.headers.get("content-type", "").startswith("text/plain") and answer.status == 400
    if answer.status >= 400 and not by_the_server:
        try:
            told = json.loads(text)
        except ValueError:
            return [*found, f"status {answer.status} and no JSON: {text[:120]!r} {answer.headers}"]
        if not (set(told) >= {"status", "message", "field"} and told["status"] == "error"):
            found.append(f"another shape: {text[:120]}")
        if len(text) > 2000:
            found.append(f"an error of {len(text)} bytes")
    return found


def test_nothing_hostile_is_answered_with_more_than_a_no(service: Running) -> None:
    cases = list(corpus())
    assert len(cases) > 350
    wrong = {}
    for case in cases:
        found = faults(case, speak(service.port, *case.parts))
        if found:
            wrong[case.name] = found
    assert wrong == {}
    alive = service.get("/api/ml/symbol-prediction/NVDA?asset_type=stocks")
    assert alive.status == 200
    log = (service.world.settings.paths.cache / "compat-service.log").read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:4000]


def test_the_users_two_requests_work_with_only_the_host_changed(service: Running) -> None:
    outcomes = {outcome.name: outcome for outcome in compat(service.world.settings, url=service.base)}
    assert {outcome.verdict for outcome in outcomes.values()} <= {"ok", "empty"}
    assert outcomes["one symbol"].verdict == "ok"
    buys = outcomes["high-confidence crypto buys"]
    assert buys.detail == ("200, 1 row; first: asset_type crypto, symbol BTC/USDT, date 2024-06-28, price 1013.0, ...")


def test_a_symbol_with_a_slash_works_encoded_plain_and_by_its_other_names(service: Running) -> None:
    bodies = [
        service.get(f"/api/ml/symbol-prediction/{name}?asset_type=crypto").json()
        for name in ("BTC/USDT", "BTC%2FUSDT", "BTC%2fUSDT", "btc/usdt")
    ]
    assert bodies[0]["symbol"] == "BTC/USDT"
    assert all(body == bodies[0] for body in bodies)


def test_an_unknown_symbol_is_404_with_near_names(service: Running) -> None:
    answer = service.get("/api/ml/symbol-prediction/NVDX?asset_type=stocks")
    assert answer.status == 404
    assert answer.json()["field"] == "symbol"
    assert "NVDA" in answer.json()["message"]
    wrong_class = service.get("/api/ml/symbol-prediction/NVDA?asset_type=crypto")
    assert wrong_class.status == 404


def test_a_score_is_the_boosters_own(service: Running) -> None:
    rows = [[1.0, None, 0.5], [-1.0, 20.0, -0.5]]
    body = json.dumps({"asset_type": "etf", "rows": rows}).encode()
    sent = request("POST", "/predict", body=body, Content_Type="application/json", Connection="close")
    answer = speak(service.port, sent).json()
    assert answer["model_version"] == "walk_forward_etf/1"
    assert answer["up_probability"] == pytest.approx(scores("etf", 1, rows), abs=1e-12)


def test_the_python_client_shows_signals_and_a_symbol_and_tells_errors(service: Running) -> None:
    done = client(service, "--symbol", "NVDA")
    assert done.returncode == 0, done.stderr
    assert "2024-06-28 crypto BTC/USDT   BUY   70.0%" in done.stdout
    assert "NVDA: down, probability of rising 0.421 (MEDIUM confidence), as of 2024-06-28T00:00:00Z" in done.stdout
    slash = client(service, "--symbol", "BTC/USDT", "--asset-type", "crypto")
    assert "BTC/USDT: up, probability of rising 0.700 (HIGH confidence)" in slash.stdout
    unknown = client(service, "--symbol", "NVDX")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("404: no prediction of stocks 'NVDX'")


def client(service: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / "client.py"), "--url", service.base, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_example_runs_to_its_end(service: Running) -> None:
    done = subprocess.run(
        ["bash", str(EXAMPLES / "curl.sh"), service.base], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    *answers, status = done.stdout.splitlines()
    bodies = [json.loads(line) for line in answers if line]
    assert [body["status"] for body in bodies] == ["success"] * 7
    assert bodies[1]["symbol"] == "NVDA"
    assert bodies[2] == bodies[3]
    assert status == "304"


def test_no_answer_names_its_software(service: Running) -> None:
    for target in ("/api/ml/predictions", "/nowhere", "/livez", "/docs"):
        assert not {"server", "x-powered-by"} & set(service.get(target).headers)


def test_the_judge_of_hostile_answers_notices_what_is_wrong() -> None:
    case = Hostile("x", ())
    shape = b'{"status":"error","message":"no","field":null}'
    assert faults(case, RawAnswer(422, {}, shape)) == []
    assert faults(case, RawAnswer(0, {}, b"")) == []
    assert faults(case, RawAnswer(400, {"content-type": "text/plain"}, b"Invalid HTTP request received.")) == []
    assert faults(case, RawAnswer(200, {}, b"{}"))
    assert faults(case, RawAnswer(500, {}, shape))
    assert faults(case, RawAnswer(404, {}, b'{"detail":"Not Found"}'))
    assert faults(case, RawAnswer(404, {}, b""))
    assert faults(case, RawAnswer(422, {}, shape.replace(b"no", b"Traceback (most recent call last)")))
    assert faults(case, RawAnswer(422, {}, shape.replace(b"no", b"n" * 3000)))

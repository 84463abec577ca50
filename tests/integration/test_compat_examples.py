"""The examples of `tradehits compat` against a real warehouse and answers over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from configs.settings import Settings, load_settings
from flows.compat import Outcome, compat, shown
from flows.compat_examples import EXAMPLES
from market.errors import ConfigError, SnapshotError
from tests.e2e.test_road import USER_QUERIES
from tests.served import served
from warehouse.clock import refresh_asset_settings
from warehouse.engines import open_warehouse

SIGNAL = {
    "asset_type": "crypto", "symbol": "BTC/USDT", "date": "2024-06-28", "price": 60000.0, "up_pct": 66.1,
    "signal": "BUY", "growth_score": 75, "trend_regime": "STRONG_UPTREND", "pivot_low": "", "rise_start": "",
    "golden_cross_flag": "",
}  # fmt: skip
SIGNALS = {
    "status": "success",
    "confidence": "HIGH",
    "accuracy_note": "",
    "count": 1,
    "note": None,
    "signals": [SIGNAL],
}
NO_SIGNALS = {**SIGNALS, "count": 0, "note": "no HIGH signal today; probabilities range 0.47-0.53", "signals": []}
UNKNOWN = {"status": "error", "message": "no symbol NVDA in stocks; near: NVAX", "field": "symbol"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A warehouse with every table and no row."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("TRADEHITS_PROFILE", raising=False)
        made = load_settings("test")
    warehouse = open_warehouse(made)
    warehouse.ensure_schema()
    refresh_asset_settings(warehouse, made)
    return made


@contextmanager
def answering(signals: Response, symbol: Response, seen: list[Request] | None = None) -> Iterator[str]:
    """A service that gives these two answers."""

    async def of_signals(given: Request) -> Response:
        if seen is not None:
            seen.append(given)
        return signals

    async def of_symbol(given: Request) -> Response:
        return symbol

    routes = [
        Route("/api/ml/high-confidence-signals", of_signals),
        Route("/api/ml/symbol-prediction/NVDA", of_symbol),
    ]
    with served(Starlette(routes=routes)) as port:
        yield f"http://127.0.0.1:{port}/"


def of_requests(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.verdict, outcome.detail) for outcome in outcomes if outcome.kind == "curl"]


def test_the_examples_are_those_that_users_run() -> None:
    assert [example.text for example in EXAMPLES if example.kind == "sql"] == USER_QUERIES
    assert [example.text for example in EXAMPLES if example.kind == "curl"] == [
        'curl "https://trading-api-1075463475276.us-central1.run.app/api/ml/high-confidence-signals'
        '?asset_type=crypto&signal_type=buy"',
        'curl "https://trading-api-1075463475276.us-central1.run.app/api/ml/symbol-prediction/NVDA?asset_type=stocks"',
    ]


def test_queries_say_what_they_found_or_why_nothing(settings: Settings) -> None:
    with answering(JSONResponse(SIGNALS), JSONResponse(UNKNOWN, status_code=404)) as base:
        outcomes = {outcome.name: outcome for outcome in compat(settings, url=base)}
    status = outcomes["pipeline status"]
    assert (status.verdict, status.detail[:7]) == ("ok", "3 rows;")
    yesterday = outcomes["yesterday's strongest predictions"]
    assert (yesterday.verdict, yesterday.detail) == (
        "empty",
        "no rows: the newest bar is of no day; the highest VALIDATE probability on any day is unknown",
    )
    best = outcomes["best performers"]
    assert best.detail == "no rows: a symbol needs 10 HIGH signals of known outcome; all symbols together have 0"
    assert outcomes["open alerts"].detail == "no rows: no alert is open; 0 were raised so far"


def test_requests_keep_everything_but_the_host_and_carry_the_key(settings: Settings) -> None:
    seen: list[Request] = []
    with answering(JSONResponse(SIGNALS), JSONResponse(UNKNOWN, status_code=404), seen) as base:
        outcomes = compat(settings, url=base, key="th_1_abc")
    assert str(seen[0].url) == f"{base}api/ml/high-confidence-signals?asset_type=crypto&signal_type=buy"
    assert seen[0].headers["authorization"] == "Bearer th_1_abc"
    assert "th_1_abc" not in shown(outcomes, "json")
    assert of_requests(outcomes) == [
        ("ok", "200, 1 row; first: asset_type crypto, symbol BTC/USDT, date 2024-06-28, price 60000.0, ..."),
        ("absent", "404: no symbol NVDA in stocks; near: NVAX"),
    ]


def test_no_signal_today_is_an_answer_with_its_note(settings: Settings) -> None:
    with answering(JSONResponse(NO_SIGNALS), JSONResponse(UNKNOWN, status_code=404)) as base:
        outcomes = compat(settings, url=base)
    assert of_requests(outcomes)[0] == (
        "empty",
        "200, no signals: no HIGH signal today; probabilities range 0.47-0.53",
    )
    assert shown(outcomes, "table").endswith("6 of 6 work as they did.")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (PlainTextResponse("<html>"), "200, and no JSON: b'<html>'"),
        (JSONResponse([1]), "200, and no JSON object"),
        (JSONResponse({"detail": "Not Found"}, status_code=404), "404: None"),
        (JSONResponse({**UNKNOWN, "message": "boom"}, status_code=500), "500: boom"),
        (JSONResponse({**SIGNALS, "status": "error"}), "200, without success"),
        (JSONResponse({k: v for k, v in SIGNALS.items() if k != "note"}), "200, without note"),
        (
            JSONResponse({**SIGNALS, "signals": [{k: v for k, v in SIGNAL.items() if k != "up_pct"}]}),
            "200, without signals[].up_pct",
        ),
    ],
)
def test_an_answer_of_another_shape_has_failed(settings: Settings, answer: Response, told: str) -> None:
    with answering(answer, JSONResponse(UNKNOWN, status_code=404)) as base:
        outcomes = compat(settings, url=base)
    assert of_requests(outcomes)[0] == ("failed", told)
    assert shown(outcomes, "table").endswith("5 of 6 work as they did.")
    assert json.loads(shown(outcomes, "json"))[4]["verdict"] == "failed"


def test_a_service_that_is_not_there_has_failed_and_a_wrong_address_is_named(settings: Settings) -> None:
    assert {verdict for verdict, _ in of_requests(compat(settings, url="http://127.0.0.1:9"))} == {"failed"}
    with pytest.raises(ConfigError, match="no address of a service"):
        compat(settings, url="file:///etc/passwd")


def test_without_a_snapshot_there_is_nothing_to_start(settings: Settings) -> None:
    with pytest.raises(SnapshotError, match="has no snapshot to serve"):
        compat(settings)


def test_a_column_that_is_gone_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import flows.compat as module

    broken: list[Any] = [e for e in EXAMPLES if e.name == "open alerts"]
    changed = broken[0].__class__(**{**broken[0].__dict__, "columns": ("alert_id", "colour")})
    monkeypatch.setattr(module, "EXAMPLES", (changed,))
    outcome = compat(settings, url="http://127.0.0.1:9")[0]
    assert outcome.verdict == "failed"
    assert outcome.detail.endswith("they were alert_id, colour")

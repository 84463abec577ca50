from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse
from starlette.responses import StreamingResponse

from configs.serving import ServingSettings
from configs.settings import load_settings
from market.errors import ConfigError
from serving.security import secured
from serving.security_keys import KeyStore
from serving.security_log import AccessLog

SECRET_SQL = "SELECT password FROM users"
Ask = Callable[..., httpx.Response]


def inner_app() -> FastAPI:
    """Routes that behave well, badly and very badly."""
    app = FastAPI()

    @app.get("/read")
    async def read() -> dict[str, str]:
        return {"status": "success"}

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "success"}

    @app.get("/number/{value}")
    async def number(value: int) -> dict[str, int]:
        return {"value": value}

    @app.get("/page", response_class=HTMLResponse)
    async def page() -> str:
        return "<html></html>"

    @app.post("/echo")
    async def echo(request: Request) -> dict[str, Any]:
        body = await request.body()
        return {"bytes": len(body), "messages": 1, "content": body[:20].decode("latin-1")}

    @app.get("/raise")
    async def explode() -> None:
        raise RuntimeError(SECRET_SQL)

    @app.get("/leak/{status}")
    async def leak(status: int) -> None:
        raise HTTPException(status, detail=f"{SECRET_SQL} Traceback (most recent call last)")

    @app.get("/own-error")
    async def own_error() -> Any:
        from starlette.responses import JSONResponse

        body = {"status": "error", "message": "no such symbol", "field": "symbol", "near": ["NVDA"]}
        return JSONResponse(body, status_code=404)

    @app.get("/slow")
    async def slow() -> dict[str, str]:
        await asyncio.sleep(30)
        return {}

    @app.get("/breaks-halfway")
    async def breaks_halfway() -> StreamingResponse:
        async def pieces():  # type: ignore[no-untyped-def]
            yield b"half"
            raise RuntimeError(SECRET_SQL)

        return StreamingResponse(pieces())

    return app


def serving(**changes: Any) -> ServingSettings:
    present = load_settings("test").serving.model_dump()
    return ServingSettings.model_validate({**present, **changes})


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "api_keys.json")


@pytest.fixture
def log() -> AccessLog:
    return AccessLog(io.BytesIO())


@pytest.fixture
def ask(keys: KeyStore, log: AccessLog) -> Callable[..., Ask]:
    """Build a client of a service with these settings."""

    def build(*, base: str = "http://127.0.0.1:3000", server: str | None = None, **changes: Any) -> Ask:
        app = secured(inner_app(), serving(**changes), keys, log=log)

        async def placed(scope, receive, send):  # type: ignore[no-untyped-def]
            if server is not None:
                scope = {**scope, "server": (server, 3000)}
            await app(scope, receive, send)

        def call(method: str, path: str, **options: Any) -> httpx.Response:
            client = options.pop("client", "127.0.0.1")

            async def one() -> httpx.Response:
                transport = httpx.ASGITransport(placed, client=(client, 1234))
                async with httpx.AsyncClient(transport=transport, base_url=base) as session:
                    answer = await session.request(method, path, **options)
                log.flush()
                return answer

            return asyncio.run(one())

        return call

    return build


def assert_error(answer: httpx.Response, status: int, words: str = "", field: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"status", "message", "field"}
    assert answer.json()["status"] == "error"
    assert answer.json()["field"] == field
    assert words in answer.json()["message"]
    assert SECRET_SQL not in answer.text
    assert "Traceback" not in answer.text


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("name", ["content-type", "content-encoding", "host", "authorization", "x-api-key"])
def test_a_header_that_the_gate_judges_by_is_given_once(ask: Callable[..., Ask], keys: KeyStore, name: str) -> None:
    _, text = keys.add("phone")
    value = {"content-type": "application/json", "host": "127.0.0.1", "content-encoding": "identity"}.get(name, text)
    other = {"content-type": "multipart/form-data; boundary=x", "content-encoding": "gzip"}.get(name, value)
    rest = [(key, text) for key in ("content-type", "x-api-key") if key != name]
    rest = [(key, "application/json" if key == "content-type" else kept) for key, kept in rest]
    answer = ask()("POST", "/echo", content=b"{}", headers=[(name, other), (name, value), *rest])
    assert_error(answer, 400, f"{name} is given more than once", name)
    assert ask()("GET", "/read", headers=[("accept", "text/html"), ("accept", "*/*")]).status_code == 200


def test_on_loopback_everything_is_open(ask: Callable[..., Ask]) -> None:
    for base in ("http://127.0.0.1:3000", "http://localhost:3000", "http://[::1]:3000", "http://127.0.0.53"):
        call = ask(base=base)
        assert call("GET", "/read").status_code == 200
        assert call("POST", "/echo", json={}).status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"base": "http://evil.example:3000", "server": "127.0.0.1"},
        {"base": "http://127.0.0.1.evil.example:3000", "server": "127.0.0.1"},
        {"server": "192.168.1.5"},
        {"headers": {"x-forwarded-for": "203.0.113.7"}},
        {"headers": {"forwarded": "for=203.0.113.7"}},
        {"headers": {"via": "1.1 proxy"}},
        {"headers": {"x-forwarded-proto": "https"}},
        {"headers": {"cf-connecting-ip": "203.0.113.7"}},
    ],
)
def test_what_did_not_come_from_this_machine_needs_a_key_even_on_loopback(
    ask: Callable[..., Ask], keys: KeyStore, elsewhere: dict[str, Any]
) -> None:
    headers = elsewhere.pop("headers", {})
    call = ask(**elsewhere)
    assert_error(call("POST", "/echo", json={}, headers=headers), 401, "API key", "authorization")
    assert_error(call("GET", "/read", headers=headers), 401, "API key", "authorization")
    _, text = keys.add("phone")
    call = ask(**elsewhere)
    keyed = {**headers, "authorization": f"Bearer {text}"}
    assert call("POST", "/echo", json={}, headers=keyed).status_code == 200


def test_beyond_loopback_it_starts_only_with_keys_or_with_permission(keys: KeyStore) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "trading.example.com"):
        with pytest.raises(ConfigError, match="there is no API key") as caught:
            secured(inner_app(), serving(host=host), keys)
        assert "tradehits serve keys add" in caught.value.remedy
        secured(inner_app(), serving(host=host, anonymous_reads=True), keys)
    keys.add("phone")
    secured(inner_app(), serving(host="0.0.0.0"), keys)
    keys.revoke("phone")
    with pytest.raises(ConfigError):
        secured(inner_app(), serving(host="0.0.0.0"), keys)


def test_beyond_loopback_reads_are_open_by_permission_alone_and_post_never(
    ask: Callable[..., Ask], keys: KeyStore
) -> None:
    _, text = keys.add("phone")
    closed, opened = ask(host="0.0.0.0"), ask(host="0.0.0.0", anonymous_reads=True)
    assert_error(closed("GET", "/read"), 401, "API key", "authorization")
    assert opened("GET", "/read").status_code == 200
    for call in (closed, opened):
        answer = call("POST", "/echo", json={})
        assert_error(answer, 401, "API key", "authorization")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        for headers in ({"authorization": f"Bearer {text}"}, {"authorization": f"bearer  {text}"}, {"x-api-key": text}):
            assert call("GET", "/read", headers=headers).status_code == 200
            assert call("POST", "/echo", json={}, headers=headers).status_code == 200
        for method in ("PUT", "DELETE", "PATCH"):
            assert_error(call(method, "/read"), 401, field="authorization")
        assert call("GET", "/livez").status_code == 200, "an orchestrator's probe carries no key"


def test_a_wrong_key_is_refused_even_where_none_is_needed(ask: Callable[..., Ask]) -> None:
    call = ask()
    for headers in ({"x-api-key": "th_0_0"}, {"authorization": "Bearer nonsense"}, {"authorization": "Basic YTpi"}):
        assert_error(call("GET", "/read", headers=headers), 401, "not valid", "authorization")
    assert call("GET", "/livez", headers={"x-api-key": "th_0_0"}).status_code == 200


def test_each_key_and_each_address_has_its_own_rate(ask: Callable[..., Ask], keys: KeyStore) -> None:
    rates = {"key": 60, "anonymous": 60, "local": None, "burst_seconds": 3}
    first, second = (keys.add(name)[1] for name in ("first", "second"))
    call = ask(host="0.0.0.0", anonymous_reads=True, rate_limits=rates)
    for options in (
        {"headers": {"x-api-key": first}},
        {"headers": {"x-api-key": second}},
        {"client": "203.0.113.1"},
        {"client": "2001:db8:0:1::1"},
        {"client": "2001:db8:0:2::1"},
    ):
        assert [call("GET", "/read", **options).status_code for _ in range(3)] == [200] * 3
        refused = call("GET", "/read", **options)
        assert_error(refused, 429, "60 requests a minute")
        assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert call("GET", "/read", client="2001:db8:0:1:ffff::9").status_code == 429, "one /64 is one customer"
    assert call("GET", "/livez", client="203.0.113.1").status_code == 200


def test_guessing_keys_counts_against_the_address(ask: Callable[..., Ask]) -> None:
    rates = {"key": None, "anonymous": 60, "local": None, "burst_seconds": 3}
    call = ask(rate_limits=rates)
    guesses = [call("GET", "/read", headers={"x-api-key": f"th_{n}_x"}).status_code for n in range(5)]
    assert guesses == [401, 401, 401, 429, 429]
    assert call("GET", "/read").status_code == 200, "this machine's own requests are another client"


def test_local_requests_have_no_rate_unless_one_is_set(ask: Callable[..., Ask]) -> None:
    call = ask()
    assert {call("GET", "/read").status_code for _ in range(300)} == {200}
    limited = ask(rate_limits={"key": 60, "anonymous": 60, "local": 60, "burst_seconds": 2})
    assert [limited("GET", "/read").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("options", "status", "field"),
    [
        ({"content": b"x" * 4097, "headers": JSON}, 413, "body"),
        ({"content": b"\x1f\x8b", "headers": {**JSON, "content-encoding": "gzip"}}, 415, "content-encoding"),
        ({"content": b"x", "headers": {**JSON, "content-encoding": "identity, br"}}, 415, "content-encoding"),
        ({"content": b"a=1", "headers": {"content-type": "text/plain"}}, 415, "content-type"),
        ({"content": b"a=1", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 415, "content-type"),
        ({"content": b"a=1"}, 415, "content-type"),
    ],
)
def test_bodies_that_cannot_be_taken_are_refused_unread(
    ask: Callable[..., Ask], options: dict[str, Any], status: int, field: str
) -> None:
    answer = ask(body_limit_bytes=4096)("POST", "/echo", **options)
    assert_error(answer, status, field=field)
    assert answer.headers["connection"] == "close", "the unread body would be taken for the next request"


def test_a_body_up_to_the_limit_arrives_whole_however_it_was_cut(ask: Callable[..., Ask]) -> None:
    call = ask(body_limit_bytes=4096)

    async def pieces(size: int, count: int):  # type: ignore[no-untyped-def]
        for _ in range(count):
            yield b"y" * size

    whole = call("POST", "/echo", content=b"y" * 4096, headers={"content-type": "application/json; charset=utf-8"})
    assert whole.json() == {"bytes": 4096, "messages": 1, "content": "y" * 20}
    assert call("POST", "/echo", content=pieces(16, 256), headers=JSON).json()["bytes"] == 4096
    assert_error(call("POST", "/echo", content=pieces(16, 257), headers=JSON), 413, "4,096 bytes", "body")


def test_a_get_with_a_body_is_answered_within_the_same_limit(ask: Callable[..., Ask]) -> None:
    call = ask(body_limit_bytes=4096)
    assert call("GET", "/read", content=b"a=1").status_code == 200
    assert_error(call("GET", "/read", content=b"x" * 4097), 413, field="body")
    assert_error(call("GET", "/livez", content=b"{}"), 413, field="body")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/leak/400", 400),
        ("/leak/404", 404),
        ("/leak/418", 418),
        ("/leak/500", 500),
        ("/leak/503", 503),
    ],
)
def test_errors_of_frameworks_get_the_shape_and_lose_what_they_tell(
    ask: Callable[..., Ask], path: str, status: int
) -> None:
    assert_error(ask()("GET", path), status)


def test_an_error_that_has_the_shape_stays_as_it_is(ask: Callable[..., Ask]) -> None:
    answer = ask()("GET", "/own-error")
    assert answer.status_code == 404
    assert answer.json() == {"status": "error", "message": "no such symbol", "field": "symbol", "near": ["NVDA"]}


def test_a_validation_error_names_its_field_and_not_the_input(ask: Callable[..., Ask]) -> None:
    answer = ask()("GET", "/number/SELECT+1")
    assert_error(answer, 422, "valid integer", "path.value")
    assert "SELECT" not in answer.text


def test_a_crash_is_told_by_its_request_id_alone_and_logged_with_the_reason(
    ask: Callable[..., Ask], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = ask()("GET", "/raise")
    assert_error(answer, 500, answer.headers["x-request-id"])
    assert SECRET_SQL in caplog.text
    assert answer.headers["x-request-id"] in caplog.text


def test_a_method_that_no_route_answers_is_405_and_head_has_no_body(ask: Callable[..., Ask]) -> None:
    assert_error(ask()("PUT", "/read", json={}), 405)
    assert ask()("PUT", "/read", json={}).headers["allow"] == "GET"
    assert ask()("HEAD", "/nowhere").content == b""


def test_a_request_that_takes_too_long_is_ended(ask: Callable[..., Ask]) -> None:
    assert_error(ask(request_timeout_seconds=0.2)("GET", "/slow"), 503, "no answer within 0.2 s")


@pytest.mark.parametrize("path", ["/read", "/nowhere", "/raise", "/livez"])
def test_every_answer_has_the_security_headers(ask: Callable[..., Ask], path: str) -> None:
    headers = ask()("GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-request-id"]


def test_a_page_may_run_its_own_scripts_and_nobody_elses(ask: Callable[..., Ask]) -> None:
    policy = ask()("GET", "/page").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; script-src 'self' 'unsafe-inline'")
    assert "http" not in policy


def test_request_ids_differ(ask: Callable[..., Ask]) -> None:
    call = ask()
    assert len({call("GET", "/read").headers["x-request-id"] for _ in range(20)}) == 20


def test_no_origin_is_allowed_unless_configured(ask: Callable[..., Ask]) -> None:
    preflight = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in ask()("GET", "/read", headers=preflight).headers
    assert "access-control-allow-origin" not in ask()("OPTIONS", "/read", headers=preflight).headers
    call = ask(host="0.0.0.0", anonymous_reads=True, cors_origins=["https://app.example.com"])
    allowed = call("OPTIONS", "/echo", headers={**preflight, "access-control-request-headers": "x-api-key"})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://app.example.com"
    refused = call("POST", "/echo", headers={"origin": "https://app.example.com"}, json={})
    assert_error(refused, 401, field="authorization")
    assert refused.headers["access-control-allow-origin"] == "https://app.example.com", "the page may read why"
    other = call("OPTIONS", "/echo", headers={**preflight, "origin": "https://evil.example"})
    assert_error(other, 400)
    assert "access-control-allow-origin" not in other.headers


def test_the_access_log_names_the_key_and_holds_no_secret(
    ask: Callable[..., Ask], keys: KeyStore, log: AccessLog
) -> None:
    _, text = keys.add("phone")
    call = ask()
    call("GET", "/read?api_key=hunter2", headers={"x-api-key": text, "user-agent": "hunter2"})
    call("POST", "/echo", json={"token": "hunter2"}, headers={"authorization": "Bearer hunter2"})
    call("GET", "/%0a%22,%22status%22:200" + "x" * 400)
    call("GET", "/%ed%a0%80")
    written = log._stream.getvalue()  # type: ignore[attr-defined]
    assert b"hunter2" not in written
    assert text.encode() not in written
    assert text.split("_", 2)[2].encode() not in written
    lines = [json.loads(line) for line in written.splitlines()]
    assert [(line["method"], line["status"], line["key"]) for line in lines] == [
        ("GET", 200, "phone"),
        ("POST", 401, ""),
        ("GET", 404, ""),
        ("GET", 404, ""),
    ]
    assert lines[0]["path"] == "/read"
    assert lines[0]["client"] == "127.0.0.1"
    assert lines[0]["bytes"] == len('{"status":"success"}')
    assert all(len(line["path"]) <= 200 for line in lines)
    assert set(lines[0]) == {
        *("at", "request_id", "method", "path", "status", "milliseconds", "bytes", "client", "key"),
    }


@pytest.mark.parametrize(
    "origin", ["app.example.com", "https://", "https://a/*", "https://*.example.com", "ftp://a", "https://a/"]
)
def test_an_origin_that_is_a_pattern_or_an_address_is_refused_by_the_settings(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        serving(cors_origins=[origin])

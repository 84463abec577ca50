"""What only a real connection shows: chunks, slow bodies, what happens to the connection after a refusal."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from configs.serving import ServingSettings
from configs.settings import load_settings
from serving.security import secured
from serving.security_keys import KeyStore
from serving.security_log import AccessLog
from tests.served import read_answer, request, served, speak

LIMIT = 4096


async def _echo(given: Request) -> Response:
    return JSONResponse({"bytes": len(await given.body())})


async def _breaks(given: Request) -> Response:
    async def pieces():  # type: ignore[no-untyped-def]
        yield b"half"
        raise RuntimeError("halfway")

    return StreamingResponse(pieces())


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TRADEHITS_PROFILE", raising=False)
        present = load_settings("test").serving.model_dump()
    changes = {"body_limit_bytes": LIMIT, "body_timeout_seconds": 0.5, "request_timeout_seconds": 5}
    settings = ServingSettings.model_validate({**present, **changes})
    routes = [Route("/echo", _echo, methods=["POST"]), Route("/breaks", _breaks)]
    keys = KeyStore(Path(tmp_path_factory.mktemp("keys")) / "api_keys.json")
    with served(secured(Starlette(routes=routes), settings, keys, log=AccessLog(io.BytesIO()))) as number:
        yield number


CHUNKED = request("POST", "/echo", Content_Type="application/json", Transfer_Encoding="chunked")


def chunk(size: int) -> bytes:
    return f"{size:x}\r\n".encode() + b"y" * size + b"\r\n"


def test_a_chunked_body_is_counted_as_it_arrives(port: int) -> None:
    answer = speak(port, CHUNKED, chunk(LIMIT), b"0\r\n\r\n")
    assert (answer.status, answer.json()) == (200, {"bytes": LIMIT})
    too_much = speak(port, CHUNKED, *[chunk(1024)] * 5)
    assert too_much.status == 413
    assert too_much.json()["field"] == "body"
    assert too_much.headers["connection"] == "close"


def test_an_endless_body_is_cut_off(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(CHUNKED)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1_000_000):
                connection.sendall(chunk(1024))


def test_a_body_that_trickles_in_is_ended_with_408_and_the_connection_closed(port: int) -> None:
    head = request("POST", "/echo", Content_Type="application/json", Content_Length="100")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head + b"{")
        answer = read_answer(connection)
        assert answer.status == 408
        assert answer.json()["message"] == "the body took longer than 0.5 s to arrive"
        assert connection.recv(100) == b""


def test_a_client_that_leaves_in_the_middle_of_its_body_does_no_harm(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request("POST", "/echo", Content_Type="application/json", Content_Length="100") + b"{")
    assert speak(port, request("POST", "/echo", body=b"{}", Content_Type="application/json")).status == 200


def test_a_request_hidden_in_a_refused_body_is_not_answered(port: int) -> None:
    hidden = request("POST", "/echo", body=b"{}", Content_Type="application/json")
    outer = request("POST", "/echo", body=hidden, Content_Type="text/plain")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(outer)
        assert read_answer(connection).status == 415
        assert connection.recv(100) == b""


def test_two_lengths_or_a_length_beside_chunks_never_make_two_requests_of_one(port: int) -> None:
    for lines in (
        b"Content-Length: 2\r\nContent-Length: 50\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
    ):
        head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + lines + b"\r\n"
        assert speak(port, head + b"{}").status in (0, 400, 413)


def test_an_answer_that_breaks_halfway_is_not_taken_for_a_whole_one(port: int) -> None:
    answer = speak(port, request("GET", "/breaks"))
    assert answer.status == 200
    assert b"0\r\n\r\n" not in answer.body, "the last chunk would say that the answer is complete"


def test_a_websocket_is_closed(port: int) -> None:
    upgrade = request(
        "GET",
        "/echo",
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
    )
    assert speak(port, upgrade).status in (0, 400, 403, 404)

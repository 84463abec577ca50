"""A stand-in for Gemini's REST API on a port of this machine, which answers as a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD_ANSWER = {
    "direction": "UP",
    "confidence": 0.3,
    "reasoning": "RSI 55 and a rising MACD histogram.",
    "risk_level": "MEDIUM",
}


@dataclass(frozen=True)
class Reply:
    """What the server sends back, after a while; status 0: nothing, it closes the connection."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    delay_seconds: float = 0.0


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def facts(self) -> dict[str, Any]:
        """What was said about the bar."""
        return json.loads(self.json["contents"][0]["parts"][0]["text"])

    @property
    def instruction(self) -> str:
        given = self.json.get("systemInstruction") or self.json["system_instruction"]
        return given["parts"][0]["text"]


def answering(answer: Any = None, **reply: Any) -> Reply:
    """A well-formed envelope around an answer: a dict as JSON, or text as it is."""
    chosen = GOOD_ANSWER if answer is None else answer
    text = chosen if isinstance(chosen, str) else json.dumps(chosen)
    envelope = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 700, "candidatesTokenCount": 60, "totalTokenCount": 760},
        "modelVersion": "stand-in",
    }
    return Reply(body=json.dumps(envelope).encode(), **reply)


def failing(status: int, *headers: tuple[str, str], details: list[Any] | None = None, message: str = "no") -> Reply:
    """Google's envelope around an error."""
    error = {"code": status, "message": message, "status": "SOME_STATUS", "details": details or []}
    return Reply(status, json.dumps({"error": error}).encode(), headers)


Script = Callable[[int, Asked], Reply]


@dataclass
class StandIn:
    """A running stand-in; `script` gets the number of the request, from 0, and the request."""

    url: str
    script: Script
    asked: list[Asked] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    stand_in: StandIn


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        # answers are written in two parts, which the kernel would hold back for each other
        self.disable_nagle_algorithm = True

    def do_POST(self) -> None:
        stand_in = self.server.stand_in
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, raw)
        with stand_in.lock:
            number = len(stand_in.asked)
            stand_in.asked.append(asked)
            stand_in.in_flight += 1
            stand_in.most_in_flight = max(stand_in.most_in_flight, stand_in.in_flight)
        try:
            reply = stand_in.script(number, asked)
            time.sleep(reply.delay_seconds)
        finally:
            with stand_in.lock:
                stand_in.in_flight -= 1
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        if not reply.status:
            self.close_connection = True
            return
        try:
            self.send_response(reply.status)
            for name, value in (("Content-Type", "application/json"), *reply.headers):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
        except OSError:
            self.close_connection = True  # the client gave up

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@contextmanager
def running_stand_in(script: Script | None = None) -> Iterator[StandIn]:
    """A stand-in on a free port; without a script every answer is good."""
    server = _Server(("127.0.0.1", 0), _Handler)
    stand_in = StandIn(f"http://127.0.0.1:{server.server_address[1]}", script or (lambda number, asked: answering()))
    server.stand_in = stand_in
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()

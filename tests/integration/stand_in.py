"""A local HTTP server that answers from a script, and remembers what it was asked."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from configs.settings import Settings, load_settings


@lru_cache(maxsize=1)
def _settings() -> Settings:
    return load_settings("local")


def own_settings() -> Settings:
    """Settings whose cache lies in the running test's home."""
    cache = Path(os.environ["TRADEHITS_HOME"]) / "local" / "cache"
    return _settings().model_copy(update={"paths": _settings().paths.model_copy(update={"cache": cache})})


@dataclass(frozen=True)
class Answer:
    """What the server says; `cut` leaves out the end of the body that Content-Length promised."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    cut: bool = False


@dataclass(frozen=True)
class Request:
    path: str
    query: dict[str, str]


class StandIn:
    """Answers with the faults scripted for a part of the address, in turn, and else with `respond`."""

    def __init__(self, respond: Callable[[Request], Answer]) -> None:
        self.requests: list[Request] = []
        self.faults: dict[str, list[Answer | None]] = {}
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                url = urlsplit(self.path)
                request = Request(url.path, {name: values[0] for name, values in parse_qs(url.query).items()})
                stand_in.requests.append(request)
                planned = next((stand_in.faults[part] for part in stand_in.faults if part in self.path), [])
                answer = (planned.pop(0) if planned else None) or respond(request)
                time.sleep(answer.delay_seconds)
                body = answer.body[: len(answer.body) // 2] if answer.cut else answer.body
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                if answer.cut:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if path in request.path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

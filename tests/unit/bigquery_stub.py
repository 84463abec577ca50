"""A server that answers Google's client as BigQuery's REST API would: with the errors that no emulator gives."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, Any]]


@dataclass
class Stub:
    """A running stub: its address, and every request's (method, path, body)."""

    host: str = ""
    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def jobs(self) -> list[dict[str, Any]]:
        """Configurations of the jobs that were asked for."""
        return [body["configuration"] for method, path, body in self.requests if method == "POST" and "/jobs" in path]


def failure(code: int, reason: str, message: str) -> Answer:
    """An error as BigQuery words it."""
    return code, {"error": {"code": code, "message": message, "errors": [{"reason": reason, "message": message}]}}


def failed_job(reason: str, message: str) -> Answer:
    """A job that was taken and then failed."""
    error = {"reason": reason, "message": message}
    return 200, {**_job("DONE"), "status": {"state": "DONE", "errorResult": error, "errors": [error]}}


def dry_run(size: int) -> Answer:
    """An estimate."""
    query = {"totalBytesProcessed": str(size), "statementType": "SELECT", "schema": {"fields": []}}
    return 200, {**_job("DONE"), "statistics": {"totalBytesProcessed": str(size), "query": query}}


def _job(state: str) -> dict[str, Any]:
    return {
        "jobReference": {"projectId": "p", "jobId": "j", "location": "US"},
        "configuration": {"jobType": "QUERY", "query": {"query": "SELECT 1"}},
        "status": {"state": state},
        "statistics": {},
    }


@contextmanager
def running_stub(answer: Callable[[int, str, str, dict[str, Any]], Answer]) -> Iterator[Stub]:
    """Serve on a free port; `answer` gets the request's number, method, path and body."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(text) if text.startswith(b"{") else {}
            stub.requests.append((self.command, self.path, body))
            code, reply = answer(len(stub.requests) - 1, self.command, self.path, body)
            payload = json.dumps(reply).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815  http.server's own names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.host = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()

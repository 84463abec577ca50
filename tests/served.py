"""An ASGI application on a real socket, and clients that speak to it byte by byte."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn


@dataclass(frozen=True)
class RawAnswer:
    """What came back over a socket; status 0 when the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def served(app: Any) -> Iterator[int]:
    """Serve on a free port of loopback as the service is served (uvicorn, httptools); yields the port."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, server_header=False)
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        assert server.started, "the server did not start"
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(15)
        listener.close()


def speak(port: int, *parts: bytes, host: str = "127.0.0.1", timeout: float = 20.0) -> RawAnswer:
    """Send bytes as they are, then read one answer until the server closes or the announced body is complete."""
    with socket.create_connection((host, port), timeout=timeout) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return read_answer(connection)


def read_answer(connection: socket.socket) -> RawAnswer:
    """One answer; a reset connection counts as closed."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65_536)
            if not piece:
                return RawAnswer(0, {}, data)
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "-1"))
        while length < 0 or len(body) < length:
            piece = connection.recv(65_536)
            if not piece:
                break
            body += piece
    except ConnectionResetError:
        return RawAnswer(0, {}, b"")
    return RawAnswer(int(lines[0].split()[1]), headers, body)


def request(method: str, target: str, *, body: bytes | None = None, host: str = "127.0.0.1", **headers: str) -> bytes:
    """One HTTP/1.1 request; underscores in header names are hyphens."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")

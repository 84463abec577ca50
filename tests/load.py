"""Clients that keep asking: each has one connection, which it keeps."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Asked:
    """A request that clients send again and again."""

    method: str
    target: str
    body: bytes | None = None


@dataclass
class Load:
    """What the clients saw so far."""

    answered: int = 0
    faults: list[str] = field(default_factory=list)
    seen: set[Any] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, fact: Any, fault: str | None) -> None:
        with self._lock:
            self.answered += 1
            self.seen.add(fact)
            if fault is not None and len(self.faults) < 20:
                self.faults.append(fault)


Judge = Callable[[Asked, int, http.client.HTTPMessage, bytes], tuple[Any, str | None]]


@contextmanager
def under_load(base: str, asked: list[Asked], judge: Judge, *, clients: int = 8) -> Iterator[Load]:
    """Run clients until the block ends; each takes turns through `asked`, beginning elsewhere.

    Args:
        base: Of the service.
        asked: What to send.
        judge: Gives a fact to collect, and what is wrong with an answer, if anything.
        clients: Number of connections.
    """
    load, enough = Load(), threading.Event()
    host = urlsplit(base).netloc

    def client(first: int) -> None:
        connection = http.client.HTTPConnection(host, timeout=30)
        turn = first
        while not enough.is_set():
            one = asked[turn % len(asked)]
            turn += 1
            try:
                connection.request(one.method, one.target, one.body, JSON if one.body else {})
                answer = connection.getresponse()
                load.note(*judge(one, answer.status, answer.headers, answer.read()))
            except (OSError, http.client.HTTPException) as error:
                load.note(None, f"{one.target}: {error!r}")
                connection.close()
        connection.close()

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        enough.set()
        for thread in threads:
            thread.join(60)

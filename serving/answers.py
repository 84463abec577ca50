"""Finished answers: bytes and headers, kept while their snapshot stands."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.instants import iso

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """A finished answer of status 200; it is an ASGI application, and may be sent any number of times.

    Attributes:
        body: JSON.
        headers: All that depend on the body and its snapshot.
        unchanged_headers: Those of a 304.
        etag: Of the body and the model versions.
        route: The route's template, for metrics.
    """

    body: bytes
    headers: Headers
    unchanged_headers: Headers
    etag: bytes
    route: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or 304 to a client that has it already."""
        for name, value in scope["headers"]:
            if name == b"if-none-match" and _matches(value, self.etag):
                await send({"type": "http.response.start", "status": 304, "headers": self.unchanged_headers})
                await send({"type": "http.response.body"})
                return
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def make_answer(
    content: Mapping[str, Any], route: str, *, model_versions: Mapping[str, str], as_of: datetime | None
) -> Answer:
    """An answer with the headers that name what made it.

    Args:
        content: JSON content.
        route: Its route's template.
        model_versions: Of the classes it speaks of; the header `X-Model-Version` lists them in this order.
        as_of: Newest `bar_known_at` behind it.
    """
    body = orjson.dumps(content)
    versions = ", ".join(model_versions.values()).encode()
    digest = hashlib.blake2b(body, digest_size=12)
    digest.update(versions)
    etag = f'"{digest.hexdigest()}"'.encode()
    named: Headers = [(b"etag", etag), (b"cache-control", b"no-cache"), (b"x-model-version", versions)]
    if as_of is not None:
        named.append((b"x-as-of", iso(as_of).encode()))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *named]
    return Answer(body, headers, named, etag, route)


def json_response(content: Mapping[str, Any], model_version: str, as_of: datetime | None) -> Response:
    """An answer to a POST, made for one client and kept by nobody."""
    headers = {"x-model-version": model_version, "cache-control": "no-store"}
    if as_of is not None:
        headers["x-as-of"] = iso(as_of)
    return Response(orjson.dumps(content), headers=headers, media_type="application/json")


class Answers:
    """Answers by request, the longest unused leaving first.

    Args:
        most: Number of answers kept.
        most_bytes: Their size together, keys included.
    """

    def __init__(self, most: int = 4096, most_bytes: int = 64 * 1024 * 1024) -> None:
        """Nothing is kept yet."""
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[bytes, Answer] = OrderedDict()

    def __len__(self) -> int:
        """Number of answers kept."""
        return len(self._kept)

    def get(self, key: bytes) -> Answer | None:
        """The answer to a request, if it was given before."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer, within the bounds."""
        size = _size(key, answer)
        if size > self._most_bytes or not self._most or key in self._kept:
            return
        self._kept[key] = answer
        self._bytes += size
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            oldest, dropped = self._kept.popitem(last=False)
            self._bytes -= _size(oldest, dropped)


def request_key(scope: Scope) -> bytes:
    """What tells one GET from another: path and query as they were sent."""
    path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    query: bytes = scope["query_string"]
    return path + b"?" + query


def _matches(given: bytes, etag: bytes) -> bool:
    return given == etag or any(part.strip().removeprefix(b"W/") in (etag, b"*") for part in given.split(b","))


def _size(key: bytes, answer: Answer) -> int:
    return len(key) + len(answer.body) + 600

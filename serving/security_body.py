"""Request bodies: read whole, within a size and a time, before anything behind the gate sees them.

Every body of this service is one JSON document, so nothing is gained by streaming it, and an application that got a too
large body halfway would answer as it likes. Chunked bodies are counted as they arrive. Compressed ones are refused
unread: no client needs them, and a bomb that is never unpacked cannot go off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.types import Message, Receive

from serving.security_errors import Refusal

READS = frozenset(("GET", "HEAD", "OPTIONS"))


class ClientGoneError(Exception):
    """The connection ended before the body was complete; there is nobody to answer."""


def announced_fault(headers: Mapping[bytes, bytes], method: str, limit_bytes: int) -> Refusal | None:
    """What the headers alone say against a body; nothing has been read yet.

    Args:
        headers: Of the request, names in lower case.
        method: Of the request.
        limit_bytes: Largest body.
    """
    if not has_body(headers):
        return None
    length = headers.get(b"content-length", b"0")
    if not length.isdigit():
        return Refusal(400, "Content-Length is no number", "content-length", close=True)
    if len(length) > 18 or int(length) > limit_bytes:
        return too_large(limit_bytes)
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
        return Refusal(415, "compressed bodies are not taken; send the JSON as it is", "content-encoding", close=True)
    if method in READS:
        return None
    # A page of another site can make a browser send any other type without asking first (CORS "simple requests").
    kind = headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
    if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        return Refusal(415, "the body must be JSON: Content-Type: application/json", "content-type", close=True)
    return None


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body follows these headers."""
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def too_large(limit_bytes: int) -> Refusal:
    """The refusal of a body above the limit."""
    return Refusal(413, f"the body is larger than {limit_bytes:,} bytes", "body", close=True)


async def whole_body(receive: Receive, limit_bytes: int, timeout_seconds: float) -> bytes | Refusal:
    """The body, or why it is not taken.

    Raises:
        ClientGoneError: If the client left before its end.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGoneError
                part = message.get("body", b"")
                size += len(part)
                if size > limit_bytes:
                    return too_large(limit_bytes)
                parts.append(part)
                if not message.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        return Refusal(408, f"the body took longer than {timeout_seconds:g} s to arrive", "body", close=True)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A receive channel that gives the body as one message, then what the connection says."""
    pending: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def once() -> Message:
        nonlocal pending
        if pending is None:
            return await receive()
        message, pending = pending, None
        return message

    return once

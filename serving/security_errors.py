"""Every refusal in one shape: `{"status": "error", "message": ..., "field": ...}`, whoever in the service refused.

What frameworks put into their own error bodies (tracebacks, SQL, names of classes, the input itself) never gets out:
bodies that are not in the shape yet are replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from starlette.types import Send

Headers = Sequence[tuple[bytes, bytes]]

LARGEST_HELD_BYTES = 65_536
_SHAPE = {"status", "message", "field"}
_LONGEST_MESSAGE = 300
_MESSAGES = {
    400: "the request cannot be understood",
    401: "an API key is needed",
    403: "this is not allowed",
    404: "there is nothing at this address; /docs lists every route",
    405: "this address does not answer that method; /docs lists every route",
    406: "answers are JSON",
    408: "the request took too long to arrive",
    413: "the request is too large",
    414: "the address is too long",
    415: "the body must be JSON",
    422: "the request is not valid",
    429: "too many requests",
    431: "the headers are too large",
    503: "the service is not ready",
    504: "the answer took too long",
}


@dataclass(frozen=True)
class Refusal:
    """An answer that ends a request early.

    Attributes:
        status: HTTP status.
        message: For people.
        field: The parameter, header or body part it is about, if one.
        headers: Beside the usual ones.
        close: Whether the connection ends with it, because its body was not read.
    """

    status: int
    message: str
    field: str | None = None
    headers: Headers = ()
    close: bool = False


def error_body(message: str, field: str | None = None) -> bytes:
    """The error object of the API."""
    return orjson.dumps({"status": "error", "message": message, "field": field})


async def refuse(send: Send, refusal: Refusal) -> None:
    """Send a refusal as a complete answer."""
    body = error_body(refusal.message, refusal.field)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *refusal.headers,
    ]
    if refusal.close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def told_by_id(request_id: str) -> str:
    """What a client learns about a fault of the service."""
    return f"something went wrong here; the service's log knows why, under {request_id}"


def in_shape(status: int, body: bytes, request_id: str) -> bytes:
    """A body of status 4xx or 5xx as the API promises it; one that is in the shape already stays as it is.

    Args:
        status: The answer's status.
        body: What a framework or a handler wrote.
        request_id: Of the request.
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        given = None
    if isinstance(given, dict) and set(given) >= _SHAPE and given["status"] == "error":
        return body
    fixed = _MESSAGES.get(status, told_by_id(request_id) if status >= 500 else _MESSAGES[400])
    if status >= 500 or not isinstance(given, dict):
        return error_body(fixed)
    return error_body(*_of_validation(given.get("detail"), fixed))


def _of_validation(detail: object, fixed: str) -> tuple[str, str | None]:
    """Message and field of the first entry of a pydantic error list; its `input` stays unsaid."""
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        message, place = detail[0].get("msg"), detail[0].get("loc")
        if isinstance(message, str):
            field = ".".join(str(part) for part in place) if isinstance(place, list) and place else None
            return message[:_LONGEST_MESSAGE], field
    return fixed, None

"""Errors in the API's one shape, whoever found them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from market.errors import SnapshotError, TradeHitsError, UnknownSymbolError

UNPROCESSABLE = 422
_PLACES = frozenset(("query", "path", "body", "header", "cookie"))


def error_response(
    status: int, message: str, field: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    """`{"status": "error", "message", "field"}`."""
    body = orjson.dumps({"status": "error", "message": message, "field": field})
    return Response(body, status, headers, media_type="application/json")


def invalid_response(errors: Sequence[Any]) -> Response:
    """422 that speaks of the first thing wrong.

    Args:
        errors: As pydantic lists them.
    """
    first = errors[0]
    place = [str(part) for part in first["loc"]]
    field = ".".join(place[1:] if place and place[0] in _PLACES else place) or None
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such parameter"
    return error_response(UNPROCESSABLE, f"{field}: {message}" if field else message, field)


async def answer_invalid(request: Request, error: Exception) -> Response:
    """A request whose parameters are not valid."""
    assert isinstance(error, RequestValidationError)
    return invalid_response(error.errors())


async def answer_http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses: unknown addresses and methods."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return error_response(error.status_code, str(error.detail), None, headers)


async def answer_named_error(request: Request, error: Exception) -> Response:
    """An error that the platform raised on purpose."""
    assert isinstance(error, TradeHitsError)
    return named_error_response(error)


def named_error_response(error: TradeHitsError) -> Response:
    """404 for an unknown symbol, 503 while nothing is published, else 422 with the field that the error names."""
    message = f"{error.message}; {error.remedy}" if error.remedy else error.message
    if isinstance(error, UnknownSymbolError):
        return error_response(404, message, "symbol")
    if isinstance(error, SnapshotError):
        return error_response(503, message, None, {"retry-after": "5"})
    return error_response(UNPROCESSABLE, message, getattr(error, "field", None))

"""The OpenAPI document: every route of the service, BentoML's endpoints too, with examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from serving import metrics as routes
from serving.api_models import ErrorAnswer
from serving.native_models import EnsembleAnswer, EnsembleRequest, PredictAnswer, PredictRequest
from serving.openapi_examples import ANSWERS, ERRORS, PARAMETERS, REQUESTS
from serving.openapi_links import add_links

DESCRIPTION = """Trading signals whose every number is out-of-sample.

* **No signal is a valid answer.** Honest probabilities of daily bars lie near one half; `note` says so, with their
  range.
* Every answer is made of one published snapshot: `X-Model-Version` names the models, `X-As-Of` the newest bar behind
  it. `ETag` with `If-None-Match` gives 304 while nothing changed.
* Errors have one shape: `{"status": "error", "message": ..., "field": ...}`.
* Times are UTC. Percentages are 0-100, probabilities 0-1. Filter values are case-insensitive.
"""
TAGS = [
    {"name": "signals", "description": "XGBoost alone: the champion's out-of-sample record. Directions are 1 and 0."},
    {"name": "record", "description": "How good the record is, beside its base rate."},
    {"name": "ensemble", "description": "XGBoost and Gemini together. Directions are UP and DOWN."},
    {"name": "scoring", "description": "The champion on feature vectors of your own."},
    {"name": "operations", "description": "For load balancers and monitoring."},
]
_HEADERS = {
    "ETag": {"description": "Changes with the answer.", "schema": {"type": "string"}},
    "X-Model-Version": {"description": "Versions of the models behind the answer.", "schema": {"type": "string"}},
    "X-As-Of": {"description": "When the newest bar behind the answer closed.", "schema": {"type": "string"}},
}
_ERROR: dict[str, Any] = {"model": ErrorAnswer}


def openapi_document(read_routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The document, ready for JSON.

    Args:
        read_routes: Of the FastAPI application.
    """
    shown = [*read_routes, *_native_routes().routes, *_operations().routes]
    for route in shown:
        if isinstance(route, APIRoute):
            route.operation_id = route.name
    document = get_openapi(
        title="TradeHits", version="1", description=DESCRIPTION, tags=TAGS, routes=shown, openapi_version="3.1.0"
    )
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _complete(operation, path, method)
    add_links(document)
    _with_keys(document)
    return document


def _native_routes() -> APIRouter:
    """BentoML's endpoints as FastAPI would describe them: one generator, one style. Nobody mounts this router."""
    router = APIRouter()
    errors: dict[int | str, dict[str, Any]] = {
        401: {**_ERROR, "description": "An API key is needed, or the one given is not valid."},
        404: {**_ERROR, "description": "No such symbol, or no champion of this class."},
        413: {**_ERROR, "description": "The body is too large."},
        415: {**_ERROR, "description": "The body is no JSON by its Content-Type."},
        422: {**_ERROR, "description": "The body is not valid; `field` names where."},
        429: {**_ERROR, "description": "Too many requests."},
        503: {**_ERROR, "description": "Nothing was published yet."},
        "default": {**_ERROR, "description": "Any other refusal."},
    }

    @router.post(routes.PREDICT, tags=["scoring"], responses=errors)
    async def predict(request: PredictRequest) -> PredictAnswer:
        """Raw scoring by a class's champion, one row or many."""
        raise NotImplementedError

    @router.post(routes.ENSEMBLE, tags=["ensemble"], responses=errors)
    async def ensemble_prediction(request: EnsembleRequest) -> EnsembleAnswer:
        """The ensemble on a symbol's newest closed bar; Gemini is asked within its budget and deadline."""
        raise NotImplementedError

    return router


def _operations() -> APIRouter:
    errors: dict[int | str, dict[str, Any]] = {"default": {**_ERROR, "description": "Any refusal."}}
    router = APIRouter(tags=["operations"], responses=errors)

    @router.get("/livez", response_class=PlainTextResponse)
    async def livez() -> Response:
        """Whether the process answers."""
        raise NotImplementedError

    @router.get(
        "/readyz",
        response_class=PlainTextResponse,
        responses={503: {**_ERROR, "description": "No model or no snapshot."}},
    )
    async def readyz() -> Response:
        """Whether a model and a snapshot are there."""
        raise NotImplementedError

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Prometheus' text."""
        raise NotImplementedError

    return router


def _complete(operation: dict[str, Any], path: str, method: str) -> None:
    """Examples, headers, and the names of parameters as people ask for them."""
    name = f"{method.upper()} {path}"
    operation["summary"] = operation.pop("description").rstrip(".")
    for parameter in operation.get("parameters", ()):
        example = PARAMETERS.get(parameter["name"])
        if example is not None:
            parameter["example"] = example
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        body["example"] = REQUESTS[name]
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/json")
        if status == "200" and content is not None and name in ANSWERS:
            content["example"] = ANSWERS[name]
            response["headers"] = dict(_HEADERS) if method == "get" else {k: _HEADERS[k] for k in list(_HEADERS)[1:]}
        elif status != "200" and content is not None:
            message, field = ERRORS[status]
            content["example"] = {"status": "error", "message": message, "field": field}


def _with_keys(document: dict[str, Any]) -> None:
    """Keys are accepted everywhere and needed beyond loopback."""
    document.setdefault("components", {})["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer ...`."},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    document["security"] = [{}, {"bearer": []}, {"header": []}]

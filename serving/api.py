"""The read routes, `/docs` and `/metrics`: a FastAPI application that BentoML mounts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from configs.serving import ServingSettings
from market.errors import SnapshotError, UnknownSymbolError
from serving import api_reads as reads
from serving import metrics as routes
from serving.answers import Answer, make_answer, request_key
from serving.api_docs import add_docs
from serving.api_errors import answer_http_error, answer_invalid, answer_named_error
from serving.api_models import (
    EnsembleSignalsAnswer,
    ErrorAnswer,
    HighConfidenceAnswer,
    PredictionsAnswer,
    SummaryAnswer,
    SymbolAnswer,
)
from serving.api_queries import (
    EnsembleSignalsQuery,
    HighConfidenceQuery,
    PredictionsQuery,
    SummaryQuery,
    SymbolQuery,
)
from serving.snapshot import Snapshot
from serving.snapshot_holder import SnapshotHolder

ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "An API key is needed, or the one given is not valid."},
    422: {"model": ErrorAnswer, "description": "A parameter is not valid; `field` names it."},
    429: {"model": ErrorAnswer, "description": "Too many requests."},
    503: {"model": ErrorAnswer, "description": "Nothing was published yet."},
    "default": {"model": ErrorAnswer, "description": "Any other refusal."},
}


@dataclass(frozen=True)
class Reader:
    """Makes answers of the present snapshot, and keeps them with it."""

    holder: SnapshotHolder

    def answer(self, request: Request, route: str, make: Callable[[Snapshot], reads.Content]) -> Response:
        """The answer to a GET.

        Raises:
            SnapshotError: Nothing was published yet.
        """
        served = self.holder.served
        if served is None:
            raise not_ready(self.holder)
        content = make(served.snapshot)
        answer = make_answer(content.body, route, model_versions=content.model_versions, as_of=content.as_of)
        served.answers.put(request_key(request.scope), answer)
        return _Finished(answer)


class _Finished(Response):
    """A finished answer in the shape that a FastAPI route returns."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = 200
        self.background = None
        self.body = answer.body
        self.raw_headers = list(answer.headers)
        self._answer = answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._answer(scope, receive, send)


def not_ready(holder: SnapshotHolder) -> SnapshotError:
    """Why nothing can be answered."""
    fault = "nothing was published yet" if holder.failure is None else "what was published cannot be read"
    return SnapshotError(fault, remedy="`tradehits run` or `tradehits predict` publishes")


def read_routes(reader: Reader, settings: ServingSettings) -> APIRouter:
    """The routes under `/api/ml` that read.

    Args:
        reader: Gives their answers.
        settings: How many days the ensemble's signals cover.
    """
    router = APIRouter(responses=ERRORS)

    @router.get(routes.PREDICTIONS, response_model=PredictionsAnswer, tags=["signals"])
    async def predictions(request: Request, query: Annotated[PredictionsQuery, Query()]) -> Response:
        """Predictions of the champion's record, newest first, with filters."""
        return reader.answer(request, routes.PREDICTIONS, lambda snapshot: reads.predictions(snapshot, query))

    @router.get(routes.HIGH_CONFIDENCE, response_model=HighConfidenceAnswer, tags=["signals"])
    async def high_confidence_signals(request: Request, query: Annotated[HighConfidenceQuery, Query()]) -> Response:
        """Predictions of HIGH confidence only, newest first, with the record of such predictions."""
        return reader.answer(request, routes.HIGH_CONFIDENCE, lambda snapshot: reads.high_confidence(snapshot, query))

    @router.get(routes.SUMMARY, response_model=SummaryAnswer, tags=["record"])
    async def walk_forward_summary(request: Request, query: Annotated[SummaryQuery, Query()]) -> Response:
        """Accuracy of the walk-forward record by split and class, each beside its base rate and interval."""
        return reader.answer(request, routes.SUMMARY, reads.walk_forward_summary)

    @router.get(
        routes.SYMBOL.replace("{symbol}", "{symbol:path}"),
        response_model=SymbolAnswer,
        tags=["signals"],
        responses={404: {"model": ErrorAnswer, "description": "No prediction of this symbol; near names are named."}},
    )
    async def symbol_prediction(
        request: Request,
        symbol: Annotated[str, Path(description="Ticker as listed, or BASE/QUOTE with its slash plain or as %2F.")],
        query: Annotated[SymbolQuery, Query()],
    ) -> Response:
        """A symbol's newest prediction, and the ten newest rows of its history."""
        return reader.answer(
            request, routes.SYMBOL, lambda snapshot: reads.symbol_prediction(snapshot, query.asset_type, symbol)
        )

    @router.get(routes.ENSEMBLE_SIGNALS, response_model=EnsembleSignalsAnswer, tags=["ensemble"])
    async def ensemble_signals(request: Request, query: Annotated[EnsembleSignalsQuery, Query()]) -> Response:
        """Stored predictions of XGBoost and Gemini together, of the last seven days; nobody is asked anew."""
        days = settings.signal_days
        return reader.answer(
            request,
            routes.ENSEMBLE_SIGNALS,
            lambda snapshot: reads.ensemble_signals(snapshot, query, days=days),
        )

    return router


def make_api(holder: SnapshotHolder, settings: ServingSettings, *, exposition: Callable[[], bytes]) -> FastAPI:
    """Everything that is no BentoML endpoint.

    Args:
        holder: Gives the snapshot.
        settings: The section `serving`.
        exposition: Prometheus' text.
    """
    api = FastAPI(title="TradeHits", openapi_url=None, docs_url=None, redoc_url=None)
    api.include_router(read_routes(Reader(holder), settings))
    api.add_exception_handler(RequestValidationError, answer_invalid)
    api.add_exception_handler(HTTPException, answer_http_error)
    for named in (UnknownSymbolError, SnapshotError):
        api.add_exception_handler(named, answer_named_error)

    @api.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    add_docs(api)
    return api

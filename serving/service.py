"""The service that BentoML hosts: `serving.service:TradeHits`.

`/predict` and the ensemble are BentoML's own endpoints; the read routes are a FastAPI application mounted beside them.
Nothing is read on import: settings, keys and the snapshot come when a worker starts.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from contextvars import ContextVar
from functools import cache
from typing import Any

import bentoml
import numpy as np
from _bentoml_impl.server.app import ServiceAppFactory
from _bentoml_sdk.service.factory import Service
from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp

from configs.event_log import event, event_log
from configs.settings import Settings, load_settings
from market.assets import AssetType
from market.errors import FeatureError, MarketDataError, SnapshotError, UnknownSymbolError
from market.signals import DECIMALS, StringArray, signal
from serving.answers import Answers, json_response
from serving.api import make_api, not_ready
from serving.api_errors import UNPROCESSABLE, error_response, named_error_response
from serving.api_find import known_symbol
from serving.ensemble import GeminiEnsemble
from serving.front import NativeErrors, ReadyAnswers
from serving.metrics import ENSEMBLE, PREDICT, Measured, ServiceMetrics
from serving.native_models import EnsembleAnswer, EnsembleRequest, PredictAnswer, PredictRequest
from serving.security import secured
from serving.security_keys import KeyStore
from serving.snapshot import Snapshot
from serving.snapshot_holder import SnapshotHolder

INLINE_ROWS = 512
"""Batches up to this size are scored in the event loop: a thread's round trip would cost more than they do."""


class Runtime:
    """What the parts of one worker share.

    Args:
        settings: Of the profile.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is read yet."""
        serving = settings.serving
        self.settings = settings
        self.metrics = ServiceMetrics()
        self.holder = SnapshotHolder(
            settings.paths.snapshot_file,
            poll_seconds=serving.poll_seconds,
            answers=lambda: Answers(serving.cached_answers, serving.cached_bytes),
        )
        self.keys = KeyStore(settings.paths.api_keys_file)
        self.api = make_api(self.holder, serving, exposition=lambda: self.metrics.exposition(self.holder))


_BENTOML_LOG = logging.getLogger("bentoml._internal.server.http_app")
_ASKED: ContextVar[Snapshot] = ContextVar("snapshot of this request")


@cache
def runtime() -> Runtime:
    """This worker's; the settings are those of `TRADEHITS_PROFILE`."""
    return Runtime(load_settings())


class Host(Service[Any]):
    """A BentoML service whose every answer goes through our own layers."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """BentoML's application with the read routes mounted, inside our layers."""
        parts = runtime()
        if not self.mount_apps:
            self.mount_asgi_app(parts.api, path="/", name="api")
        self.inject_config()
        factory = ServiceAppFactory(self, is_main=is_main)
        factory.timeout = None  # its timer outlives every request by a minute; the deadline stands in `secured`
        return layered(factory(), parts)


def _is_no_invalid_input(record: logging.LogRecord) -> bool:
    """BentoML logs each invalid body with traceback and contents; the access log's line says enough."""
    return not (record.exc_info and isinstance(record.exc_info[1], ValidationError))


def layered(app: ASGIApp, parts: Runtime) -> ASGIApp:
    """From the outside in: metrics, security, finished answers, errors, BentoML.

    Raises:
        ConfigError: The service would be open to other machines without anybody having said so.
    """
    _BENTOML_LOG.addFilter(_is_no_invalid_input)
    inner = ReadyAnswers(NativeErrors(app), parts.api, parts.holder)
    settings = parts.settings
    limits_file = settings.paths.cache / "rate_limits" if settings.serving.workers > 1 else None
    return Measured(secured(inner, settings.serving, parts.keys, limits_file=limits_file), parts.metrics)


@bentoml.service(
    name="tradehits",
    service_class=Host,
    workers=1,
    http={"host": "127.0.0.1", "port": 3000},
    # both have their place in `layered`: series by route template, one access log
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    # defaults; the environment goes before them. A page of rows is made sooner than a thread is woken.
    envs=[
        {"name": "BENTOML_DO_NOT_TRACK", "value": "true"},
        {"name": "OMP_WAIT_POLICY", "value": "PASSIVE"},
        {"name": "POLARS_MAX_THREADS", "value": "1"},
    ],
    # spans that no exporter takes would cost a third of a request; BENTOML_CONFIG_OPTIONS turns them on
    tracing={"excluded_urls": ".*"},
)
class TradeHits:
    """Trading signals whose every number is out-of-sample: read routes under /api/ml, scoring, and the ensemble."""

    def __init__(self) -> None:
        """Take this worker's parts; the snapshot is read by the watch that starts with the event loop."""
        self._parts = runtime()
        self._ensemble = GeminiEnsemble(self._parts.settings, snapshots=_ASKED.get)
        self._watch: asyncio.Task[None] | None = None
        self._events = ExitStack()

    @bentoml.on_startup
    async def start(self) -> None:
        """Read the snapshot, and go on watching it."""
        self._events.enter_context(event_log(self._parts.settings, run_id=uuid.uuid4().hex, command="serve"))
        event("service.started", pid=os.getpid())
        await asyncio.to_thread(self._parts.holder.refresh)
        await self._ensemble.__aenter__()
        self._watch = asyncio.create_task(self._parts.holder.watch())

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """End the watch and close connections."""
        if self._watch is not None:
            self._watch.cancel()
        await self._ensemble.__aexit__(None, None, None)
        event("service.stopped", pid=os.getpid())
        self._events.close()

    async def __is_ready__(self) -> bool:
        """With a snapshot; it holds at least one model."""
        return self._parts.holder.current is not None

    @bentoml.api(route=PREDICT, input_spec=PredictRequest, output_spec=PredictAnswer)
    async def predict(self, asset_type: AssetType, rows: list[list[float | None]]) -> Response:
        """Raw scoring by a class's champion, one row or many."""
        return await self._answered(lambda snapshot: self._scores(snapshot, asset_type, rows))

    @bentoml.api(route=ENSEMBLE, input_spec=EnsembleRequest, output_spec=EnsembleAnswer)
    async def ensemble_prediction(
        self, symbol: str, asset_type: AssetType, market_data: dict[str, Any] | None
    ) -> Response:
        """The ensemble on a symbol's newest closed bar."""
        return await self._answered(lambda snapshot: self._opinion(snapshot, asset_type, symbol, market_data))

    async def _answered(self, make: Callable[[Snapshot], Awaitable[Response]]) -> Response:
        """One snapshot for the whole request, and named errors in the API's shape."""
        snapshot = self._parts.holder.current
        try:
            if snapshot is None:
                raise not_ready(self._parts.holder)
            return await make(snapshot)
        except (UnknownSymbolError, SnapshotError, FeatureError, MarketDataError) as error:
            return named_error_response(error)

    async def _scores(self, snapshot: Snapshot, asset_type: AssetType, rows: list[list[float | None]]) -> Response:
        bundle = snapshot.bundles.get(asset_type)
        if bundle is None:
            served = ", ".join(snapshot.bundles)
            return error_response(404, f"no champion of {asset_type} is published; served: {served}", "asset_type")
        features = bundle.info.features
        for number, row in enumerate(rows):
            if len(row) != len(features):
                message = f"row {number} has {len(row)} values, {len(features)} are needed: {', '.join(features)}"
                return error_response(UNPROCESSABLE, message, f"rows.{number}")
        if len(rows) <= INLINE_ROWS:
            scores = bundle.predict(np.array(rows, dtype=np.float64))
        else:
            scores = await asyncio.to_thread(lambda: bundle.predict(np.array(rows, dtype=np.float64)))
        champion = snapshot.champions[asset_type]
        self._count(PREDICT, asset_type, signal(scores, champion.thresholds))
        body = {
            "status": "success",
            "asset_type": asset_type,
            "model_version": champion.model_version,
            "features": features,
            "up_probability": scores.tolist(),
        }
        return json_response(body, champion.model_version, champion.as_of)

    async def _opinion(
        self, snapshot: Snapshot, asset_type: AssetType, symbol: str, market_data: dict[str, Any] | None
    ) -> Response:
        known = known_symbol(snapshot, asset_type, symbol)
        _ASKED.set(snapshot)
        body = await self._ensemble.get_ensemble_prediction(known, asset_type, market_data)
        row = snapshot.latest_realtime(asset_type, known)
        assert row is not None  # or the ensemble had raised UnknownSymbolError
        p = round(body["ensemble_prediction"]["ensemble_score"] / 2 + 0.5, DECIMALS)
        self._count(ENSEMBLE, asset_type, signal(np.array([p]), snapshot.champions[asset_type].thresholds))
        return json_response(body, row.model_version, row.bar_known_at)

    def _count(self, route: str, asset_type: AssetType, signals: StringArray) -> None:
        for name, number in Counter(signals.tolist()).items():
            self._parts.metrics.count_predictions(route, asset_type, name, number)

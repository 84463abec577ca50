"""Prometheus series of the service: requests by route template, predictions by signal, and what is being served."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.snapshot_holder import SnapshotHolder

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
UNMATCHED = "unmatched"

READS = "/api/ml"
PREDICTIONS = f"{READS}/predictions"
HIGH_CONFIDENCE = f"{READS}/high-confidence-signals"
SUMMARY = f"{READS}/walk-forward-summary"
SYMBOL = f"{READS}/symbol-prediction/{{symbol}}"
ENSEMBLE_SIGNALS = f"{READS}/ensemble-signals"
ENSEMBLE = f"{READS}/ensemble-prediction"
PREDICT = "/predict"

_FIXED = frozenset(
    (
        *(PREDICTIONS, HIGH_CONFIDENCE, SUMMARY, ENSEMBLE_SIGNALS, ENSEMBLE, PREDICT),
        *("/livez", "/readyz", "/healthz", "/metrics", "/docs", "/openapi.json", "/", "/docs.json", "/schema.json"),
    )
)
_SYMBOL_PREFIX = SYMBOL.removesuffix("{symbol}")
_METHODS = frozenset(("GET", "POST", "HEAD", "OPTIONS"))


def route_template(path: str) -> str:
    """The route that a path belongs to, so that no client can make up series."""
    if path in _FIXED:
        return path
    if path.startswith(_SYMBOL_PREFIX):
        return SYMBOL
    return "/docs" if path.startswith("/docs/") else UNMATCHED


class ServiceMetrics:
    """Counters of one worker; where `PROMETHEUS_MULTIPROC_DIR` is set they are added up over all workers."""

    def __init__(self) -> None:
        """Series of a registry of their own."""
        registry = CollectorRegistry()
        self._requests = Counter(
            "tradehits_requests", "Requests answered.", ("route", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "tradehits_request_seconds", "Time to answer.", ("route",), registry=registry, buckets=BUCKETS
        )
        self._predictions = Counter(
            "tradehits_predictions", "Predictions made for requests.", ("route", "asset_type", "signal"),
            registry=registry,
        )  # fmt: skip
        self._registry = registry
        self._known_requests: dict[tuple[str, str, int], Counter] = {}
        self._known_seconds: dict[str, Histogram] = {}

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Note one answer."""
        key = (route, method, status)
        series = self._known_requests.get(key)
        if series is None:
            shown = method if method in _METHODS else "other"
            series = self._known_requests[key] = self._requests.labels(route, shown, str(status))
        series.inc()
        timer = self._known_seconds.get(route)
        if timer is None:
            timer = self._known_seconds[route] = self._seconds.labels(route)
        timer.observe(seconds)

    def count_predictions(self, route: str, asset_type: str, signal: str, number: int = 1) -> None:
        """Note predictions that were made for a request."""
        self._predictions.labels(route, asset_type, signal).inc(number)

    def exposition(self, holder: SnapshotHolder) -> bytes:
        """All series in Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        else:
            registry = self._registry
        state = CollectorRegistry()
        state.register(_State(holder))
        return generate_latest(registry) + generate_latest(state)


class _State(Collector):
    """What is being served, as it is at the moment of the question."""

    def __init__(self, holder: SnapshotHolder) -> None:
        self._holder = holder

    def collect(self) -> Iterator[Metric]:
        snapshot = self._holder.current
        ready = GaugeMetricFamily("tradehits_ready", "1 with a snapshot and its models.")
        ready.add_metric((), float(snapshot is not None))
        yield ready
        if snapshot is None:
            return
        age = GaugeMetricFamily("tradehits_snapshot_age_seconds", "Since the snapshot was published.")
        age.add_metric((), (datetime.now(UTC) - snapshot.created_at).total_seconds())
        yield age
        known = GaugeMetricFamily(
            "tradehits_newest_bar_timestamp_seconds", "When the newest served bar closed.", labels=("asset_type",)
        )
        model = GaugeMetricFamily("tradehits_model", "The served champion.", labels=("asset_type", "model_version"))
        for name, champion in snapshot.champions.items():
            model.add_metric((name, champion.model_version), 1.0)
            if champion.as_of is not None:
                known.add_metric((name,), champion.as_of.timestamp())
        yield known
        yield model
        signals = GaugeMetricFamily(
            "tradehits_signals", "Each symbol's newest prediction, by signal.", labels=("asset_type", "signal")
        )
        for (asset_type, signal), number in sorted(snapshot.newest_signals.items()):
            signals.add_metric((asset_type, signal), number)
        yield signals


class Measured:
    """Counts every answer of an application, whoever in it answered."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        """Wrap the application."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and note status and time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.count_request(route_template(scope["path"]), scope["method"], status, seconds)

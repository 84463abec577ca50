"""Spans for an OpenTelemetry collector: one for a command, one for each of its steps. Needs the extra `otel`.

Spans are sent from a thread of their own. A collector that is slow, away or wrong costs a warning, and at most
`observability.otlp_seconds` at a command's end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from configs.secrets import masker
from market.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span, Tracer

    from configs.observability import ObservabilitySettings

log = logging.getLogger("tradehits")

_PREFIX = "tradehits."
_EXPORTER_LOG = "opentelemetry.exporter"


class Traces:
    """Makes the spans of one command.

    Args:
        tracer: OpenTelemetry's.
        always: Attributes of every span.
    """

    def __init__(self, tracer: Tracer, always: Mapping[str, str]) -> None:
        """Take the secrets of this moment."""
        self._tracer = tracer
        self._always = always
        self._mask = masker()

    def start(self, name: str, parent: Span | None) -> Span:
        """Begin a span inside another one."""
        from opentelemetry import context, trace

        # an empty context: a span of somebody else's (MLflow's, a web server's) is never our parent
        inside = trace.set_span_in_context(parent, context.Context()) if parent else context.Context()
        return self._tracer.start_span(name, context=inside)

    def end(self, span: Span, facts: Mapping[str, Any]) -> None:
        """End a span with what the event's line says."""
        from opentelemetry.trace import Status, StatusCode

        for name, value in {**self._always, **facts}.items():
            if isinstance(value, Mapping):
                span.set_attributes({f"{_PREFIX}{name}.{key}": number for key, number in value.items()})
            elif value is not None:
                span.set_attribute(f"{_PREFIX}{name}", self._mask(value) if isinstance(value, str) else value)
        if facts.get("status") == "failed":
            span.set_status(Status(StatusCode.ERROR, self._mask(str(facts.get("message", "")))))
        span.end()


class _Watched:
    """An exporter that remembers whether anything was not taken.

    Args:
        exporter: OpenTelemetry's.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        """Nothing failed yet."""
        self._exporter = exporter
        self.failures = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        result = self._exporter.export(spans)
        self.failures += result.name != "SUCCESS"
        return result

    def shutdown(self) -> None:
        """Close connections."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back here."""
        return bool(self._exporter.force_flush(timeout_millis))


@contextmanager
def open_traces(given: ObservabilitySettings, always: Mapping[str, str]) -> Iterator[Traces]:
    """Send the spans of the block to the configured collector.

    Raises:
        ConfigError: The extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"observability.otlp_endpoint is set, and {error.name} is not installed",
            remedy="install the extra: pip install 'tradehits[otel]'; or set the endpoint to null",
        ) from error
    sender = _Watched(OTLPSpanExporter(endpoint=given.otlp_endpoint, timeout=given.otlp_seconds))
    resource = Resource.create({"service.name": "tradehits", "deployment.environment.name": always["profile"]})
    # of our own, not the global one: MLflow's and BentoML's spans stay theirs
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(sender))
    quiet = logging.getLogger(_EXPORTER_LOG)
    before = quiet.level
    quiet.setLevel(logging.CRITICAL)  # one sentence of ours instead of each attempt's
    try:
        yield Traces(provider.get_tracer("tradehits"), always)
    finally:
        last = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(given.otlp_seconds)
        if last.is_alive() or sender.failures:
            log.warning("the collector at %s did not take all spans", given.otlp_endpoint)
        quiet.setLevel(before)

"""Spans reach a collector that speaks OTLP over HTTP; one that does not answer ends nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from configs.settings import Settings, load_settings
from flows.observing import observed_command
from flows.prefecting import PlainTasks
from flows.progress import LogReporter
from market.errors import SourceError

SECRET = "collector-secret-4711"


class Collector(ThreadingHTTPServer):
    """Takes spans; with `silent` it takes requests and never answers until it is let go."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.silent = False
        self.let_go = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.silent:
            self.server.let_go.wait(60)
        request = ExportTraceServiceRequest.FromString(body)
        for group in request.resource_spans:
            self.server.resources.append({one.key: one.value.string_value for one in group.resource.attributes})
            self.server.spans += [span for scope in group.scope_spans for span in scope.spans]
        self.server.headers.append(dict(self.headers))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.let_go.set()
            server.shutdown()
            thread.join()


def settings(monkeypatch: pytest.MonkeyPatch, address: str, patience: str = "0.5") -> Settings:
    monkeypatch.setenv("TRADEHITS__OBSERVABILITY__OTLP_ENDPOINT", address)
    monkeypatch.setenv("TRADEHITS__OBSERVABILITY__OTLP_SECONDS", patience)
    return load_settings("test")


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_a_command_is_a_span_and_each_of_its_steps_a_child(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"api-key={SECRET}")
    given = settings(monkeypatch, collector.address, "30")
    reporter = LogReporter()

    def train() -> int:
        with reporter.step("etf: walk-forward"):
            return 7

    with pytest.raises(SourceError), observed_command(given, "train"):
        PlainTasks().run("train-etf", train)
        with reporter.step("read"):
            raise SourceError(f"refused with {SECRET}")
    spans = {span.name: span for span in collector.spans}
    assert set(spans) == {"train", "walk-forward", "read"} and len(collector.spans) == 4
    whole = next(one for one in collector.spans if one.name == "train" and not one.parent_span_id)
    task = next(one for one in collector.spans if one.name == "train" and one.parent_span_id)
    assert len({span.trace_id for span in collector.spans}) == 1
    assert (task.parent_span_id, spans["read"].parent_span_id) == (whole.span_id, whole.span_id)
    assert spans["walk-forward"].parent_span_id == task.span_id
    lines = [json.loads(line) for line in given.paths.event_log.read_text().splitlines()]
    found = attributes(task)
    assert found["tradehits.run_id"] == lines[0]["run_id"]
    assert (found["tradehits.command"], found["tradehits.profile"]) == ("train", "test")
    assert (found["tradehits.asset_type"], found["tradehits.counts.rows"]) == ("etf", 7)
    assert found["tradehits.seconds"] == next(one["seconds"] for one in lines if one.get("step") == "train")
    assert (spans["read"].status.code, spans["read"].status.message) == (2, "refused with ***")
    assert SECRET not in str(collector.spans) + given.paths.event_log.read_text()
    assert collector.resources[0]["service.name"] == "tradehits"
    assert collector.headers[0]["api-key"] == SECRET


def test_a_collector_that_is_away_costs_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as nobody:
        address = f"http://127.0.0.1:{nobody.server_address[1]}/v1/traces"
    given = settings(monkeypatch, address)
    with observed_command(given, "predict"), LogReporter().step("predict"):
        pass
    lines = [json.loads(line) for line in given.paths.event_log.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["command.started", "step.ended", "command.ended", "log"]
    assert "did not take all spans" in lines[-1]["message"]


def test_a_command_ends_while_a_collector_still_keeps_silent(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.silent = True
    given = settings(monkeypatch, collector.address)
    with observed_command(given, "predict"):
        pass
    assert not collector.let_go.is_set()
    assert collector.spans == []
    assert "did not take all spans" in given.paths.event_log.read_text()

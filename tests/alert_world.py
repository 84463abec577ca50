"""Alerts on a private warehouse: days to judge, conditions, channels, and real receivers to listen at."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from configs.alerts import AlertSettings
from configs.settings import Settings, load_settings
from market.assets import AssetType
from monitoring.conditions import AlertType, Condition, Moment, Severity
from monitoring.delivery_send import Answer, Message
from tests.contract.table_rows import empty, scratch_warehouse
from warehouse.duckdb import DuckDBWarehouse
from warehouse.warehouse import Warehouse

JUNE = date(2024, 6, 1)


@cache
def _scratch() -> DuckDBWarehouse:
    return scratch_warehouse()


def empty_store() -> DuckDBWarehouse:
    """A private warehouse without rows; one for all tests of a process, because making it takes a second."""
    empty(_scratch())
    return _scratch()


def day(number: int, asset_type: AssetType = "stocks") -> Moment:
    """The `number`-th of June 2024 and on, as the class's newest day at 22:00 UTC."""
    that = JUNE + timedelta(days=number - 1)
    return Moment(asset_type, that, datetime(that.year, that.month, that.day, 22, tzinfo=UTC))


def condition(
    severity: Severity | None,
    metric: str = "rolling_7d_accuracy",
    value: float | None = 44.0,
    *,
    asset_type: AssetType = "stocks",
    alert_type: AlertType = "ACCURACY_DRIFT",
    features: tuple[str, ...] = ("rsi", "adx"),
) -> Condition:
    """A judged thing with literal figures."""
    return Condition(
        asset_type=asset_type,
        alert_type=alert_type,
        metric_name=metric,
        severity=severity,
        current_value=value,
        threshold_value=46.75,
        baseline_value=55.0,
        message=f"7-day accuracy is {value} % against 55.0 % before",
        remedy="compare the newest bars with their source",
        features=features,
    )


def settings_with(channels: Mapping[str, Mapping[str, Any]] | None = None, **changes: Any) -> Settings:
    """Profile test with these channels and alert settings; attempts follow one another without a pause."""
    settings = load_settings("test")
    given = settings.alerts.model_dump() | {"pause_seconds": 0, "deadline_seconds": 20} | changes
    if channels is not None:
        given["channels"] = {**given["channels"], **channels}
    return settings.model_copy(update={"alerts": AlertSettings.model_validate(given)})


def rows(warehouse: Warehouse, sql: str) -> list[dict[str, Any]]:
    return warehouse.query(sql).to_pylist()


def alerts_of(warehouse: Warehouse) -> list[tuple[str, str, bool]]:
    """(metric, severity, resolved) of every alert, in a stable order."""
    found = rows(warehouse, "SELECT metric_name, severity, is_resolved, alert_id FROM `ml_models.model_drift_alerts`")
    return sorted((row["metric_name"], row["severity"], row["is_resolved"]) for row in found)


def events_of(warehouse: Warehouse, metric: str = "rolling_7d_accuracy") -> list[str]:
    """Kinds of the events of a metric's alerts, in their order; deliveries left out."""
    found = rows(
        warehouse,
        "SELECT event.event_type, event.event_id, alert.alert_time FROM `tradehits.alert_events` AS event "
        "INNER JOIN `ml_models.model_drift_alerts` AS alert ON event.alert_id = alert.alert_id "
        f"WHERE alert.metric_name = '{metric}' AND event.event_type != 'SENT' "
        "ORDER BY alert.alert_time, event.event_id",
    )
    return [row["event_type"] for row in found]


@dataclass
class Mailbag:
    """A sender that keeps messages, and answers as told: a word for every attempt, the last one for ever."""

    answers: list[str] = field(default_factory=lambda: ["SENT"])
    messages: list[Message] = field(default_factory=list)

    def __call__(self, message: Message, deadline_seconds: float) -> Answer:
        self.messages.append(message)
        word = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Answer(word, "" if word == "SENT" else "as the test says")  # type: ignore[arg-type]


def send_here(message: Message, deadline_seconds: float) -> Answer:
    """What the sending process does, in this one: apprise and receiver are real, and its plugins are loaded once."""
    from monitoring import delivery_courier as courier

    kept = courier.email_base.make_msgid
    try:
        return Answer(*courier.send(asdict(message) | {"deadline_seconds": deadline_seconds}))  # type: ignore[arg-type]
    finally:
        courier.email_base.make_msgid = kept


@dataclass
class Webhook:
    """What a receiver got: headers and JSON body of every request that it read whole."""

    port: int
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    status: int = 200
    hold: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)

    def url(self, secret: str = "s3cr3t-T0KEN") -> str:
        return f"json://user:{secret}@127.0.0.1:{self.port}/hooks/{secret}"


@contextmanager
def webhook(port: int = 0, *, held: bool = False) -> Iterator[Webhook]:
    """A receiver of apprise's JSON messages on this machine; held, it answers nobody until `hold` is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.requests.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
            got.arrived.set()
            got.hold.wait(60)
            self.send_response(got.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that was killed hangs up

    server = Server(("127.0.0.1", port), Handler)
    got = Webhook(server.server_address[1])
    if not held:
        got.hold.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield got
    finally:
        got.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()

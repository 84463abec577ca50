"""Messages reach real receivers, exactly once, whatever fails on the way; and no address gets out."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from configs.settings import Settings
from monitoring import alerts
from monitoring.delivery import Delivered, deliver, send_test
from monitoring.delivery_run import LEASE_MARGIN_SECONDS
from tests.alert_world import Mailbag, Webhook, condition, day, empty_store, rows, send_here, settings_with, webhook
from warehouse.clock import wall_clock
from warehouse.duckdb import DuckDBWarehouse
from warehouse.engines import open_warehouse

SECRET = "s3cr3t-T0KEN"


@pytest.fixture
def store() -> DuckDBWarehouse:
    return empty_store()


@pytest.fixture(autouse=True)
def ops_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel `ops` whose receiver does not listen; tests that start one say so again."""
    monkeypatch.setenv("TRADEHITS_ALERT_URL_OPS", f"json://user:{SECRET}@127.0.0.1:{free_port()}/hooks/{SECRET}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def sent_events(store: DuckDBWarehouse) -> list[tuple[str, str, str]]:
    found = rows(
        store,
        "SELECT channel, severity, detail FROM `tradehits.alert_events` WHERE event_type = 'SENT' ORDER BY recorded_at",
    )
    return [(row["channel"], row["severity"], row["detail"]) for row in found]


def attempts(store: DuckDBWarehouse) -> list[tuple[str | None, str | None]]:
    found = rows(store, "SELECT outcome, detail FROM `tradehits.alert_attempts` ORDER BY attempt_id")
    return [(row["outcome"], row["detail"]) for row in found]


def everything_stored(store: DuckDBWarehouse) -> str:
    tables = ("alert_events", "alert_deliveries", "alert_attempts", "alert_judgements", "retrain_advice")
    return str([rows(store, f"SELECT * FROM `tradehits.{name}`") for name in tables])


def test_with_the_receiver_down_an_alert_is_kept_retried_and_delivered_exactly_once(
    store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = settings_with(attempts_per_run=1)
    alerts.apply(store, settings, day(3), [condition("WARNING")])
    done = deliver(store, settings, [day(3)])
    assert (done.sent, done.failed) == (0, 1)
    assert [outcome for outcome, _ in attempts(store)] == ["FAILED"]
    assert "the receiver cannot be reached, or refused it" in done.notes[0]
    with webhook() as got:
        got.status = 503
        monkeypatch.setenv("TRADEHITS_ALERT_URL_OPS", got.url(SECRET))
        done = deliver(store, settings, [day(3)])
        assert (done.sent, done.failed, len(got.requests)) == (0, 1, 1)
        assert attempts(store)[-1] == ("FAILED", "the receiver answered HTTP 503")
        got.status = 200
        assert deliver(store, settings, [day(3)]).sent == 1
        assert deliver(store, settings, [day(3)]) == Delivered()
    assert len(got.requests) == 2
    keys = {headers["idempotency-key"] for headers, _ in got.requests}
    assert len(keys) == 1
    _, body = got.requests[-1]
    assert body["title"] == "[TradeHits test] WARNING stocks: rolling_7d_accuracy"
    assert body["type"] == "warning"
    assert f"Message {next(iter(keys))[:8]}: a repeat has the same number." in body["message"]
    assert sent_events(store) == [("ops", "WARNING", "OPENED")]
    for place in (str(done), everything_stored(store), caplog.text, "".join(capfd.readouterr())):
        assert SECRET not in place
        assert "hooks" not in place


class Mailbox:
    """An SMTP server's handler that keeps every mail; it refuses as many as it is told to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuse = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuse:
            self.refuse -= 1
            return "451 try again later"
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield box, controller.port
    controller.stop()


def test_a_mail_arrives_once_with_a_message_id_that_a_repeat_would_carry_again(
    store: DuckDBWarehouse, mailbox: tuple[Mailbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, port = mailbox
    monkeypatch.setenv(
        "TRADEHITS_ALERT_URL_OPS", f"mailto://127.0.0.1:{port}?from=tradehits@example.org&to=ada@example.org"
    )
    settings = settings_with()
    alerts.apply(store, settings, day(3), [condition("CRITICAL", asset_type="stocks")])
    box.refuse = 1
    links = {"stocks": "https://reports.example.org/stocks.html"}
    assert deliver(store, settings, [day(3)], links, sender=send_here).sent == 1
    [mail] = box.mails
    [delivery] = rows(store, "SELECT message_key, body FROM `tradehits.alert_deliveries`")
    assert mail["Message-ID"].startswith(f"<{delivery['message_key']}@")
    assert len(mail.get_all("Message-ID")) == 1
    assert (mail["To"], mail["Subject"]) == (
        "ada@example.org",
        "[TradeHits test] CRITICAL stocks: rolling_7d_accuracy",
    )
    assert mail.get_content_type() == "text/plain"
    text = mail.get_content().replace("\r\n", "\n")
    assert text.strip() == delivery["body"]
    assert "7-day accuracy is 44.0 % against 55.0 % before" in text
    assert "Report: https://reports.example.org/stocks.html" in text
    assert [outcome for outcome, _ in attempts(store)] == ["FAILED", "SENT"]


def test_a_channel_that_fails_keeps_no_other_from_its_message(
    store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEHITS_ALERT_URL_A_BROKEN", f"nonsense://{SECRET}")
    with webhook() as got:
        monkeypatch.setenv("TRADEHITS_ALERT_URL_WEB", got.url())
        settings = settings_with({"unset": {}}, attempts_per_run=1)
        alerts.apply(store, settings, day(3), [condition("WARNING")])
        done = deliver(store, settings, [day(3)], sender=send_here)
    assert (done.sent, done.failed, len(got.requests)) == (1, 2, 1)
    assert done.notes[0] == "channel unset has no address: set TRADEHITS_ALERT_URL_UNSET"
    assert "TRADEHITS_ALERT_URL_A_BROKEN is no URL that apprise understands" in done.notes[1]
    assert SECRET not in str(done) + everything_stored(store)


def test_a_receiver_that_does_not_answer_costs_one_deadline_and_is_asked_again_with_the_same_key(
    store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_with(deadline_seconds=2.5)
    given = [condition("WARNING"), condition("WARNING", asset_type="crypto")]
    for moment, one in ((day(3), given[0]), (day(3, "crypto"), given[1])):
        alerts.apply(store, settings, moment, [one])
    with webhook(held=True) as got:
        monkeypatch.setenv("TRADEHITS_ALERT_URL_OPS", got.url())
        done = deliver(store, settings, [day(3), day(3, "crypto")])
        assert (done.sent, done.failed, done.waiting, len(got.requests)) == (0, 1, 1, 1)
        assert [outcome for outcome, _ in attempts(store)] == ["UNKNOWN"]
        got.hold.set()
        assert deliver(store, settings_with(), [day(3), day(3, "crypto")], sender=send_here).sent == 2
    keys = [headers["idempotency-key"] for headers, _ in got.requests]
    assert (len(keys), len(set(keys))) == (3, 2)


CHILD = """
import sys
from monitoring.delivery import deliver
from tests.alert_world import day, settings_with
from warehouse.engines import open_warehouse
settings = settings_with()
print(deliver(open_warehouse(settings), settings, [day(3)]).sent, flush=True)
"""


def on_disk(settings: Settings) -> Any:
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    alerts.apply(warehouse, settings, day(3), [condition("WARNING")])
    return warehouse


def child() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True, env=dict(os.environ))


def wait_for(got: Webhook) -> None:
    assert got.arrived.wait(60)


def test_killed_between_sending_and_recording_it_is_sent_again_with_the_same_key_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_with()
    store = on_disk(settings)
    with webhook(held=True) as got:
        monkeypatch.setenv("TRADEHITS_ALERT_URL_OPS", got.url())
        started = child()
        wait_for(got)
        started.send_signal(signal.SIGKILL)
        started.wait()
        got.hold.set()
        assert attempts(store) == [(None, None)]
        early = deliver(store, settings_with(), [day(3)])
        assert (early.sent, early.waiting, len(got.requests)) == (0, 1, 1)
        aged = timedelta(seconds=settings.alerts.deadline_seconds + LEASE_MARGIN_SECONDS + 1)
        late = deliver(store, settings_with(), [day(3)], sender=send_here, clock=lambda: wall_clock() + aged)
        assert late.sent == 1
        assert "may arrive twice, because an earlier attempt was cut off" in late.notes[0]
        assert deliver(store, settings_with(), [day(3)]).sent == 0
    keys = [headers["idempotency-key"] for headers, _ in got.requests]
    assert (len(keys), len(set(keys))) == (2, 1)
    assert [outcome for outcome, _ in attempts(store)] == [None, "SENT"]


def test_killed_between_planning_and_sending_it_is_sent_once(store: DuckDBWarehouse) -> None:
    class Killed(BaseException):
        pass

    def dying(message: object, deadline_seconds: float) -> Any:
        raise Killed

    settings, bag = settings_with(), Mailbag()
    alerts.apply(store, settings, day(3), [condition("WARNING")])
    with pytest.raises(Killed):
        deliver(store, settings, [day(3)], sender=dying)
    aged = timedelta(seconds=settings.alerts.deadline_seconds + LEASE_MARGIN_SECONDS + 1)
    assert deliver(store, settings, [day(3)], sender=bag).sent == 0
    assert deliver(store, settings, [day(3)], sender=bag, clock=lambda: wall_clock() + aged).sent == 1
    assert len(bag.messages) == 1


@pytest.mark.slow
def test_two_processes_that_deliver_at_once_send_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = on_disk(settings_with())
    with webhook(held=True) as got:
        monkeypatch.setenv("TRADEHITS_ALERT_URL_OPS", got.url())
        both = [child(), child()]
        wait_for(got)
        time.sleep(0.2)
        got.hold.set()
        printed = sorted(one.communicate(timeout=120)[0].strip() for one in both)
    assert (printed, len(got.requests)) == (["0", "1"], 1)
    assert sent_events(store) == [("ops", "WARNING", "OPENED")]


def test_what_was_resolved_before_it_could_be_sent_is_sent_no_more(store: DuckDBWarehouse) -> None:
    settings, bag = settings_with(), Mailbag(["FAILED"])
    alerts.apply(store, settings, day(3), [condition("WARNING")])
    deliver(store, settings, [day(3)], sender=bag)
    alerts.apply(store, settings, day(4), [condition(None)])
    heard = Mailbag()
    assert deliver(store, settings, [day(4)], sender=heard) == Delivered()
    assert heard.messages == []
    [stored] = rows(store, "SELECT status, detail FROM `tradehits.alert_deliveries`")
    assert stored == {
        "status": "WITHDRAWN",
        "detail": "its alerts were resolved or taken on before it could be sent",
    }


def test_after_days_without_a_receiver_one_message_tells_how_things_stand(store: DuckDBWarehouse) -> None:
    settings = settings_with()
    alerts.apply(store, settings, day(3), [condition("WARNING")])
    deliver(store, settings, [day(3)], sender=Mailbag(["FAILED"]))
    alerts.apply(store, settings, day(8), [condition("CRITICAL", value=40.0)])
    heard = Mailbag()
    done = deliver(store, settings, [day(8)], sender=heard, clock=lambda: wall_clock() + timedelta(days=3, seconds=1))
    assert (done.sent, [message.severity for message in heard.messages]) == (1, ["CRITICAL"])
    assert "not delivered within 3 days" in done.notes[0]


def test_an_acknowledged_alert_is_sent_again_when_it_escalates_and_its_end_is_told(store: DuckDBWarehouse) -> None:
    settings, bag = settings_with({"ops": {}, "quiet": {"resolved": False}}), Mailbag()
    alerts.apply(store, settings, day(3), [condition("WARNING")])
    [opened] = alerts.listed(store)
    deliver(store, settings, [day(3)], sender=bag)
    alerts.acknowledge(store, opened.alert.alert_id, by="Ada")
    alerts.apply(store, settings, day(4), [condition("WARNING", value=43.0)])
    deliver(store, settings, [day(4)], sender=bag)
    assert [message.channel for message in bag.messages] == ["ops"]
    alerts.apply(store, settings, day(5), [condition("CRITICAL")])
    deliver(store, settings, [day(5)], sender=bag)
    assert "1 worse, now CRITICAL" in bag.messages[-1].body
    alerts.apply(store, settings, day(6), [condition(None)])
    assert deliver(store, settings, [day(6)], sender=bag).sent == 1
    assert bag.messages[-1].title == "[TradeHits test] resolved stocks: rolling_7d_accuracy"
    assert deliver(store, settings, [day(6)], sender=bag).sent == 0
    assert sent_events(store) == [
        ("ops", "WARNING", "OPENED"),
        ("ops", "CRITICAL", "ESCALATED"),
        ("ops", "CRITICAL", "RESOLVED"),
    ]


def test_a_channel_that_is_set_up_later_hears_of_what_is_still_open(
    store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRADEHITS_ALERT_URL_OPS")
    alerts.apply(store, settings_with(), day(3), [condition("WARNING"), condition("WARNING", "rsi")])
    nobody = deliver(store, settings_with(), [day(3)])
    assert nobody.notes == (
        "2 open alerts, and nobody is told: set TRADEHITS_ALERT_URL_<NAME> to an apprise URL (docs/alerts.md)",
    )
    alerts.apply(store, settings_with(), day(4), [condition(None, "rsi")])
    monkeypatch.setenv("TRADEHITS_ALERT_URL_LATE", "json://127.0.0.1:9")
    bag = Mailbag()
    assert deliver(store, settings_with(), [day(4)], sender=bag).sent == 1
    assert "rsi" not in bag.messages[0].title
    assert bag.messages[0].title.endswith("WARNING stocks: rolling_7d_accuracy")


def test_a_test_message_reaches_its_channel_and_stores_nothing(
    store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with webhook() as got:
        monkeypatch.setenv("TRADEHITS_ALERT_URL_WEB", got.url())
        monkeypatch.chdir(tmp_path)
        assert send_test(settings_with(), "web", sender=send_here).outcome == "SENT"
    assert got.requests[0][1]["title"] == "[TradeHits test] test of web"
    assert rows(store, "SELECT * FROM `tradehits.alert_deliveries`") == []

"""`tradehits alerts`: what people see of alerts and do with them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from flows.cli_alerts import alerts_app
from market.errors import AlertError
from monitoring import alerts
from tests.alert_world import condition, day, settings_with, webhook
from warehouse.engines import open_warehouse

RUN = CliRunner()


def run(*arguments: str) -> str:
    done: Result = RUN.invoke(alerts_app, [*arguments, "--profile", "test"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def listed(*arguments: str) -> list[dict[str, Any]]:
    return json.loads(run("list", "--format", "json", *arguments))  # type: ignore[no-any-return]


def test_an_alert_is_listed_taken_on_delivered_and_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed() == []
    assert run("list") == "No alert is open.\n"
    store = open_warehouse(settings_with())
    store.ensure_schema()
    alerts.apply(store, settings_with(), day(3), [condition("CRITICAL"), condition("WARNING", "rsi")])
    accuracy, rsi = sorted(listed(), key=lambda one: str(one["metric_name"]))
    assert {name: accuracy[name] for name in ("severity", "current_value", "is_resolved", "features", "sent_to")} == {
        "severity": "CRITICAL",
        "current_value": 44.0,
        "is_resolved": False,
        "features": ["rsi", "adx"],
        "sent_to": [],
    }
    assert accuracy["alert_time"] == "2024-06-03T22:00:00+00:00"
    assert "CRITICAL" in run("list")
    assert listed("--asset-type", "crypto") == []
    said = run("ack", accuracy["alert_id"][:8], "--by", "Ada", "--note", "on it")
    assert "is Ada's: it is sent no more until it escalates" in said
    with webhook() as got:
        monkeypatch.setenv("TRADEHITS_ALERT_URL_WEB", got.url())
        assert run("deliver") == "1 sent, 0 failed, 0 waiting\n"
        assert "channel web took the message" in run("test", "WEB")
    assert [body["title"] for _, body in got.requests] == [
        "[TradeHits test] WARNING stocks: rsi",
        "[TradeHits test] test of web",
    ]
    run("resolve", accuracy["alert_id"], "--by", "Grace")
    assert [one["metric_name"] for one in listed()] == ["rsi"]
    everything = {one["metric_name"]: one for one in listed("--all")}
    assert everything["rolling_7d_accuracy"]["resolved_by"] == "Grace"
    assert everything["rsi"]["sent_to"] == ["web"]
    page = run("show", accuracy["alert_id"])
    assert [word for word in ("OPENED", "ACKNOWLEDGED", "on it", "RESOLVED", "Grace") if word not in page] == []
    told = json.loads(run("show", rsi["alert_id"], "--format", "json"))
    assert [event["event_type"] for event in told["events"]] == ["OPENED", "SENT"]


def test_a_channel_that_cannot_be_reached_is_an_error_without_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AlertError, match="there is no channel 'web'"):
        run("test", "web")
    monkeypatch.setenv("TRADEHITS_ALERT_URL_WEB", "json://127.0.0.1:9/s3cr3t")
    with pytest.raises(AlertError, match="channel web: the receiver cannot be reached, or refused it") as caught:
        run("test", "web")
    assert "s3cr3t" not in str(caught.value)

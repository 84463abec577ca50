"""A message says what, how bad, since when, which model, which features, what to do and where to look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from monitoring.alerts_decide import ClassState, decide
from monitoring.alerts_records import History
from monitoring.conditions import Condition
from monitoring.delivery_facts import link_text
from monitoring.delivery_message import ClassFacts, Letterhead, body_of, title_of
from monitoring.delivery_plan import Item, Planned
from tests.alert_world import condition, day, settings_with

FACTS = ClassFacts(
    judged=date(2024, 6, 3),
    model="stocks-7, trained through 2024-05-31",
    source="live",
    advice="proposed: tradehits train --asset-type stocks; CRITICAL: rolling_7d_accuracy",
    link="/home/ada/reports/2024-06-03/stocks.html",
)
HEAD = Letterhead("local", 2, {"stocks": FACTS})
KEY = "0123456789abcdef"


def item(given: Condition, what: str = "OPENED") -> Item:
    decided = decide(ClassState(), day(3), [given], datetime(2024, 6, 3, tzinfo=UTC))
    return Item(History(decided.alerts[0], decided.events), what)  # type: ignore[arg-type]


def test_the_whole_text() -> None:
    accuracy = item(condition("CRITICAL", value=40.123456))
    drifted = condition("WARNING", "rsi", 0.31, alert_type="FEATURE_DRIFT", features=tuple("abcdefg"))
    over = item(condition("WARNING", "adx"), "RESOLVED")
    resolved = replace(over.history.alert, is_resolved=True, resolved_by="Ada")
    message = Planned("ops", "stocks", (accuracy, item(drifted), Item(History(resolved, ()), "RESOLVED")))
    assert title_of(message, HEAD) == "[TradeHits local] CRITICAL stocks: rolling_7d_accuracy and 1 more"
    ids = [one.history.alert.alert_id[:8] for one in message.items]
    assert (
        body_of(message, HEAD, KEY)
        == f"""\
stocks on 2024-06-03 (live predictions): 1 new CRITICAL, 1 new WARNING, 1 resolved
Model: stocks-7, trained through 2024-05-31

CRITICAL ACCURACY_DRIFT rolling_7d_accuracy, since 2024-06-03 [{ids[0]}]
  7-day accuracy is 40.123456 % against 55.0 % before
  now 40.12, limit 46.75, normally 55
  features: rsi, adx
  what to do: compare the newest bars with their source

WARNING FEATURE_DRIFT rsi, since 2024-06-03 [{ids[1]}]
  7-day accuracy is 0.31 % against 55.0 % before
  now 0.31, limit 46.75, normally 55
  features: a, b, c, d, e and 2 more
  what to do: compare the newest bars with their source

Resolved: adx (by Ada)

Retraining: proposed: tradehits train --asset-type stocks; CRITICAL: rolling_7d_accuracy

Report: /home/ada/reports/2024-06-03/stocks.html

Take it on (no more messages until it gets worse): tradehits alerts ack {ids[0]} --by NAME --profile local
All open alerts: tradehits alerts list --profile local

Message 01234567: a repeat has the same number."""
    )


def test_forty_alerts_are_a_few_in_full_and_names() -> None:
    items = tuple(item(condition("WARNING", f"f{number:02d}", alert_type="FEATURE_DRIFT")) for number in range(40))
    body = body_of(Planned("ops", "stocks", items), HEAD, KEY)
    assert body.count("what to do:") == 2
    assert "and 38 more: WARNING f02, WARNING f03, " in body
    assert body.count("WARNING f") == 2 + 12 - 2
    assert body.index("WARNING f13") < body.index(" and 26 more") < body.index("Report:")
    assert len(body) < 2000


def test_a_digest_tells_each_class_under_its_own_name() -> None:
    coins = decide(ClassState(), day(3, "crypto"), [condition("WARNING", "rsi", asset_type="crypto")], day(3).now)
    crypto = Item(History(coins.alerts[0], coins.events), "ESCALATED")
    message = Planned("ops", "digest", (item(condition("CRITICAL")), crypto))
    assert (
        title_of(message, HEAD) == "[TradeHits local] digest: CRITICAL stocks, crypto: rolling_7d_accuracy and 1 more"
    )
    assert "\n\ncrypto: 1 worse, now WARNING\n\nWARNING ACCURACY_DRIFT rsi" in body_of(message, HEAD, KEY)


def test_a_title_is_never_long() -> None:
    long = Planned("ops", "stocks", (item(condition("WARNING", "x" * 300)),))
    assert len(title_of(long, HEAD)) == 120


def test_links_are_paths_or_addresses_below_the_configured_one() -> None:
    plain, served = settings_with(), settings_with(report_base_url="https://reports.example.org/ml/")
    page = plain.paths.reports / "2024-06-03" / "stocks drift.html"
    assert link_text(plain, page) == str(page)
    assert link_text(served, page) == "https://reports.example.org/ml/2024-06-03/stocks%20drift.html"
    assert link_text(served, Path("/elsewhere/page.html")) == "/elsewhere/page.html"
    assert link_text(served, "https://other.example.org/page") == "https://other.example.org/page"

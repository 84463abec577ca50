"""A CRITICAL alert leads to advice once per cool-down, and never to training on broken data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitoring import alerts
from monitoring.advice import Advice, advise, conclude, newest_advice
from monitoring.conditions import Condition
from monitoring.delivery import deliver
from tests.alert_world import Mailbag, condition, day, empty_store, settings_with
from tests.contract.table_rows import insert
from warehouse.duckdb import DuckDBWarehouse

FAULT = condition("CRITICAL", "volume_ratio", alert_type="FEATURE_DRIFT")


@pytest.fixture
def store() -> DuckDBWarehouse:
    return empty_store()


def advised(store: DuckDBWarehouse, number: int, *conditions: Condition, mode: str = "propose") -> Advice | None:
    settings = settings_with(retrain=mode, retrain_cooldown_days=14)
    alerts.apply(store, settings, day(number), conditions)
    return advise(store, settings, day(number))


def test_a_critical_alert_proposes_once_per_cool_down_and_class(store: DuckDBWarehouse) -> None:
    assert advised(store, 3, condition("WARNING")) is None
    first = advised(store, 4, condition("CRITICAL"))
    assert first is not None
    assert (first.advice_id, first.action, first.reason) == ("stocks:00001", "propose", "CRITICAL: rolling_7d_accuracy")
    assert first.sentence == "proposed: tradehits train --asset-type stocks; CRITICAL: rolling_7d_accuracy"
    assert advised(store, 4, condition("CRITICAL")) is None
    assert advised(store, 17, condition("CRITICAL")) is None
    second = advised(store, 18, condition("CRITICAL"))
    assert second is not None
    assert second.advice_id == "stocks:00002"


def test_it_triggers_where_configured_and_keeps_what_became_of_it(store: DuckDBWarehouse) -> None:
    assert advised(store, 4, condition("CRITICAL"), mode="off") is None
    given = advised(store, 5, condition("CRITICAL"), mode="trigger")
    assert given is not None
    assert (given.action, given.sentence) == ("trigger", "is started; CRITICAL: rolling_7d_accuracy")
    conclude(store, given, "stocks-8: champion")
    with store.read() as read:
        kept = newest_advice(read)["stocks"]
    assert (kept.outcome, kept.concluded_at is not None) == ("stocks-8: champion", True)


def test_a_training_that_was_cut_off_is_started_anew_on_its_day_and_the_next_and_not_for_ever(
    store: DuckDBWarehouse,
) -> None:
    given = advised(store, 5, condition("CRITICAL"), mode="trigger")
    assert given is not None
    assert advised(store, 5, condition("CRITICAL"), mode="trigger") == given
    assert advised(store, 6, condition("CRITICAL", value=43.0), mode="propose") is None
    assert advised(store, 6, FAULT, condition("CRITICAL"), mode="trigger") is None, "never on broken data"
    assert advised(store, 6, replace(FAULT, severity=None), condition("CRITICAL"), mode="trigger") == given
    assert advised(store, 7, condition("CRITICAL"), mode="trigger") is None
    conclude(store, given, "failed: NotEnoughDataError")
    assert advised(store, 7, condition("CRITICAL", value=42.0), mode="trigger") is None


def test_advice_of_a_clock_that_was_set_back_does_not_silence_the_present(store: DuckDBWarehouse) -> None:
    assert advised(store, 25, condition("CRITICAL")) is not None
    now = {"asset_type": "stocks", "clock": "x", "now_at": day(9).now}
    insert(store, "tradehits.asset_settings", [now])
    again = advised(store, 9, condition("CRITICAL", value=43.0))
    assert again is not None
    assert (again.advice_id, again.advised_date) == ("stocks:00002", day(9).date)
    assert advised(store, 10, condition("CRITICAL")) is None, "one a cool-down"


def test_broken_data_alone_advise_no_training_and_forbid_to_trigger_one(store: DuckDBWarehouse) -> None:
    assert advised(store, 3, FAULT, mode="trigger") is None
    both = advised(store, 4, FAULT, condition("CRITICAL"), mode="trigger")
    assert both is not None
    assert both.action == "propose"
    assert both.reason.endswith("repair the data first (volume_ratio): a model would learn the fault")


def test_an_alert_that_somebody_took_on_advises_nothing(store: DuckDBWarehouse) -> None:
    alerts.apply(store, settings_with(), day(3), [condition("CRITICAL")])
    [opened] = alerts.listed(store)
    alerts.acknowledge(store, opened.alert.alert_id, by="Ada")
    assert advise(store, settings_with(), day(3)) is None


def test_an_older_day_advises_nothing(store: DuckDBWarehouse) -> None:
    alerts.apply(store, settings_with(), day(9), [condition("CRITICAL")])
    assert advise(store, settings_with(), day(8)) is None
    assert advise(store, settings_with(), day(9)) is not None


def test_the_message_of_the_day_tells_the_advice(store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS_ALERT_URL_OPS", "json://127.0.0.1:9")
    advised(store, 4, condition("CRITICAL"))
    bag = Mailbag()
    deliver(store, settings_with(), [day(4)], {"stocks": "page.html"}, sender=bag)
    assert "Retraining: proposed: tradehits train --asset-type stocks" in bag.messages[0].body
    assert "Report: page.html" in bag.messages[0].body
    alerts.apply(store, settings_with(), day(9), [condition("CRITICAL", "brier_sequential")])
    deliver(store, settings_with(), [day(4)], {"stocks": "page.html"}, sender=bag)
    assert "Retraining" not in bag.messages[1].body
    assert "Report" not in bag.messages[1].body

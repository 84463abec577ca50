"""Alerts open, escalate and end as their conditions do, once each, and never backwards in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from market.errors import AlertError
from monitoring import alerts
from monitoring.alerts_decide import ClassState, conditions_hash, decide
from monitoring.conditions import Condition, Moment
from tests.alert_world import alerts_of, condition, day, empty_store, events_of, rows, settings_with
from tests.contract.table_rows import insert
from warehouse.duckdb import DuckDBWarehouse

ALERTS = "ml_models.model_drift_alerts"


@pytest.fixture
def store() -> DuckDBWarehouse:
    return empty_store()


def judge(store: DuckDBWarehouse, moment: Moment, *conditions: Condition) -> tuple[int, int, int, int]:
    """Judge, and count opened, escalated, resolved and unchanged alerts."""
    done = alerts.apply(store, settings_with(), moment, conditions)
    return len(done.opened), len(done.escalated), len(done.resolved), len(done.unchanged)


def test_an_alert_opens_once_escalates_in_place_and_ends_with_its_condition(store: DuckDBWarehouse) -> None:
    assert judge(store, day(3), condition("WARNING")) == (1, 0, 0, 0)
    assert judge(store, day(4), condition("WARNING", value=43.0)) == (0, 0, 0, 1)
    assert judge(store, day(5), condition("CRITICAL", value=41.0)) == (0, 1, 0, 0)
    [stored] = rows(store, f"SELECT * FROM `{ALERTS}`")
    assert (stored["severity"], stored["current_value"], stored["threshold_value"]) == ("CRITICAL", 41.0, 46.75)
    assert stored["alert_time"] == datetime(2024, 6, 3, 22, tzinfo=UTC)
    assert stored["message"] == "7-day accuracy is 41.0 % against 55.0 % before"
    assert judge(store, day(6), condition(None, value=54.0)) == (0, 0, 1, 0)
    [stored] = rows(store, f"SELECT * FROM `{ALERTS}`")
    assert (stored["is_resolved"], stored["resolved_by"]) == (True, "monitoring")
    assert stored["resolved_at"] == datetime(2024, 6, 6, 22, tzinfo=UTC)
    assert events_of(store) == ["OPENED", "UPDATED", "ESCALATED", "RESOLVED"]


def test_what_comes_back_later_is_a_new_alert(store: DuckDBWarehouse) -> None:
    judge(store, day(3), condition("WARNING"))
    judge(store, day(4), condition(None))
    assert judge(store, day(5), condition("WARNING")) == (1, 0, 0, 0)
    assert alerts_of(store) == [("rolling_7d_accuracy", "WARNING", False), ("rolling_7d_accuracy", "WARNING", True)]
    assert len({row["alert_id"] for row in rows(store, f"SELECT alert_id FROM `{ALERTS}`")}) == 2


def test_a_critical_alert_that_eases_stays_critical_until_it_is_clear(store: DuckDBWarehouse) -> None:
    judge(store, day(3), condition("CRITICAL", value=40.0))
    assert judge(store, day(4), condition("WARNING", value=45.0)) == (0, 0, 0, 1)
    [history] = alerts.listed(store)
    assert (history.alert.severity, history.judged_severity, history.alert.current_value) == (
        "CRITICAL",
        "WARNING",
        45.0,
    )
    assert judge(store, day(5), condition("CRITICAL", value=40.0)) == (0, 0, 0, 1)
    assert judge(store, day(6), condition(None)) == (0, 0, 1, 0)


def test_the_same_judgement_again_writes_nothing(store: DuckDBWarehouse) -> None:
    judge(store, day(3), condition("WARNING"), condition(None, "brier_sequential"))
    before = {one.table: (one.rows, one.last_modified_at) for one in store.statistics()}
    later = replace(day(3), now=day(3).now.replace(minute=30))
    assert judge(store, later, condition(None, "brier_sequential"), condition("WARNING")) == (0, 0, 0, 1)
    assert {one.table: (one.rows, one.last_modified_at) for one in store.statistics()} == before


def test_what_was_not_judged_stays_as_it_is(store: DuckDBWarehouse) -> None:
    judge(store, day(3), condition("WARNING"), condition("WARNING", "rsi", alert_type="FEATURE_DRIFT"))
    assert judge(store, day(4), condition(None)) == (0, 0, 1, 1)
    assert alerts_of(store) == [("rolling_7d_accuracy", "WARNING", True), ("rsi", "WARNING", False)]


def test_a_clear_condition_without_an_alert_opens_none(store: DuckDBWarehouse) -> None:
    assert judge(store, day(3), condition(None)) == (0, 0, 0, 0)
    assert alerts_of(store) == []


def test_an_older_day_changes_nothing_and_says_so(store: DuckDBWarehouse) -> None:
    judge(store, day(9), condition("CRITICAL"))
    done = alerts.apply(store, settings_with(), day(8), [condition(None), condition("WARNING", "other")])
    assert done.note == (
        "alerts of stocks follow 2024-06-09, the newest day judged: 2024-06-08 opened, escalated and resolved none"
    )
    assert [alert.metric_name for alert in done.unchanged] == ["rolling_7d_accuracy"]
    assert alerts_of(store) == [("rolling_7d_accuracy", "CRITICAL", False)]
    assert judge(store, day(8, "crypto")) == (0, 0, 0, 0)
    assert alerts.apply(store, settings_with(), day(8, "crypto"), []).note == ""


def test_an_older_day_does_not_open_what_ended_since(store: DuckDBWarehouse) -> None:
    judge(store, day(7), condition("WARNING"))
    judge(store, day(9), condition(None))
    assert judge(store, day(8), condition("WARNING")) == (0, 0, 0, 0)
    assert alerts_of(store) == [("rolling_7d_accuracy", "WARNING", True)]


def test_late_labels_judge_the_newest_day_again(store: DuckDBWarehouse) -> None:
    judge(store, day(9), condition("WARNING"))
    assert judge(store, day(9), condition(None)) == (0, 0, 1, 0)
    assert judge(store, day(9), condition("WARNING")) == (1, 0, 0, 0)


def test_days_that_the_clock_was_set_back_from_do_not_count(store: DuckDBWarehouse) -> None:
    judge(store, day(20), condition("WARNING"))
    clock = {"asset_type": "stocks", "clock": "2024-06-10", "now_at": day(10).now, "written_at": day(10).now}
    thresholds = {"buy_threshold": 0.6, "sell_threshold": 0.4, "high_threshold": 0.65, "medium_threshold": 0.55}
    insert(store, "tradehits.asset_settings", [clock | thresholds])
    assert judge(store, day(10), condition(None)) == (0, 0, 1, 0)
    [stored] = rows(store, f"SELECT alert_time, resolved_at FROM `{ALERTS}`")
    assert stored["resolved_at"] == stored["alert_time"] == day(20).now
    assert "follow 2024-06-10" in alerts.apply(store, settings_with(), day(9), [condition("WARNING")]).note


def test_of_two_conditions_about_one_thing_the_worse_counts(store: DuckDBWarehouse) -> None:
    assert judge(store, day(3), condition("CRITICAL"), condition(None), condition("WARNING")) == (1, 0, 0, 0)
    assert alerts_of(store) == [("rolling_7d_accuracy", "CRITICAL", False)]


def test_another_class_s_condition_is_refused(store: DuckDBWarehouse) -> None:
    with pytest.raises(AlertError, match="rolling_7d_accuracy: judged for another class than crypto"):
        alerts.apply(store, settings_with(), day(3, "crypto"), [condition("WARNING")])
    assert alerts_of(store) == []


def test_figures_that_are_none_are_null(store: DuckDBWarehouse) -> None:
    nothing = replace(condition("WARNING", value=float("nan")), threshold_value=float("inf"), baseline_value=None)
    judge(store, day(3), nothing)
    [stored] = rows(store, f"SELECT current_value, threshold_value, baseline_value FROM `{ALERTS}`")
    assert stored == {"current_value": None, "threshold_value": None, "baseline_value": None}


def test_of_several_open_alerts_of_older_systems_the_newest_lives_on(store: DuckDBWarehouse) -> None:
    old = {
        "asset_type": "stocks", "alert_type": "ACCURACY_DRIFT", "metric_name": "rolling_7d_accuracy",
        "severity": "HIGH", "is_resolved": False,
    }  # fmt: skip
    earlier = {"alert_id": "v2-1", "alert_time": datetime(2023, 1, 1, tzinfo=UTC)}
    later = {"alert_id": "v2-2", "alert_time": datetime(2023, 1, 2, tzinfo=UTC)}
    insert(store, ALERTS, [old | earlier, old | later])
    assert judge(store, day(3), condition("CRITICAL")) == (0, 1, 1, 0)
    found = {row["alert_id"]: row for row in rows(store, f"SELECT * FROM `{ALERTS}`")}
    assert (found["v2-1"]["is_resolved"], found["v2-2"]["is_resolved"]) == (True, False)
    assert found["v2-2"]["severity"] == "CRITICAL"


def test_an_acknowledgement_holds_until_the_alert_escalates(store: DuckDBWarehouse) -> None:
    judge(store, day(3), condition("WARNING"))
    [opened] = alerts.listed(store)
    taken = alerts.acknowledge(store, opened.alert.alert_id[:6], by=" Ada  Lovelace ", note="looking")
    assert taken.acknowledged is not None
    assert taken.acknowledged.actor == "Ada Lovelace"
    judge(store, day(4), condition("WARNING", value=43.0))
    [still] = alerts.listed(store)
    assert still.acknowledged is not None
    judge(store, day(5), condition("CRITICAL"))
    [worse] = alerts.listed(store)
    assert worse.acknowledged is None
    assert events_of(store) == ["OPENED", "ACKNOWLEDGED", "UPDATED", "ESCALATED"]


def test_what_a_person_resolved_stays_closed_for_the_day_and_opens_anew_on_the_next(store: DuckDBWarehouse) -> None:
    judge(store, day(3), condition("WARNING"))
    [opened] = alerts.listed(store)
    done = alerts.resolve(store, opened.alert.alert_id, by="Ada")
    assert (done.alert.is_resolved, done.alert.resolved_by) == (True, "Ada")
    assert judge(store, day(3), condition("WARNING", value=43.0)) == (0, 0, 0, 0)
    assert judge(store, day(3), condition("CRITICAL")) == (1, 0, 0, 0)
    [again] = alerts.listed(store)
    alerts.resolve(store, again.alert.alert_id, by="Ada")
    assert judge(store, day(4), condition("WARNING")) == (1, 0, 0, 0)


def test_what_cannot_be_done_to_an_alert_says_why(store: DuckDBWarehouse) -> None:
    judge(store, day(3), condition("WARNING"), condition("WARNING", "rsi", alert_type="FEATURE_DRIFT"))
    one, _ = alerts.listed(store)
    with pytest.raises(AlertError, match="no alerts begin with 'zz'"):
        alerts.acknowledge(store, "zz", by="Ada")
    with pytest.raises(AlertError, match="no alerts begin with ''"):
        alerts.resolve(store, "", by="Ada")
    for nobody in ("", "  ", "monitoring"):
        with pytest.raises(AlertError, match="--by names no person"):
            alerts.resolve(store, one.alert.alert_id, by=nobody)
    alerts.acknowledge(store, one.alert.alert_id, by="Ada")
    with pytest.raises(AlertError, match="Ada acknowledged"):
        alerts.acknowledge(store, one.alert.alert_id, by="Grace")
    alerts.resolve(store, one.alert.alert_id, by="Grace")
    for change in (alerts.resolve, alerts.acknowledge):
        with pytest.raises(AlertError, match="Grace resolved"):
            change(store, one.alert.alert_id, by="Ada")


def test_an_alert_of_an_older_system_is_found_by_its_own_id_whatever_others_begin_with(store: DuckDBWarehouse) -> None:
    old = {"asset_type": "stocks", "alert_type": "ACCURACY_DRIFT", "severity": "WARNING", "alert_time": day(1).now}
    insert(
        store,
        "ml_models.model_drift_alerts",
        [old | {"alert_id": name, "metric_name": name} for name in ("ALERT_1", "ALERT_10", "ALERT_11")],
    )
    assert alerts.resolve(store, "ALERT_1", by="Ada").alert.metric_name == "ALERT_1"
    assert alerts.acknowledge(store, "alert_10", by="Ada").alert.metric_name == "ALERT_10"
    with pytest.raises(AlertError, match="3 alerts begin with 'ALERT'"):
        alerts.resolve(store, "ALERT", by="Ada")


def test_a_decision_is_the_same_in_any_order_of_conditions() -> None:
    given = [condition("WARNING", f"m{number}", value=float(number)) for number in range(5)]
    told = [decide(ClassState(), day(3), order, day(3).now) for order in (given, given[::-1])]
    assert {alert.alert_id for alert in told[0].alerts} == {alert.alert_id for alert in told[1].alerts}
    assert conditions_hash(given) == conditions_hash(given[::-1]) != conditions_hash(given[1:])

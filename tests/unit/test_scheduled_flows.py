"""What scheduled flows say about themselves, when they wait, and what is tried again."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.states import Completed, Running, Scheduled

from configs.settings import load_settings
from flows import deployments
from flows.deploy_component import Deployed
from flows.inference_report import ClassReport, PredictReport
from flows.prefecting import POLICIES, Policy, may_pass, policy_of
from flows.scheduled import unwell
from flows.scheduled_backtest import with_levels
from flows.scheduled_deploy import outcome_of
from flows.scheduled_outcome import Outcome, failed, state_of
from flows.scheduled_turn import day_bounds, still_to_come
from market.errors import BadBarsError, ConfigError, SkewError, SourceError, WarehouseLockedError
from serving.predictor_fresh import Unscored
from warehouse.sources._fetch import Patience, TransientError


def run(start: str, state: Any) -> Any:
    return SimpleNamespace(expected_start_time=datetime.fromisoformat(start).replace(tzinfo=UTC), state=state)


def test_a_run_with_a_quarter_of_its_symbols_stale_is_not_simply_green() -> None:
    stamp = datetime(2024, 6, 28, tzinfo=UTC)
    stale = tuple(Unscored(f"S{number}", "stale", "", None) for number in range(2))
    gone = (Unscored("OLD", "delisted", "", None),)
    report = ClassReport("stocks", bar=stamp, symbols=8, predicted=6, unscored=(*stale, *gone))
    problems = unwell(PredictReport("test", None, (report,), None, 1.0), 0.25)
    assert problems == ["stocks: 2 of 8 symbols have no prediction (S0, S1)"]
    state = state_of(Outcome("6 predictions", problems=tuple(problems)))
    assert (state.type.value, state.name) == ("COMPLETED", "Partial")
    assert state.message == problems[0]
    fewer = ClassReport("stocks", bar=stamp, symbols=9, predicted=7, unscored=(*stale, *gone))
    assert unwell(PredictReport("test", None, (fewer,), None, 1.0), 0.25) == []


def test_a_class_that_was_not_scored_at_all_is_named_with_its_reason() -> None:
    report = ClassReport("crypto", note="all 6 symbols are stale: the newest bar is 2024-06-28")
    assert unwell(PredictReport("test", None, (report,), None, 1.0), 0.25) == [
        "crypto: all 6 symbols are stale: the newest bar is 2024-06-28"
    ]


def test_states_tell_failed_from_partial_from_completed() -> None:
    failed = state_of(Outcome("x", problems=("late",), failures=("no symbol\ncould be scored",)))
    assert (failed.type.value, failed.message) == ("FAILED", "no symbol could be scored")
    good = state_of(Outcome("no signal today"))
    assert (good.type.value, good.name, good.message) == ("COMPLETED", "Completed", "no signal today")
    assert len(state_of(Outcome("x" * 5000)).message or "") == 600


def test_the_summary_names_what_is_wrong_before_what_was_found() -> None:
    outcome = Outcome(
        "1 BUY",
        table=[{"class": "etf", "symbols": 1200, "note": "a|b"}],
        lines=("all else is well",),
        problems=("etf: no\nnew bars",),
        links={"MLflow": "http://127.0.0.1:5000"},
    )
    assert outcome.markdown == (
        "**1 BUY**\n\n### Not as it should be\n\n- etf: no new bars\n\n- all else is well\n\n"
        "| class | symbols | note |\n| --- | --- | --- |\n| etf | 1,200 | a\\|b |\n\n[MLflow](http://127.0.0.1:5000)\n"
    )


def test_only_errors_that_pass_are_tried_again() -> None:
    patience = Patience(attempts=1, deadline_seconds=10.0)

    def asks_for_patience() -> None:
        raise TransientError("429")

    with pytest.raises(SourceError) as refused:
        patience.call(asks_for_patience, what="vendor")
    assert may_pass(refused.value)
    assert may_pass(WarehouseLockedError("held"))
    assert may_pass(ConnectionResetError())
    for lasting in (BadBarsError("NaN"), SourceError("no such symbol"), SkewError("differs"), ValueError()):
        assert not may_pass(lasting)


def test_an_error_that_is_its_own_cause_is_judged_too() -> None:
    error, other = SourceError("a"), SourceError("b")
    error.__context__, other.__context__ = other, error
    assert not may_pass(error)


def test_training_is_never_repeated_by_itself_and_every_step_ends_some_day() -> None:
    assert policy_of("train-stocks").retry_waits_seconds == ()
    assert policy_of("backtest-all").retry_waits_seconds == ()
    assert policy_of("read-bars").retry_waits_seconds == (10.0, 60.0, 300.0)
    assert policy_of("feast-materialize") == POLICIES["feast"]
    assert policy_of("trainer") == policy_of("anything else") == Policy(3600.0)
    assert all(policy.timeout_seconds > 0 for policy in POLICIES.values())


@pytest.mark.parametrize(
    ("instant", "begin", "end"),
    [
        ("2026-11-01T07:00", "2026-11-01T04:00", "2026-11-02T05:00"),  # 25 hours
        ("2027-03-14T06:00", "2027-03-14T05:00", "2027-03-15T04:00"),  # 23 hours
        ("2026-11-02T04:59", "2026-11-01T04:00", "2026-11-02T05:00"),
    ],
)
def test_a_new_york_day_has_the_hours_it_has(instant: str, begin: str, end: str) -> None:
    found = day_bounds(datetime.fromisoformat(instant).replace(tzinfo=UTC))
    assert [f"{one:%Y-%m-%dT%H:%M}" for one in found] == [begin, end]


def test_retraining_waits_for_the_inference_of_its_day_though_it_is_started_before_it() -> None:
    retraining = datetime(2027, 3, 14, 6, 0, tzinfo=UTC)  # 01:00 EST: there is no 02:00
    to_come, yesterdays = run("2027-03-14T06:30", Scheduled()), run("2027-03-13T06:30", Running())
    tomorrows, done = run("2027-03-15T05:30", Scheduled()), run("2027-03-14T05:30", Completed())
    runs = [to_come, yesterdays, tomorrows, done]
    by_schedule = still_to_come(runs, scheduled_for=retraining, is_scheduled=True, now=retraining)
    assert by_schedule == [to_come]
    by_hand = still_to_come(runs, scheduled_for=retraining, is_scheduled=False, now=retraining)
    assert by_hand == []
    later = datetime(2027, 3, 14, 6, 40, tzinfo=UTC)
    under_way = run("2027-03-14T06:30", Running())
    assert still_to_come([under_way], scheduled_for=later, is_scheduled=False, now=later) == [under_way]


def test_a_deployment_in_which_something_waits_is_not_simply_green_and_a_failed_part_fails_it() -> None:
    there = Deployed("TABLE", "ml_models.backtest_results", "abc", "SUCCESS", "41 columns, 3 rows")
    waits = Deployed("SCHEDULER", "ml-daily-inference", None, "PENDING", "no Prefect server")
    broken = Deployed("API", "tradehits", None, "FAILED", "it does not start")
    assert state_of(outcome_of([there], {})).message == "1 SUCCESS"
    partial = state_of(outcome_of([there, waits], {}))
    assert (partial.name, partial.message) == ("Partial", "ml-daily-inference waits: no Prefect server")
    assert state_of(outcome_of([there, waits, broken], {})).message == "API tradehits: it does not start"


def test_a_flow_that_ended_with_an_error_keeps_what_is_wrong_and_what_to_do() -> None:
    ended = failed(WarehouseLockedError("held for 600 s", remedy="wait for it"))
    assert state_of(ended).message == "held for 600 s"
    assert ended.markdown == "**WarehouseLockedError**\n\n### Failed\n\n- held for 600 s\n\n- wait for it\n"


def test_confidence_levels_are_a_strategy_under_a_name_that_says_so() -> None:
    settings = load_settings("test")
    same, name = with_levels(settings, ("HIGH",))
    assert (same, name) == (settings, "high_confidence")
    changed, name = with_levels(settings, ("HIGH", "MEDIUM"))
    assert name == "confidence_high_medium"
    added = changed.backtest.strategies[name]
    assert (added.levels, dict(added.grid)) == (("HIGH", "MEDIUM"), {})
    assert added.time_limit_bars == settings.backtest.strategies["high_confidence"].time_limit_bars
    with pytest.raises(ConfigError, match="confidence_levels is empty"):
        with_levels(settings, ())


@pytest.mark.parametrize(
    ("flow", "parameters"),
    [
        ("daily_inference", {"confidence_threshold": 0.4}),
        ("daily_inference", {"asset_types": ["bonds"]}),
        ("model_monitoring", {"alert_threshold": 1.5}),
        ("weekly_retrain", {"validation_window_days": 0}),
        ("backtest_daily", {"confidence_levels": ["SURE"]}),
    ],
)
def test_parameters_are_validated_before_anything_runs(flow: str, parameters: dict[str, Any]) -> None:
    from prefect.exceptions import ParameterTypeError

    with pytest.raises(ParameterTypeError):
        getattr(deployments, flow).validate_parameters(parameters)


def test_flows_are_named_as_the_schedules_name_them() -> None:
    names = {flow.name for flow in vars(deployments).values() if type(flow).__name__ == "Flow"}
    scheduled = {"daily-inference", "model-monitoring", "weekly-retrain", "backtest-daily"}
    assert names == {*scheduled, "ingest", "deploy"}
    assert deployments.INFERENCE == "daily-inference/ml-daily-inference"

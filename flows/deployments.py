"""The scheduled flows, as Prefect starts them; `prefect.yaml` names them, their times and their parameters.

Each is the body of a command (`tradehits ingest`, `predict`, `monitor`, `train`, `backtest`) with its steps as tasks,
its outcome as artifacts, and a state that tells the truth: `Completed` when everything is as it should be, `Partial`
(a completed state) when the work was done and something was not, such as a vendor without bars, `Failed` when the work
was not done. Profile and home are those of the worker: `TRADEHITS_PROFILE`, `TRADEHITS_HOME`. One run a deployment at
a time, and one writing flow a profile: the others wait for their turn.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from prefect import flow
from prefect.runtime import deployment, flow_run
from pydantic import Field

from market.assets import AssetType
from market.errors import TradeHitsError
from market.signals import Confidence

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.context import Context
    from flows.scheduled_outcome import Outcome

INFERENCE = "daily-inference/ml-daily-inference"

_HOUR = 3600


def _named_by_time() -> str:
    """Such as `ml-daily-inference 2026-11-23 01:30`, New York's time; without a deployment it is the flow's name."""
    from flows.scheduled_turn import ZONE

    name = deployment.name or flow_run.flow_name
    return f"{name} {flow_run.scheduled_start_time.astimezone(ZONE):%Y-%m-%d %H:%M}"


@flow(name="daily-inference", flow_run_name=_named_by_time, timeout_seconds=8 * _HOUR, persist_result=False)
def daily_inference(
    asset_types: list[AssetType] | None = None,
    confidence_threshold: Annotated[float, Field(ge=0.5, le=1.0)] = 0.55,
    catch_up: bool = True,
    source: str | None = None,
    path: list[Path] | None = None,
) -> Any:
    """Ingest the configured sources, score every symbol's newest closed bar, fill outcomes, publish the snapshot.

    A prediction is made once and never again, so a second run of a day changes nothing; bars of days on which this flow
    did not run are scored first, in order, by the model of their day.

    Args:
        asset_types: Classes; all of them by default.
        confidence_threshold: Predictions at least so far on one side (0.55: up-probability from 0.55 or to 0.45) are
            listed in the run's summary. What is stored and called BUY or SELL follows the configured thresholds.
        catch_up: Score missed days first; one that fails stops the run. False: the newest bars only.
        source: For this run, in place of the configured sources, such as parquet.
        path: Files and folders of that source.
    """

    def body(context: Context) -> Outcome:
        from flows.scheduled import infer

        given = (source, tuple(path or ()))
        return infer(context, asset_types or (), confidence_threshold, catch_up=catch_up, given=given)

    return _run("ml-daily-inference", body)


@flow(name="model-monitoring", flow_run_name=_named_by_time, timeout_seconds=8 * _HOUR, persist_result=False)
def model_monitoring(
    check_drift: bool = True,
    alert_threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.85,
    catch_up: bool = True,
) -> Any:
    """Daily performance of every class, and unless told otherwise rules, detectors, feature drift, alerts, reports.

    Args:
        check_drift: False brings `model_performance_daily` up to date and judges nothing.
        alert_threshold: 7-day accuracy below this share of its 30-day baseline is a WARNING; CRITICAL is as configured.
        catch_up: Judge missed days first, each by what was known then; one that fails stops the run.
    """

    def body(context: Context) -> Outcome:
        from flows.scheduled import monitor_models

        return monitor_models(context, check_drift, alert_threshold, catch_up=catch_up)

    return _run("ml-model-monitoring", body)


@flow(name="weekly-retrain", flow_run_name=_named_by_time, timeout_seconds=30 * _HOUR, persist_result=False)
def weekly_retrain(
    models: list[AssetType] | None = None,
    validation_window_days: Annotated[int, Field(ge=1, le=3650)] = 30,
) -> Any:
    """Ingest check, features, walk-forward, audit, challenger, gate, champion, published record, and its backtest.

    It begins once the day's inference is over, whatever the clock says: on the Sunday in March on which there is no
    02:00, it is started at 01:00, before the 01:30 of inference.

    Args:
        models: The classes whose models are trained: stocks, etf, crypto; all by default.
        validation_window_days: The summary shows the champion's accuracy over so many days beside its base rate.
            Whether a challenger takes over is decided by paired evidence over the whole record, never by these days.
    """

    def body(context: Context) -> Outcome:
        from flows.scheduled import retrain

        return retrain(context, models or (), validation_window_days)

    return _run("ml-weekly-retrain", body, after=INFERENCE)


@flow(name="backtest-daily", flow_run_name=_named_by_time, timeout_seconds=12 * _HOUR, persist_result=False)
def backtest_daily(
    lookback_days: Annotated[int, Field(ge=1, le=365)] = 7,
    confidence_levels: list[Confidence] | None = None,
    catch_up: bool = True,
) -> Any:
    """Backtest every strategy on each class's VALIDATE to the newest bar, with costs, and store and rank the results.

    Args:
        lookback_days: What trades closed in the last so many days brought is told apart. They are no result of their
            own: a Sharpe ratio of seven days would be ranked among those of years, and win.
        confidence_levels: Levels at which the strategy that enters by confidence enters; HIGH and MEDIUM by default.
            Levels that no configured strategy has are backtested under a name of their own.
        catch_up: Backtest to the end of each missed day first, in order; one that fails stops the run.
    """

    def body(context: Context) -> Outcome:
        from flows.scheduled import backtest_recent

        return backtest_recent(context, lookback_days, confidence_levels or ["HIGH", "MEDIUM"], catch_up=catch_up)

    return _run("ml-backtest-daily", body)


@flow(name="ingest", flow_run_name=_named_by_time, timeout_seconds=8 * _HOUR, persist_result=False)
def ingest(
    asset_types: list[AssetType] | None = None, source: str | None = None, path: list[Path] | None = None
) -> Any:
    """Read bars of the configured sources, check every one, and store what is new or changed.

    Args:
        asset_types: Classes; all that have a configured source by default.
        source: For this run, in place of the configured sources, such as parquet.
        path: Files and folders of that source.
    """

    def body(context: Context) -> Outcome:
        from flows.scheduled_ingest import ingest_configured

        return ingest_configured(context, asset_types or (), (source, tuple(path or ())))

    return _run("ml-ingest", body)


@flow(name="deploy", flow_run_name=_named_by_time, timeout_seconds=4 * _HOUR, persist_result=False)
def deploy() -> Any:
    """Put tables, views, feature definitions, schedules and service in place, check each, and log each."""

    def body(context: Context) -> Outcome:
        from flows.scheduled_deploy import put_in_place

        return put_in_place(context)

    return _run("ml-deploy", body, takes_turns=True)


def _run(
    name: str, body: Callable[[Context], Outcome], *, after: str | None = None, takes_turns: bool = False
) -> State[Any]:
    """Wait for dependency and turn, run a body with its steps as tasks, keep its outcome, and say how it ended.

    Args:
        name: The deployment.
        body: What it does.
        after: A deployment whose runs of the day must be over.
        takes_turns: The body takes the profile's turn by itself.
    """
    import os
    from dataclasses import replace

    from configs.settings import load_settings
    from flows.context import exclusive, open_context
    from flows.observing import observed_command
    from flows.prefecting import PrefectTasks
    from flows.scheduled_outcome import failed, publish, state_of
    from flows.scheduled_reporter import PrefectReporter, run_logger
    from flows.scheduled_turn import wait_for
    from warehouse.engines import command

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    settings, said = load_settings(), []
    command.set(name)
    patience = settings.up.turn_seconds
    with observed_command(settings, name, prefect_flow_run=str(flow_run.id)) as scope:
        if after is not None:
            said = wait_for(after, patience_seconds=patience, say=run_logger().info)
        try:
            with nullcontext() if takes_turns else exclusive(settings, patience_seconds=patience):
                outcome = body(open_context(settings, PrefectReporter(), PrefectTasks()))
        except TradeHitsError as error:
            publish(name, failed(error))
            raise
        outcome = replace(outcome, problems=(*said, *outcome.problems))
        scope.status = "failed" if outcome.failures else None
        scope.facts.texts.update(outcome=outcome.name, message=outcome.headline)
        scope.facts.counts.update(problems=len(outcome.problems), failures=len(outcome.failures))
        publish(name, outcome)
        return state_of(outcome)

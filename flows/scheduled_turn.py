"""A scheduled flow's turn: its dependencies are over, and nobody else writes to the profile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from market.errors import ServiceError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

ZONE: Final = ZoneInfo("America/New_York")
_LOOK_SECONDS: Final = 20.0


def day_bounds(instant: datetime) -> tuple[datetime, datetime]:
    """The New York day that holds an instant, as [begin, end) in UTC: 23, 24 or 25 hours."""
    day = instant.astimezone(ZONE).date()
    begin, end = (datetime.combine(one, clock_time.min, ZONE) for one in (day, day + timedelta(days=1)))
    return begin.astimezone(UTC), end.astimezone(UTC)


def still_to_come(
    runs: Sequence[FlowRun], *, scheduled_for: datetime, is_scheduled: bool, now: datetime
) -> list[FlowRun]:
    """Runs of the same day that are not over.

    A flow that its schedule started waits for all of them, also for one that begins later: on the day in March that has
    no 02:00, the weekly one comes at 01:00, before the daily 01:30. A flow that a person started waits for what is
    under way.
    """
    begin, end = day_bounds(scheduled_for)
    open_runs = [run for run in runs if run.state is None or not run.state.is_final()]
    due = end if is_scheduled else now
    return [run for run in open_runs if run.expected_start_time and begin <= run.expected_start_time <= due]


def wait_for(
    deployment: str,
    *,
    patience_seconds: float,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Wait inside a flow run until today's runs of a deployment are over, whatever the clock says.

    Args:
        deployment: `flow/deployment`.
        patience_seconds: So long.
        say: Takes what is waited for.
        sleep: Between two looks.

    Returns:
        What a reader should know: the run failed, or there was none today. Empty when it did its work.

    Raises:
        ServiceError: It was not over in time.
    """
    from prefect.client.orchestration import get_client
    from prefect.runtime import flow_run

    scheduled_for = flow_run.get_scheduled_start_time() or datetime.now(UTC)
    until = time.monotonic() + patience_seconds
    with get_client(sync_client=True) as client:
        own = client.read_flow_run(flow_run.get_id()) if flow_run.get_id() else None
        is_scheduled = bool(own and own.auto_scheduled)
        while True:
            runs = _runs_of(client, deployment, *day_bounds(scheduled_for))
            if runs is None:
                return [f"{deployment} is no deployment of this server: nothing was waited for"]
            waiting = still_to_come(runs, scheduled_for=scheduled_for, is_scheduled=is_scheduled, now=datetime.now(UTC))
            if not waiting:
                return _told(deployment, runs)
            if time.monotonic() >= until:
                raise ServiceError(
                    f"{deployment} of today was not over within {patience_seconds:.0f} s",
                    remedy="look at its run in Prefect; then run this one again",
                )
            say(f"waiting for {deployment}: {waiting[0].name} ({waiting[0].state_name})")
            sleep(_LOOK_SECONDS)


def _runs_of(client: SyncPrefectClient, deployment: str, begin: datetime, end: datetime) -> list[FlowRun] | None:
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        FlowRunFilter,
        FlowRunFilterExpectedStartTime,
    )
    from prefect.exceptions import ObjectNotFound

    try:
        found = client.read_deployment_by_name(deployment)
    except ObjectNotFound:
        return None
    runs: list[FlowRun] = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            expected_start_time=FlowRunFilterExpectedStartTime(after_=begin, before_=end - timedelta(microseconds=1))
        ),
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[found.id])),
        limit=200,
    )
    return runs


def _told(deployment: str, runs: Sequence[FlowRun]) -> list[str]:
    over = [run for run in runs if run.state is not None and run.state.is_final() and run.expected_start_time]
    if not over:
        return []
    newest = max(over, key=lambda run: run.expected_start_time or datetime.min.replace(tzinfo=UTC))
    assert newest.state is not None
    if newest.state.is_completed():
        return []
    return [f"today's {deployment} ended as {newest.state.name}: {newest.state.message or 'no reason given'}"]

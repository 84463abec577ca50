"""Tells Prefect's server of the process pool and of `prefect.yaml`'s deployments, and settles what a killed `up` left.

Run by `tradehits up` as a process of its own, because Prefect reads its environment when it is imported. The
deployments are applied by Prefect's own `prefect deploy`, so that the file means what it means to everybody else.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from configs.settings import REPO_DIR, load_settings
from market.errors import ServiceError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

DEPLOYMENTS_FILE = REPO_DIR / "prefect.yaml"
LOST = "the process of this run was ended together with `tradehits up`; the next run takes up its work"
OVERTAKEN = "this machine was off at the time; one run of these deployments does the work of all that were missed"

log = logging.getLogger("tradehits.up.deployments")


def register(pool: str) -> None:
    """Pool, deployments and schedules; running it again changes nothing.

    Raises:
        ServiceError: There is no `prefect.yaml`, or Prefect refused it.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    if not DEPLOYMENTS_FILE.exists():
        raise ServiceError(f"{DEPLOYMENTS_FILE} is missing", remedy="run `tradehits up` from a checkout of the project")
    with get_client(sync_client=True) as client:
        try:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(WorkPoolCreate(name=pool, type="process", base_job_template=template))
        except ObjectAlreadyExists:
            log.info("work pool %s is there", pool)
        end_lost_runs(client, pool)
    _deploy()
    with get_client(sync_client=True) as client:
        skip_overtaken_runs(client, pool)


def end_lost_runs(client: SyncPrefectClient, pool: str) -> int:
    """Runs that were under way when `up` was killed: nobody works on them any more, and they hold their turn.

    Returns:
        How many were set to Crashed.
    """
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    under_way = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    lost = _runs(client, pool, under_way)
    for run in lost:
        client.set_flow_run_state(run.id, Crashed(message=LOST), force=True)
        log.warning("%s: %s", run.name, LOST)
    return len(lost)


def skip_overtaken_runs(client: SyncPrefectClient, pool: str) -> int:
    """Of several missed runs of one deployment the newest stays: each does whatever is due, however late.

    Returns:
        How many were set to Cancelled.
    """
    from prefect.client.schemas.objects import StateType
    from prefect.states import Cancelled

    now = datetime.now(UTC)
    late = [run for run in _runs(client, pool, [StateType.SCHEDULED]) if run.auto_scheduled]
    late = [run for run in late if run.expected_start_time is not None and run.expected_start_time < now]
    newest = {run.deployment_id: run.id for run in sorted(late, key=lambda run: run.expected_start_time or now)}
    overtaken = [run for run in late if run.id != newest[run.deployment_id]]
    for run in overtaken:
        client.set_flow_run_state(run.id, Cancelled(message=OVERTAKEN), force=True)
    return len(overtaken)


def _runs(client: SyncPrefectClient, pool: str, types: list) -> list[FlowRun]:  # type: ignore[type-arg]
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        WorkPoolFilter,
        WorkPoolFilterName,
    )

    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types))),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
            limit=200,
            offset=len(found),
        )
        found += page
        if len(page) < 200:
            return found


def _deploy() -> None:
    command = [
        sys.executable,
        "-m",
        "prefect",
        "--no-prompt",
        "deploy",
        "--all",
        "--prefect-file",
        DEPLOYMENTS_FILE.name,
    ]
    done = subprocess.run(command, cwd=DEPLOYMENTS_FILE.parent, check=False)
    if done.returncode != 0:
        raise ServiceError("Prefect refused prefect.yaml", remedy="what it said stands above")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    register(load_settings().up.work_pool)

"""`tradehits up`: MLflow, Prefect with worker and schedules, the HTTP service and the reports, until interrupted."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from flows.up_check import PageCheck, check_pages
from flows.up_leftovers import end_marked
from flows.up_ports import require_free_ports
from flows.up_programs import Program, mark_of, programs
from flows.up_runs import settle_runs
from flows.up_supervisor import Supervisor
from market.errors import ServiceError

if TYPE_CHECKING:
    from configs.settings import Settings

log = logging.getLogger("tradehits.up")

Tell = Callable[[str], None]


def up(settings: Settings, tell: Tell, ready: Callable[[tuple[Program, ...]], None]) -> bool:
    """Start everything and keep it alive until SIGINT or SIGTERM.

    Args:
        settings: The profile.
        tell: Takes what happens meanwhile.
        ready: Called once everything answers.

    Returns:
        Whether every process lived to the end; False when one had to be given up.

    Raises:
        ConfigError: Two settings name one port.
        ServiceError: A port is taken, another `up` of this profile runs, or a process did not start.
    """
    with _alone(settings, tell):
        return asyncio.run(_up(settings, tell, ready))


def check(settings: Settings, tell: Tell) -> list[PageCheck]:
    """Start everything, look at every page, and stop. Errors as `up`."""
    with _alone(settings, tell):
        return asyncio.run(_check(settings, tell))


async def _up(settings: Settings, tell: Tell, ready: Callable[[tuple[Program, ...]], None]) -> bool:
    started = programs(settings)
    supervisor = Supervisor(settings, started, tell)
    try:
        if await _begun(supervisor, tell):
            ready(started)
            await supervisor.asked_to_stop.wait()
    finally:
        tell("stopping ...")
        await supervisor.stop(lambda: settle_runs(settings))
    return not supervisor.given_up


async def _check(settings: Settings, tell: Tell) -> list[PageCheck]:
    started = programs(settings)
    supervisor = Supervisor(settings, started, tell)
    try:
        if not await _begun(supervisor, tell):
            raise ServiceError("interrupted before every page was looked at")
        return await check_pages(settings)
    finally:
        await supervisor.stop(lambda: settle_runs(settings))


async def _begun(supervisor: Supervisor, tell: Tell) -> bool:
    """Start in order; False when it was asked to stop meanwhile."""
    starting = asyncio.ensure_future(_start(supervisor, tell))
    stopped = asyncio.ensure_future(supervisor.asked_to_stop.wait())
    try:
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            return True
        return False
    finally:
        for task in (starting, stopped):
            task.cancel()


async def _start(supervisor: Supervisor, tell: Tell) -> None:
    await supervisor.open()
    tell("starting Prefect, MLflow, the service and the reports ...")
    await supervisor.start([name for name in ("prefect", "mlflow", "service", "reports") if supervisor.has(name)])
    tell("registering schedules ...")
    await supervisor.run_once("deployments")
    await supervisor.start(("worker",))


@contextmanager
def _alone(settings: Settings, tell: Tell) -> Iterator[None]:
    """One `up` a profile, with free ports and nothing left of one that was killed."""
    paths = settings.paths
    for folder in (paths.state, paths.logs, paths.reports, paths.mlruns, paths.prefect_home):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(paths.state / "up.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ServiceError(
            f"`tradehits up` of profile '{settings.profile}' is running already (process {_holder(settings)})",
            remedy="stop it with Ctrl-C or SIGTERM; another profile may run beside it on other ports",
        ) from error
    try:
        (paths.state / "up.pid").write_text(str(os.getpid()), encoding="utf-8")
        left = end_marked(mark_of(settings))
        if left:
            tell(f"an earlier `up` was killed and left {len(left)} processes, which were ended now: {', '.join(left)}")
        require_free_ports(programs(settings))
        with _log_file(settings):
            yield
    finally:
        (paths.state / "up.pid").unlink(missing_ok=True)
        lock.release()


def _holder(settings: Settings) -> str:
    try:
        return (settings.paths.state / "up.pid").read_text(encoding="utf-8")
    except OSError:
        return "unknown"


@contextmanager
def _log_file(settings: Settings) -> Iterator[None]:
    """What `up` itself does, beside what its processes say."""
    kept = settings.up
    handler = RotatingFileHandler(
        settings.paths.logs / "up.log", maxBytes=kept.log_bytes, backupCount=kept.log_files, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    before, log.propagate = (log.level, log.propagate), False
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
        log.level, log.propagate = before

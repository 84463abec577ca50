"""Prefect where one is configured, plain calls where none is.

A flow function takes a `Tasks` and hands each coarse step to it. With `PREFECT_API_URL` set (or a Prefect profile that
names a server) the flow and its steps appear in that dashboard; without one they are ordinary function calls and no
server is started. How often and how long a step is tried under Prefect stands in one table, `POLICIES`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from configs.settings import prefect_may_be_configured
from flows.observing import observed, tell
from market.errors import QuotaExceededError, WarehouseLockedError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun

T = TypeVar("T")

_HOUR: Final = 3600.0
_PASSING: Final = (WarehouseLockedError, QuotaExceededError, ConnectionError)


@dataclass(frozen=True)
class Policy:
    """How a step is tried under Prefect.

    Attributes:
        timeout_seconds: Longer than ever seen by an order of magnitude: it ends what hangs, not what is slow.
        retry_waits_seconds: Before each further attempt, which is made only after an error that may pass; empty: none.
    """

    timeout_seconds: float
    retry_waits_seconds: tuple[float, ...] = ()


_ONCE: Final = Policy(_HOUR)
_WAITS: Final = (10.0, 60.0, 300.0)

POLICIES: Final[dict[str, Policy]] = {
    # reads and keyed writes: another attempt finds what the first one left, and doubles nothing
    "read-bars": Policy(2 * _HOUR, _WAITS),
    "store": Policy(2 * _HOUR, _WAITS),
    "build-features": Policy(4 * _HOUR, _WAITS),
    "publish-features": Policy(2 * _HOUR, _WAITS),
    "feast": Policy(2 * _HOUR, _WAITS),
    "predict": Policy(2 * _HOUR, _WAITS),
    "performance": Policy(2 * _HOUR, _WAITS),
    "judge": Policy(2 * _HOUR, _WAITS),
    "deploy": Policy(_HOUR, _WAITS),
    # every attempt is a training run or a trial of its own, which deflates the figures of all others: never by itself
    "train": Policy(24 * _HOUR),
    "backtest": Policy(8 * _HOUR),
}
"""By the beginning of a step's name, up to a hyphen; steps that are not named are tried once, for an hour."""


def policy_of(name: str) -> Policy:
    """The policy of a step: `store-stocks` has that of `store`."""
    known = [key for key in POLICIES if name == key or name.startswith(f"{key}-")]
    return POLICIES[max(known, key=len)] if known else _ONCE


def may_pass(error: BaseException) -> bool:
    """Whether another attempt may succeed: a lock, a quota, a broken connection, a source that asked for patience.

    An error that was raised because of another one is judged by that one too.
    """
    from warehouse.sources._fetch import TransientError

    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, (*_PASSING, TransientError)):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


class Tasks(Protocol):
    """Runs the steps of a flow."""

    def run(self, name: str, step: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run one step under a name and return its result; errors pass through."""
        ...


class PlainTasks:
    """Steps as plain calls."""

    def run(self, name: str, step: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call the step."""
        with observed("task", name) as scope:
            result = step(*args, **kwargs)
            tell(scope, result)
            return result


class PrefectTasks:
    """Steps as Prefect tasks; results stay in memory."""

    def run(self, name: str, step: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call the step as a task of that name, by its policy."""
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        policy = policy_of(name)
        wrapped = task(
            name=name,
            task_run_name=name,
            cache_policy=NO_CACHE,
            persist_result=False,
            timeout_seconds=policy.timeout_seconds,
            retries=len(policy.retry_waits_seconds),
            retry_delay_seconds=list(policy.retry_waits_seconds),
            retry_condition_fn=_another_attempt,
        )(lambda: step(*args, **kwargs))
        with observed("task", name) as scope:
            result = cast(T, wrapped())
            tell(scope, result)
            return result


def _another_attempt(task: Any, run: TaskRun, state: State[Any]) -> bool:
    """Prefect asks this after a failure; the state holds the error."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and may_pass(error)


def _server_configured() -> bool:
    """Whether flows have a server to report to; Prefect, slow to import, is asked only when it may say yes."""
    if not prefect_may_be_configured():
        return False
    from prefect.settings import get_current_settings

    return bool(get_current_settings().api.url)


def run_flow(name: str, body: Callable[[Tasks], T]) -> T:
    """Run a flow's body, as a Prefect flow when a server is configured.

    Args:
        name: The flow's name in the dashboard.
        body: Takes the `Tasks` to run its steps with.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    if not _server_configured():
        return body(PlainTasks())
    from prefect import flow

    return cast(T, flow(name=name, persist_result=False)(lambda: body(PrefectTasks()))())

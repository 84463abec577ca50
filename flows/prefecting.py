"""Prefect where one is configured, plain calls where none is.

A flow function takes a `Tasks` and hands each coarse step to it. With `PREFECT_API_URL` set (or a Prefect profile that
names a server) the flow and its steps appear in that dashboard; without one they are ordinary function calls and no
server is started.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from configs.settings import prefect_may_be_configured

T = TypeVar("T")


class Tasks(Protocol):
    """Runs the steps of a flow."""

    def run(self, name: str, step: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run one step under a name and return its result; errors pass through."""
        ...


class PlainTasks:
    """Steps as plain calls."""

    def run(self, name: str, step: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call the step."""
        return step(*args, **kwargs)


class PrefectTasks:
    """Steps as Prefect tasks; results stay in memory."""

    def run(self, name: str, step: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call the step as a task of that name."""
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        wrapped = task(name=name, cache_policy=NO_CACHE, persist_result=False)(lambda: step(*args, **kwargs))
        return cast(T, wrapped())


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

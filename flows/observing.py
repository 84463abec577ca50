"""Commands, tasks and steps as events: how long, how many, how it ended; and as spans where a collector is named.

A command opens the log; inside it every step of a `Reporter` and every task of `Tasks` becomes one line when it ends. A
task that is all of a step (the step `store stocks`, the task `store-stocks`) is one line: the step's, with the
task's counts.
"""

from __future__ import annotations

import inspect
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast

from configs.event_log import event, event_log
from flows.observed import Facts, facts_of, named
from market.errors import TradeHitsError

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from configs.settings import Settings
    from flows.tracing import Traces

P = ParamSpec("P")
R = TypeVar("R")
Kind = Literal["command", "task", "step"]
Progress = Callable[[int, int], None]
Step = TypeVar("Step", bound=Callable[..., AbstractContextManager[Progress]])


@dataclass
class Scope:
    """What is under way: a command, or a task or step inside it.

    Attributes:
        parent: What it is part of; None for a command.
        facts: What its line will say beside name, outcome and time.
        status: How it ended where no exception says so.
    """

    kind: Kind
    name: str
    asset_type: str | None
    parent: Scope | None = None
    facts: Facts = field(default_factory=Facts)
    status: str | None = None
    traces: Traces | None = None
    span: Span | None = None

    def progress(self, done: int, total: int) -> None:
        """How far it is; the last word stands in its line."""
        self.facts.counts.update(done=done, total=total)


_NOW: ContextVar[Scope | None] = ContextVar("what is under way", default=None)


@contextmanager
def observed_command(settings: Settings, name: str, **facts: str) -> Iterator[Scope]:
    """Open the event log, and traces where they are configured, around a command or a scheduled flow.

    Args:
        settings: Of the profile.
        name: As a person calls it: `train`, `models promote`, `ml-daily-inference`.
        facts: More for its last line.

    Raises:
        ConfigError: A collector is named, and the extra `otel` is not installed.
    """
    run_id = uuid.uuid4().hex
    scope = Scope("command", name, None, facts=Facts(texts=dict(facts)))
    with ExitStack() as opened:
        opened.enter_context(event_log(settings, run_id=run_id, command=name))
        if settings.observability.otlp_endpoint is not None:
            from flows.tracing import open_traces

            always = {"run_id": run_id, "profile": settings.profile, "command": name}
            scope.traces = opened.enter_context(open_traces(settings.observability, always))
        event("command.started")
        with _under_way(scope):
            yield scope


@contextmanager
def observed(kind: Literal["task", "step"], name: str) -> Iterator[Scope]:
    """A task or step of the command under way; outside of one nothing is told."""
    parent, said = _NOW.get(), named(name)
    scope = Scope(kind, said.step, said.asset_type, parent, Facts(texts={"date": said.date} if said.date else {}))
    if parent is None:
        yield scope
    elif kind == "task" and parent.kind == "step":
        yield parent  # the step tells what the task found
    elif kind == "step" and parent.kind == "task" and (parent.name, parent.asset_type) == (said.step, said.asset_type):
        yield parent  # the step is all of the task
    else:
        scope.asset_type, scope.traces = scope.asset_type or parent.asset_type, parent.traces
        with _under_way(scope):
            yield scope


def observed_steps(step: Step) -> Step:
    """A reporter's `step` that is also told as an event."""

    @wraps(step)
    @contextmanager
    def told(self: object, name: str) -> Iterator[Progress]:
        with observed("step", name) as scope, step(self, name) as advance:

            def both(done: int, total: int) -> None:
                scope.progress(done, total)
                advance(done, total)

            yield both

    return cast("Step", told)


def observed_task(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function that is told as a task of this name, with what its result counts."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @wraps(function)
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            with observed("task", name) as scope:
                given = signature.bind(*args, **kwargs).arguments.get("asset_type")
                scope.asset_type = scope.asset_type or given
                result = function(*args, **kwargs)
                tell(scope, result)
                return result

        return told

    return decorate


def tell(scope: Scope, result: object) -> None:
    """Take what a result counts and names into the line of what made it."""
    found = facts_of(result)
    scope.facts.counts.update(found.counts)
    scope.facts.texts.update(found.texts)
    scope.asset_type = found.asset_type or scope.asset_type


@contextmanager
def _under_way(scope: Scope) -> Iterator[Scope]:
    before, started = _NOW.set(scope), time.monotonic()
    if scope.traces is not None:
        scope.span = scope.traces.start(scope.name, scope.parent.span if scope.parent else None)
    try:
        yield scope
    except BaseException as error:
        _end(scope, started, _outcome(error), error)
        raise
    else:
        _end(scope, started, scope.status or "ok", None)
    finally:
        _NOW.reset(before)


def _outcome(error: BaseException) -> str:
    """How it ended: leaving with exit code 0 is no failure, and Ctrl-C is none of the program's."""
    if isinstance(error, KeyboardInterrupt | GeneratorExit):
        return "interrupted"
    code = getattr(error, "exit_code", getattr(error, "code", 1)) if _is_exit(error) else 1
    return "failed" if code else "ok"


def _is_exit(error: BaseException) -> bool:
    """`SystemExit`, or the command line's own, whose library is not loaded for this."""
    return isinstance(error, SystemExit) or type(error).__name__ == "Exit"


def _end(scope: Scope, started: float, status: str, error: BaseException | None) -> None:
    facts: dict[str, Any] = {
        "step": None if scope.kind == "command" else scope.name,
        "asset_type": scope.asset_type,
        "status": status,
        "counts": scope.facts.counts or None,
        "seconds": round(time.monotonic() - started, 3),
        **scope.facts.texts,
    }
    if status != "ok" and error is not None and not _is_exit(error):
        facts["error"] = type(error).__name__
        facts["message"] = error.message if isinstance(error, TradeHitsError) else str(error)
    level = logging.ERROR if status == "failed" else logging.INFO
    event("command.ended" if scope.kind == "command" else "step.ended", level=level, **facts)
    if scope.traces is not None and scope.span is not None:
        scope.traces.end(scope.span, facts)

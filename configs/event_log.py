"""The event log: one JSON line per event in the profile's `logs/events.jsonl`, and on standard error where asked for.

Whoever has something to tell calls `event`; edges (a command, a scheduled flow, a worker of the service) open the log
around their work. Where none is open, an event costs nothing and goes nowhere. Warnings of the project's own loggers
are kept too. Nothing that goes wrong with the log ends what it tells about.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from configs.settings import Settings

EVENTS: Final = logging.getLogger("tradehits.events")
_PROJECT: Final = (
    *("tradehits", "flows", "serving", "monitoring", "training", "registry", "feature_repo", "warehouse"),
)


def event(name: str, *, level: int = logging.INFO, **facts: Any) -> None:
    """Tell that something happened.

    Args:
        name: `thing.happened`.
        level: Of `logging`.
        facts: JSON values; those that are None are left out.
    """
    if EVENTS.handlers:
        EVENTS.log(level, {"event": name, **{key: value for key, value in facts.items() if value is not None}})


@contextmanager
def event_log(settings: Settings, **always: str) -> Iterator[None]:
    """Keep the events and warnings of this process while the block runs.

    Args:
        settings: Whose log, and where it goes.
        always: In every line, such as `run_id` and `command`.
    """
    with ExitStack() as opened:
        for handler in _handlers(settings, {"profile": settings.profile, **always}):
            for logger in (EVENTS, *map(logging.getLogger, _PROJECT)):
                logger.addHandler(handler)
                opened.callback(logger.removeHandler, handler)
        _keep_apart(opened)
        yield


def _handlers(settings: Settings, always: dict[str, str]) -> list[logging.Handler]:
    from configs.event_lines import EventFile, EventFormatter

    given = settings.observability
    handlers: list[logging.Handler] = []
    if given.file:
        handlers.append(EventFile(settings.paths.event_log, given.log_bytes, given.log_files))
    if given.stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
    formatter = EventFormatter(always)
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(_is_event_or_warning)
    return handlers


def _is_event_or_warning(record: logging.LogRecord) -> bool:
    return record.name == EVENTS.name or record.levelno >= logging.WARNING


def _keep_apart(opened: ExitStack) -> None:
    """A terminal sees of events what it saw without the log: nothing; and of warnings all that it saw."""
    opened.callback(EVENTS.setLevel, EVENTS.level)
    opened.callback(setattr, EVENTS, "propagate", EVENTS.propagate)
    EVENTS.setLevel(logging.INFO)
    EVENTS.propagate = False
    root = logging.getLogger()
    if not root.handlers and logging.lastResort is not None:  # which Python asks only where nobody else listens
        root.addHandler(logging.lastResort)
        opened.callback(root.removeHandler, logging.lastResort)

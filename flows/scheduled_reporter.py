"""Progress of a scheduled flow in Prefect's dashboard: a log line a step, and a bar for the long ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from flows.observing import observed_steps
from flows.progress import Advance, remaining


class PrefectReporter:
    """Logs with the run's own logger; a step that takes longer gets a progress artifact.

    Args:
        bar_after_seconds: A step that took so long and is not done gets a bar; each is an artifact, so not all do.
        every_seconds: How often a bar moves: each move is a request.
    """

    def __init__(
        self,
        *,
        bar_after_seconds: float = 15.0,
        every_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set when bars appear and how often they move."""
        self._bar_after_seconds = bar_after_seconds
        self._every_seconds = every_seconds
        self._clock = clock

    @observed_steps
    @contextmanager
    def step(self, name: str) -> Iterator[Advance]:
        """Announce a step, show how far it is, and say how long it took."""
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        logger, start = run_logger(), self._clock()
        logger.info("%s ...", name)
        bar: UUID | None = None
        moved = start + self._bar_after_seconds - self._every_seconds

        def advance(done: int, total: int) -> None:
            nonlocal bar, moved
            now = self._clock()
            if now - moved < self._every_seconds or total <= 0:
                return
            moved, percent = now, 100.0 * done / total
            if bar is None:
                bar = create_progress_artifact(percent, description=name)
            else:
                left = remaining(now - start, done, total)
                update_progress_artifact(bar, percent, description=f"{name} {left}".strip())

        yield advance
        if bar is not None:
            update_progress_artifact(bar, 100.0, description=name)
        logger.info("%s: %.1f s", name, self._clock() - start)


def run_logger() -> Any:
    """The logger of the present run."""
    from prefect import get_run_logger

    return get_run_logger()

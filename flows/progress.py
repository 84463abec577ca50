"""Progress of long steps: Rich bars on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from flows.observing import observed_steps

log = logging.getLogger("tradehits")

Advance = Callable[[int, int], None]
"""Called with (done, total)."""


class Reporter(Protocol):
    """Says what a flow is doing."""

    def step(self, name: str) -> AbstractContextManager[Advance]:
        """Announce a step; the result takes (done, total) as it advances."""
        ...


def remaining(elapsed_seconds: float, done: int, total: int) -> str:
    """How long the rest takes if it goes on as so far: `about 2:05 left`; empty before anything and after everything.

    Steps advance by pieces as large as a fold, minutes apart, from which a speed over the last seconds says nothing.
    """
    if not 0 < done < total:
        return ""
    minutes, seconds = divmod(round(elapsed_seconds * (total - done) / done), 60)
    hours, minutes = divmod(minutes, 60)
    return f"about {hours}:{minutes:02d}:{seconds:02d} left" if hours else f"about {minutes}:{seconds:02d} left"


class LogReporter:
    """One line when a step begins, one when it ends, and now and then how far a long one is."""

    def __init__(self, *, every_seconds: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Say how far a step is at most every so many seconds."""
        self._every_seconds = every_seconds
        self._clock = clock

    @observed_steps
    @contextmanager
    def step(self, name: str) -> Iterator[Advance]:
        """Log begin, progress and end of a step."""
        log.info("%s: started", name)
        start = said = self._clock()

        def advance(done: int, total: int) -> None:
            nonlocal said
            now = self._clock()
            if now - said >= self._every_seconds and 0 < done < total:
                said = now
                log.info("%s: %d%%, %s", name, 100 * done // total, remaining(now - start, done, total))

        yield advance
        log.info("%s: done", name)


class RichReporter:
    """A progress bar per step on standard error, so that standard output stays clean."""

    @observed_steps
    @contextmanager
    def step(self, name: str) -> Iterator[Advance]:
        """Show one bar while the step runs and keep its last state."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[left]}"),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(name, total=None, left="")

            def advance(done: int, total: int) -> None:
                elapsed = progress.tasks[0].elapsed or 0.0
                progress.update(task, completed=done, total=total, left=remaining(elapsed, done, total))

            yield advance
            total = progress.tasks[0].total or 1
            progress.update(task, completed=total, total=total, left="")

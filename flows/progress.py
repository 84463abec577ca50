"""Progress of long steps: Rich bars on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

log = logging.getLogger("tradehits")

Advance = Callable[[int, int], None]
"""Called with (done, total)."""


class Reporter(Protocol):
    """Says what a flow is doing."""

    def step(self, name: str) -> AbstractContextManager[Advance]:
        """Announce a step; the result takes (done, total) as it advances."""
        ...


class LogReporter:
    """One line when a step begins and one when it ends."""

    @contextmanager
    def step(self, name: str) -> Iterator[Advance]:
        """Log begin and end of a step."""
        log.info("%s: started", name)
        yield lambda done, total: None
        log.info("%s: done", name)


class RichReporter:
    """A progress bar per step on standard error, so that standard output stays clean."""

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
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(name, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
            total = progress.tasks[0].total or 1
            progress.update(task, completed=total, total=total)

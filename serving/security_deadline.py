"""A deadline for every request at the cost of two dictionary operations.

`asyncio.timeout` sets and cancels one timer a request, which is a noticeable share of a read from memory. All requests
here have the same time, so the order in which they began is the order in which they end: one timer looks at the oldest.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

TICK_SECONDS = 0.25


class Deadlines:
    """Cancels the task of a request that is not done in time, at most `TICK_SECONDS` late.

    Args:
        seconds: Time of each request.
    """

    def __init__(self, seconds: float) -> None:
        """Nothing is running."""
        self.seconds = seconds
        self._tick = min(TICK_SECONDS, seconds / 2)
        self._due_at: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        """Begin the current task's time.

        Raises:
            RuntimeError: Outside a task.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a task")
        loop = asyncio.get_running_loop()
        self._due_at[task] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_later(self._tick, self._sweep)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it.

        Raises:
            TimeoutError: Instead of the cancellation, if the time was over.
        """
        task: Any = asyncio.current_task()
        self._due_at.pop(task, None)
        if self._overdue and task in self._overdue:
            self._overdue.discard(task)
            if task.uncancel() <= 0 and kind is not None and issubclass(kind, asyncio.CancelledError):
                raise TimeoutError from error

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._due_at:
            task, due_at = next(iter(self._due_at.items()))
            if due_at > now:
                break
            del self._due_at[task]
            self._overdue.add(task)
            task.cancel()
        self._timer = loop.call_later(self._tick, self._sweep) if self._due_at else None

"""Time and peak memory of a piece of work in a process of its own."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True)
class Measure:
    """Seconds of the work itself (set-up excluded), and the peak of the whole process, its input included."""

    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Comparison:
    """One benchmark at one size against one peer; `growth_exponent` is 1 for time proportional to rows.

    `note` says what else was found, such as rows lost; it does not tell one comparison from another.
    """

    name: str
    size: str
    ours: Measure
    peer: str
    theirs: Measure
    growth_exponent: float
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times longer the peer takes."""
        return self.theirs.seconds / self.ours.seconds

    def as_row(self) -> dict[str, str | float]:
        """The row of `results.json`."""
        return {
            "name": self.name,
            "size": self.size,
            "ours_seconds": round(self.ours.seconds, 4),
            "peer": self.peer,
            "peer_seconds": round(self.theirs.seconds, 4),
            "ratio": round(self.ratio, 3),
            "ours_peak_mib": round(self.ours.peak_mib),
            "peer_peak_mib": round(self.theirs.peak_mib),
            "growth_exponent": round(self.growth_exponent, 3),
            "note": self.note,
        }


def measured(work: Callable[..., float], *arguments: Any) -> Measure:
    """Run `work` in a fresh process; it returns the seconds of what is compared.

    Raises:
        RuntimeError: The process failed; its traceback stands on standard error.
    """
    os.sync()  # or the first transaction waits until what came before (a copied warehouse) is on disk
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    try:
        seconds, peak_mib = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{work.__module__}.{work.__name__} ended with code {process.exitcode}") from None
    process.join()
    return Measure(seconds, peak_mib)


def growth_exponent(smaller: Measure, larger: Measure, factor: float) -> float:
    """Exponent e of seconds = c · rows^e between two sizes."""
    return math.log(larger.seconds / smaller.seconds) / math.log(factor)


def best_of(repeats: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest run: what the work takes when nothing else disturbs it."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _child(pipe: Connection, work: Callable[..., float], arguments: tuple[Any, ...]) -> None:
    seconds = work(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send((seconds, peak / 2**20 if sys.platform == "darwin" else peak / 2**10))

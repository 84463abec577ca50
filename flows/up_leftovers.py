"""Processes of `up` that live on without it: found by their environment, and ended.

Every process that `up` starts carries a mark in its environment, and so does whatever it starts in turn. Process groups
alone would not do: BentoML and Prefect put their workers into sessions of their own.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

import psutil

from flows.up_programs import HOME_MARK, PROGRAM_MARK


def marked(mark: str, program: str | None = None) -> Iterator[psutil.Process]:
    """Living processes of this user that carry a mark, this one and its ancestors aside.

    Args:
        mark: Value of `HOME_MARK`.
        program: Of this program only.
    """
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        if process.pid in spared:
            continue
        try:
            environment = process.environ()
            is_marked = environment.get(HOME_MARK) == mark and program in (None, environment.get(PROGRAM_MARK))
            if is_marked and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.Error, OSError):  # it ended meanwhile, or belongs to somebody else
            continue


def end_marked(
    mark: str, program: str | None = None, *, spared: Collection[int] = (), patience_seconds: float = 10.0
) -> list[str]:
    """End every marked process, politely first; names of those that were ended.

    A process that starts another one while it is asked to end is caught by the second look.
    """
    ended: list[str] = []
    for patience in (patience_seconds, 0.0):
        found = [process for process in marked(mark, program) if process.pid not in spared]
        ended += [f"{_name(process)} ({process.pid})" for process in found if process.pid not in _ids(ended)]
        _end(found, patience)
    return ended


def _end(found: Sequence[psutil.Process], patience_seconds: float) -> None:
    if patience_seconds:
        _signal(found, "terminate")
        _, found = psutil.wait_procs(found, timeout=patience_seconds)
    _signal(found, "kill")
    psutil.wait_procs(found, timeout=5.0)


def _signal(found: Sequence[psutil.Process], way: str) -> None:
    for process in found:
        try:
            getattr(process, way)()
        except psutil.NoSuchProcess:
            continue


def _name(process: psutil.Process) -> str:
    try:
        return str(process.environ().get(PROGRAM_MARK, process.name()))
    except psutil.Error:
        return "process"


def _ids(names: Sequence[str]) -> set[int]:
    return {int(name.rsplit("(", 1)[1].rstrip(")")) for name in names}

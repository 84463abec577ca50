"""The last words of a process, and the end of its pipes."""

from __future__ import annotations

import os
from typing import Any

_CHUNK = 1024
"""As circus reads: a log is set aside between two chunks, so a large one would overshoot its size."""


def close_pipes(watcher: Any, pid: int) -> None:
    """Keep what a dead process has said last, and stop listening to it.

    Circus closes the pipes and leaves them in the event loop. The next process gets the same numbers for its own pipes,
    which the loop refuses then: it would run unseen, and stop at its first full pipe.

    Args:
        watcher: Circus's, with the process.
        pid: The dead process.
    """
    process, redirector = watcher.processes.get(pid), watcher.stream_redirector
    if process is None or redirector is None:
        return
    for name, pipe in redirector.get_process_pipes(process):
        if pipe is None or pipe.closed:
            continue
        os.set_blocking(pipe.fileno(), False)  # what it started may hold the other end, and say nothing
        while data := _read(pipe.fileno()):
            redirector.redirect[name]({"data": data, "pid": pid, "name": name})
    redirector.remove_redirections(process)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return b""

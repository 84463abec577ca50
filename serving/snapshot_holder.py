"""The snapshot that answers are made of, changed for a newer one while the service runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from configs.event_log import event
from market.errors import SnapshotError
from serving.answers import Answers
from serving.snapshot import Snapshot, load_snapshot

log = logging.getLogger("tradehits.serving")

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Served:
    """A snapshot and the answers made of it: one reference, so that none outlives its snapshot."""

    snapshot: Snapshot
    answers: Answers = field(default_factory=Answers)


class SnapshotHolder:
    """Holds one snapshot, and swaps it when its file is replaced.

    A new file is loaded and warmed in a thread while the present snapshot goes on answering; then one reference
    changes. A damaged file is reported and left alone: what stood before goes on.
    """

    def __init__(self, path: Path, *, poll_seconds: float = 1.0, answers: Callable[[], Answers] = Answers) -> None:
        """Nothing is read yet.

        Args:
            path: The published file; it may come into being later.
            poll_seconds: How often `watch` looks at it.
            answers: Makes the empty store of answers of a new snapshot.
        """
        self.path = path
        self.failure: str | None = None
        self._poll_seconds = poll_seconds
        self._new_answers = answers
        self._served: Served | None = None
        self._seen: Stamp | None = None

    @property
    def served(self) -> Served | None:
        """The present snapshot with its answers; None before the first. Take it once a request."""
        return self._served

    @property
    def current(self) -> Snapshot | None:
        """The present snapshot; None before the first."""
        return None if self._served is None else self._served.snapshot

    def refresh(self) -> bool:
        """Load the file if it is another one than before; call it in a thread. True when the snapshot changed."""
        stamp = _stamp(self.path)
        if stamp is None or stamp == self._seen:
            return False
        started = time.monotonic()
        try:
            snapshot = load_snapshot(self.path)
            _warm(snapshot)
        except SnapshotError as error:
            # a file that is replaced in this very moment, or could not be opened just now, is looked at again
            may_heal = stamp != _stamp(self.path) or isinstance(error.__cause__, OSError)
            self._seen = None if may_heal else stamp
            if error.message != self.failure:
                log.error("the snapshot was not taken up: %s", error)
            self.failure = error.message
            return False
        except Exception as error:  # nothing that a file holds may end the watch for the next one
            self._seen, self.failure = stamp, f"{type(error).__name__}: {error}"
            log.exception("the snapshot was not taken up")
            return False
        self._seen, self.failure = stamp, None
        if self._served is not None and self._served.snapshot.id == snapshot.id:
            return False
        self._served = Served(snapshot, self._new_answers())
        event(
            "snapshot.swapped",
            status="ok",
            seconds=round(time.monotonic() - started, 3),
            snapshot=snapshot.id,
            created_at=snapshot.created_at,
            model_versions=snapshot.model_versions,
        )
        return True

    async def watch(self) -> None:
        """Refresh until cancelled."""
        while True:
            await asyncio.to_thread(self.refresh)
            await asyncio.sleep(self._poll_seconds)


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:  # not there, or not to be reached now: what stands goes on
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _warm(snapshot: Snapshot) -> None:
    """What the first request would otherwise wait for."""
    for bundle in snapshot.bundles.values():
        bundle.predict(np.full((1, len(bundle.info.features)), np.nan))
    for made_once in ("symbols", "history_positions", "columns", "newest_signals"):
        getattr(snapshot, made_once)

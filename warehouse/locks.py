"""Many readers or one writer: between the threads of a process, and between processes.

DuckDB lets no second process open a file that one process writes, and one process cannot hold a file open read-only and
read-write at once. A `Gate` therefore guards the file with two locks, taken in this order: a `ThreadGate` shared by all
warehouses of the process on that path, and a `filelock.ReadWriteLock` in a file beside it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import ReadWriteLock, Timeout

from market.errors import WarehouseError, WarehouseLockedError


class ThreadGate:
    """Many readers or one writer among the threads of one process; a waiting writer holds back new readers.

    A thread may nest reads. A thread that reads and asks to write, or the reverse, would wait for itself: it gets a
    `WarehouseError` at once.
    """

    def __init__(self) -> None:
        """Start open."""
        self._condition = threading.Condition()
        self._readers: Counter[int] = Counter()
        self._writer: int | None = None
        self._waiting_writers = 0

    def refuse_own_hold(self, wanted: str) -> None:
        """Raise if the calling thread holds this gate in a way that excludes `wanted` (`read` or `write`)."""
        me = threading.get_ident()
        if wanted == "write" and self._readers[me]:
            raise WarehouseError(
                "this thread holds an open read connection and asks to write, which would wait for itself",
                remedy="close the read connection (leave its `with` block) before write() or ensure_schema()",
            )
        if self._writer == me:
            raise WarehouseError(
                f"this thread is inside a write and asks to {wanted}, which would wait for itself",
                remedy="query before or after the write, or give the rows as `Write(sql=...)`",
            )

    @contextmanager
    def read(self, timeout_seconds: float) -> Iterator[None]:
        """Share the gate; raises `TimeoutError` when a writer stays longer than the timeout."""
        self.refuse_own_hold("read")
        me = threading.get_ident()
        with self._condition:
            # A thread that reads already goes through: a writer that waits for it must not make it wait in turn.
            free = self._condition.wait_for(
                lambda: self._writer is None and (not self._waiting_writers or bool(self._readers[me])), timeout_seconds
            )
            if not free:
                raise TimeoutError
            self._readers[me] += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers[me] -= 1
                self._readers += Counter()
                self._condition.notify_all()

    @contextmanager
    def write(self, timeout_seconds: float) -> Iterator[None]:
        """Have the gate alone; raises `TimeoutError` when others stay longer than the timeout."""
        self.refuse_own_hold("write")
        with self._condition:
            self._waiting_writers += 1
            try:
                if not self._condition.wait_for(lambda: self._writer is None and not self._readers, timeout_seconds):
                    raise TimeoutError
                self._writer = threading.get_ident()
            finally:
                self._waiting_writers -= 1
                self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._writer = None
                self._condition.notify_all()


_gates: dict[tuple[int, Path], ThreadGate] = {}
_gates_lock = threading.Lock()


def _thread_gate(path: Path) -> ThreadGate:
    """The one thread gate of a path in this process; a forked child starts with gates of its own."""
    with _gates_lock:
        return _gates.setdefault((os.getpid(), path), ThreadGate())


class Gate:
    """Readers and writers of one warehouse, in this process and in others.

    Args:
        file: The guarded file; its lock lies beside it as `<name>.lock`. None guards threads of this process only.
        timeout_seconds: How long to wait before `WarehouseLockedError`.
    """

    def __init__(self, file: Path | None, timeout_seconds: float) -> None:
        """Nothing is locked or created yet."""
        self._file = file.resolve() if file else None
        self._own_threads = ThreadGate()
        self._timeout_seconds = timeout_seconds

    @property
    def lock_file(self) -> Path | None:
        """The file that processes lock."""
        return self._file.with_name(self._file.name + ".lock") if self._file else None

    def refuse_own_hold(self, wanted: str) -> None:
        """Raise a `WarehouseError` if the calling thread would wait for itself."""
        self._threads.refuse_own_hold(wanted)

    @contextmanager
    def read(self) -> Iterator[None]:
        """Share the warehouse with other readers."""
        with self._held("read"):
            yield

    @contextmanager
    def write(self) -> Iterator[None]:
        """Have the warehouse alone."""
        with self._held("write"):
            yield

    @property
    def _threads(self) -> ThreadGate:
        return _thread_gate(self._file) if self._file else self._own_threads

    @contextmanager
    def _held(self, mode: str) -> Iterator[None]:
        deadline = time.monotonic() + self._timeout_seconds
        enter = self._threads.read if mode == "read" else self._threads.write
        with ExitStack() as held:
            try:
                held.enter_context(enter(self._timeout_seconds))
            except TimeoutError:
                raise self._locked(mode) from None
            lock = self._lock_processes(mode, max(deadline - time.monotonic(), 0.0))
            if lock is not None:
                held.callback(lock.close)
                held.callback(lock.release, force=True)
            yield

    def _lock_processes(self, mode: str, timeout_seconds: float) -> ReadWriteLock | None:
        if self.lock_file is None:
            return None
        try:
            self.lock_file.parent.mkdir(parents=True, exist_ok=True)
            lock = ReadWriteLock(self.lock_file, timeout=timeout_seconds, is_singleton=False)
            if mode == "read":
                lock.acquire_read()
            else:
                lock.acquire_write()
        except Timeout:
            raise self._locked(mode) from None
        except OSError as error:
            raise WarehouseError(
                f"cannot use the lock file {self.lock_file}: {error}",
                remedy="give this user write access to the folder of the warehouse (readers lock it too)",
            ) from error
        return lock

    def _locked(self, mode: str) -> WarehouseLockedError:
        place = f"{self.lock_file}" if self.lock_file else "the in-memory warehouse"
        who = "another process or thread is writing" if mode == "read" else "others still read or write"
        return WarehouseLockedError(
            f"could not lock the warehouse to {mode} within {self._timeout_seconds:g} s: {who} ({place})",
            remedy="wait for the other command to end, or raise warehouse.lock_timeout_seconds; the lock frees itself "
            "when its process ends, so the file never needs to be deleted",
        )

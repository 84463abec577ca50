"""How an event becomes a line, and how lines become a file of bounded size that many processes write to."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout
from pythonjsonlogger.orjson import OrjsonFormatter

from configs.secrets import masker

_ORDER: Final = (
    *("time", "level", "event", "run_id", "profile", "command", "step", "asset_type", "status", "counts", "seconds"),
)
_LONGEST_TEXT: Final = 2000
_LOCK_SECONDS: Final = 2.0


class EventFormatter(OrjsonFormatter):
    """One JSON object a line: the fields of every event first, then its own; no secret in any of them.

    Args:
        always: In every line.
    """

    def __init__(self, always: Mapping[str, str]) -> None:
        """Take the secrets of this moment."""
        super().__init__()
        self._always = dict(always)
        self._mask = masker()

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Fill the line; a record that is no event is a `log` with its message."""
        at = datetime.fromtimestamp(record.created, UTC)
        own = message_dict if isinstance(record.msg, dict) else self._plain(record, message_dict)
        found = {
            "time": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z",
            "level": record.levelname.lower(),
            **self._always,
            **own,
        }
        in_order = [*(name for name in _ORDER if name in found), *(name for name in found if name not in _ORDER)]
        log_data.update({name: self._clean(found[name]) for name in in_order})

    @staticmethod
    def _plain(record: logging.LogRecord, message_dict: dict[str, Any]) -> dict[str, Any]:
        return {"event": "log", "logger": record.name, "message": record.getMessage(), **message_dict}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._mask(value)[:_LONGEST_TEXT]
        if isinstance(value, Mapping):
            return {str(key): self._clean(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(one) for one in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._clean(str(value))


class EventFile(logging.Handler):
    """Appends lines to a file; a file that is full is set aside, and the oldest of those is deleted.

    A line is one write at the file's end, so that processes need not wait for each other; only who sets a file aside
    takes a lock. A file that cannot be written is told once, on standard error.

    Args:
        path: The newest lines; `path.1` has those before.
        most_bytes: Size at which it is set aside.
        kept: Files set aside that are kept.
    """

    def __init__(self, path: Path, most_bytes: int, kept: int) -> None:
        """Nothing is written yet."""
        super().__init__()
        self._path = path
        self._most_bytes = most_bytes
        self._kept = kept
        self._is_told = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            if self._append(f"{self.format(record)}\n".encode()) >= self._most_bytes:
                self._set_aside()
        except (OSError, Timeout, TypeError, ValueError) as error:
            self._tell(error)

    def _append(self, line: bytes) -> int:
        """The file's size afterwards."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        try:
            descriptor = os.open(self._path, flags, 0o640)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, flags, 0o640)
        try:
            os.write(descriptor, line)
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _set_aside(self) -> None:
        with FileLock(self._path.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            if self._path.stat().st_size < self._most_bytes:  # another process was quicker
                return
            for number in range(self._kept, 0, -1):
                newer = self._aside(number - 1) if number > 1 else self._path
                with contextlib.suppress(FileNotFoundError):
                    newer.replace(self._aside(number))

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _tell(self, error: Exception) -> None:
        if not self._is_told:
            self._is_told = True
            sys.stderr.write(f"events are not kept: {type(error).__name__}: {error}\n")

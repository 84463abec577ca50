"""The access log: one JSON object a line, and nothing in it that a client may have put a secret into.

It says the path but neither query nor headers nor body, and the name of a key but never the key. Lines are gathered and
written together: a write a request would cost the service a tenth of its throughput.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import BinaryIO

import orjson
from starlette.types import Scope

CLIENT = "tradehits.client"
KEY_NAME = "tradehits.key"
FLUSH_SECONDS = 0.5
FLUSH_LINES = 512
LONGEST_PATH = 200
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


class AccessLog:
    """Writes lines no later than `FLUSH_SECONDS` after their request.

    Args:
        stream: Where they go.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Nothing is pending."""
        self._stream = stream
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def write(self, scope: Scope, request_id: str, status: int, seconds: float, size: int) -> None:
        """Note one request.

        Args:
            scope: Of the request; the gate left its client and the name of its key there.
            request_id: As the answer's `X-Request-ID` says it.
            status: Of the answer; 0 where none was begun.
            seconds: From the first header to the last byte of the answer.
            size: Bytes of the answer's body.
        """
        path = scope["path"][:LONGEST_PATH]
        line = {
            "at": datetime.now(UTC),
            "request_id": request_id,
            "method": scope["method"],
            "path": path,
            "status": status,
            "milliseconds": int(seconds * 1_000_000) / 1000,
            "bytes": size,
            "client": scope.get(CLIENT, ""),
            "key": scope.get(KEY_NAME, ""),
        }
        try:
            self._lines.append(orjson.dumps(line, option=_OPTIONS))
        except orjson.JSONEncodeError:
            printable = path.encode("ascii", "backslashreplace").decode()
            self._lines.append(orjson.dumps({**line, "path": printable}, option=_OPTIONS))
        if len(self._lines) >= FLUSH_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what is pending."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write(b"".join(lines))
            self._stream.flush()

"""Request rates: the generic cell rate algorithm, its state in a file that all workers of a service map into memory.

One number stands for a client: when its next request would be due if it kept exactly to its rate (ITU-T I.371, the
virtual scheduling form). It needs no timer and no list of past requests. The numbers lie in a table of fixed size,
found by a keyed hash of the client, so that a flood of addresses cannot grow memory; two clients that meet in one place
share a rate, and the secret key keeps anybody from choosing whom to meet.
"""

from __future__ import annotations

import mmap
import os
import secrets
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock

SLOTS = 65_536
_SALT_BYTES = 16
_SIZE = _SALT_BYTES + 8 * SLOTS
_ROUNDING = 1e-9


class RateLimiter:
    """Lets each client send so many requests a minute on average, and a burst after silence.

    Workers write without a lock: two of them that let one client's requests in at the very same moment count one of
    them, which a rate limit can bear.

    Args:
        file: Shared by all workers of a service and made where it is missing; None: this process counts for itself.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Map the table."""
        table = memoryview(bytearray(_SIZE)) if file is None else memoryview(_mapped(file))
        if file is None:
            table[:_SALT_BYTES] = secrets.token_bytes(_SALT_BYTES)
        self._salt = bytes(table[:_SALT_BYTES])
        self._due_at = table[_SALT_BYTES:].cast("d")

    def wait_seconds(self, client: str, per_minute: int, burst_seconds: float, now: float) -> float:
        """Count a request, unless the client has to wait.

        Args:
            client: Whose request; the same text is the same client.
            per_minute: Its rate.
            burst_seconds: So many seconds' worth may come at once after silence; at least one request.
            now: Seconds of a clock that all workers share and that never goes back.

        Returns:
            0.0 if the request is let in and counted, else the seconds after which one would be.
        """
        slot = int.from_bytes(blake2b(client.encode(), digest_size=4, key=self._salt).digest()) % SLOTS
        interval = 60.0 / per_minute
        tolerance = max(burst_seconds - interval, 0.0)
        due_at = self._due_at[slot]
        # A time further ahead than any burst reaches was written before the machine's clock began anew.
        if due_at < now or due_at > now + tolerance + 2 * interval:
            due_at = now
        ahead = due_at - now - tolerance
        if ahead > _ROUNDING:
            return ahead
        self._due_at[slot] = due_at + interval
        return 0.0


def _mapped(file: Path) -> mmap.mmap:
    """The file in memory, with a salt of its own in front; a file of another size is begun anew."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock"), timeout=30):
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(handle).st_size != _SIZE:
                os.ftruncate(handle, 0)
                os.ftruncate(handle, _SIZE)
                os.pwrite(handle, secrets.token_bytes(_SALT_BYTES), 0)
            return mmap.mmap(handle, _SIZE)
        finally:
            os.close(handle)

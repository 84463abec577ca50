"""A service of one's own for a moment: started on a free port, waited for, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.settings import Settings
from market.errors import ServiceError, SnapshotError

START_SECONDS = 90.0
STOP_SECONDS = 15.0
_POLL_SECONDS = 0.2
_SHOWN_LINES = 15


@contextmanager
def running_service(settings: Settings, *, workers: int = 1, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve the profile's snapshot on a free port.

    Args:
        settings: Names profile and snapshot; the rest comes from the environment, as for `tradehits serve`.
        workers: Processes that answer.
        host: Address to bind to.

    Yields:
        Its base address on loopback, once it is ready.

    Raises:
        SnapshotError: If nothing was published yet.
        ServiceError: If it ends or is not ready within `START_SECONDS`.
    """
    if not settings.paths.snapshot_file.exists():
        raise SnapshotError(
            f"profile '{settings.profile}' has no snapshot to serve", remedy="publish one with `tradehits run`"
        )
    base = f"http://127.0.0.1:{_free_port()}"
    settings.paths.cache.mkdir(parents=True, exist_ok=True)
    log = settings.paths.cache / "compat-service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from flows.cli import main; main()", "serve", "--profile", settings.profile),
                *("--host", host, "--port", base.rsplit(":", 1)[1], "--workers", str(workers)),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, base, log)
            yield base
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServiceError(f"the service ended with {process.returncode}: {_tail(log)}", remedy=f"see {log}")
        try:
            with urllib.request.urlopen(f"{base}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(_POLL_SECONDS)
    raise ServiceError(f"the service was not ready within {START_SECONDS:.0f} s: {_tail(log)}", remedy=f"see {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the service and whatever it started: it leads a session of its own."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join(lines[-_SHOWN_LINES:]) or "it said nothing"

"""A headless Chromium for tests of pages, driven over its own protocol; no request of it can leave the machine."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

START_SECONDS = 60
READY_SECONDS = 60
INSIDE = ("file:", "data:", "blob:", "about:", "chrome:", "devtools:", "http://127.0.0.1")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    # What a page asks of another host is told by the browser and fails, with or without a network.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)


@dataclass(frozen=True)
class Seen:
    """What a page was like.

    Attributes:
        answer: What the question in JavaScript gave.
        left: Addresses beyond this machine that the page asked for.
        faults: Exceptions and errors in its console.
        png: The whole page.
    """

    answer: Any
    left: tuple[str, ...]
    faults: tuple[str, ...]
    png: bytes


@dataclass
class Browser:
    """One tab."""

    socket: ClientConnection
    events: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """One command of the DevTools protocol, and its result; events that come before it are kept."""
        self.sent += 1
        self.socket.send(json.dumps({"id": self.sent, "method": method, "params": given}))
        while True:
            told = json.loads(self.socket.recv(timeout=READY_SECONDS))
            if told.get("id") == self.sent:
                assert "error" not in told, told["error"]
                return told["result"]
            self.events.append(told)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def see(self, address: str, *, width: int, dark: bool, ready: str, question: str) -> Seen:
        """Open a page and look at it.

        Args:
            address: Of the page.
            width: Of the window, in CSS pixels; up to 480 it is a phone.
            dark: What the reader's system prefers.
            ready: JavaScript that is true once the page is drawn.
            question: JavaScript whose value is the answer.
        """
        phone = width <= 480
        shown = {"width": width, "height": 844, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", **shown)
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=address)
        self._wait(ready)
        answer, height = self.ask(question), self.ask("document.documentElement.scrollHeight")
        picture = self.call(
            "Page.captureScreenshot",
            format="png",
            captureBeyondViewport=True,
            clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
        )
        return Seen(answer, self._left(), self._faults(), base64.b64decode(picture["data"]))

    def _wait(self, ready: str) -> None:
        end = time.monotonic() + READY_SECONDS
        while not self.ask(f"document.readyState === 'complete' && Boolean({ready})"):
            assert time.monotonic() < end, f"the page never was ready: {self._faults()}"
            time.sleep(0.1)
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def _left(self) -> tuple[str, ...]:
        asked = (one["params"]["request"]["url"] for one in self._of("Network.requestWillBeSent"))
        return tuple(url for url in asked if not url.startswith(INSIDE))

    def _faults(self) -> tuple[str, ...]:
        thrown = [json.dumps(one["params"]["exceptionDetails"]) for one in self._of("Runtime.exceptionThrown")]
        logged = [one["params"]["entry"] for one in self._of("Log.entryAdded")]
        return (*thrown, *(one["text"] for one in logged if one["level"] == "error"))

    def _of(self, method: str) -> Iterator[dict[str, Any]]:
        return (one for one in self.events if one.get("method") == method)


def program() -> str:
    """The browser's executable; without it the tests are skipped loudly, in CI they fail."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        reason = "Pages were NOT looked at: no chromium on PATH; run `apt-get install chromium`"
        sys.stderr.write(f"\n{reason}\n")
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in `folder`; it ends with the block."""
    command = [program(), *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with connect(_tab(folder, process), max_size=None, open_timeout=START_SECONDS) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _tab(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Address of the tab's socket, once the browser has written down where it listens."""
    told, end = folder / "DevToolsActivePort", time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if told.exists() and (lines := told.read_text().splitlines()):
            tabs = httpx.get(f"http://127.0.0.1:{lines[0]}/json/list", timeout=START_SECONDS).json()
            pages = [one["webSocketDebuggerUrl"] for one in tabs if one["type"] == "page"]
            if pages:
                return str(pages[0])
        time.sleep(0.1)
    pytest.fail(f"the browser did not start: {(folder / 'browser.log').read_text()[-2000:]}")

"""Sending one message in a process of its own, which alone knows the channel's URL and ends in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Protocol

from monitoring.delivery_records import Outcome

_OUTCOMES: tuple[Outcome, ...] = ("SENT", "FAILED", "UNKNOWN")


@dataclass(frozen=True)
class Message:
    """What goes to a channel; `severity` is empty for good news, `key` is the same for every attempt."""

    channel: str
    title: str
    body: str
    severity: str
    key: str


@dataclass(frozen=True)
class Answer:
    """How it went; `detail` is a sentence of ours, never a library's."""

    outcome: Outcome
    detail: str = ""


class Sender(Protocol):
    """Something that sends a message within a time, and never raises for what a channel does."""

    def __call__(self, message: Message, deadline_seconds: float) -> Answer:
        """Send it."""
        ...


def send(message: Message, deadline_seconds: float) -> Answer:
    """Send through apprise in a child process; at the deadline it is killed, and the outcome is unknown."""
    request = asdict(message) | {"deadline_seconds": deadline_seconds}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "monitoring.delivery_courier"],
            input=json.dumps(request),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            timeout=deadline_seconds,
            check=False,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )
    except subprocess.TimeoutExpired:
        return Answer("UNKNOWN", f"no answer within {deadline_seconds:g} s")
    except OSError as error:
        return Answer("FAILED", f"the sending process did not start: {error.strerror}")
    if done.returncode < 0:
        return Answer("UNKNOWN", f"the sending process was ended by signal {-done.returncode}")
    return _answer(done.stdout) or Answer("FAILED", f"the sending process failed with exit code {done.returncode}")


def _answer(text: str) -> Answer | None:
    try:
        given = json.loads(text)
    except ValueError:
        return None
    outcome = given.get("outcome")
    return Answer(outcome, str(given.get("detail", ""))) if outcome in _OUTCOMES else None

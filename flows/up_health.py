"""Is a page there, and what does it say? Plain requests, off the event loop."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows.up_programs import Program

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 when nobody answered."""

    status: int
    text: str

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.text)
        except json.JSONDecodeError:
            return None


async def is_well(program: Program, *, since: datetime) -> bool:
    """Whether a program answers; the worker has no page: Prefect's server says whether it reported since its start."""
    if program.name == "worker":
        workers = (await ask(program.health, {})).json()
        return any(_reported(one, since) for one in workers) if isinstance(workers, list) else False
    return (await ask(program.health)).status == 200


def _reported(worker: Any, since: datetime) -> bool:
    last = worker.get("last_heartbeat_time")
    return worker.get("status") == "ONLINE" and last is not None and datetime.fromisoformat(last) >= since


async def ask(url: str, body: Any = None) -> Answer:
    """GET, or POST of JSON when there is a body."""
    return await asyncio.to_thread(_ask, url, body)


def _ask(url: str, body: Any) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy, whatever is set
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return Answer(answer.status, answer.read().decode("utf-8", errors="replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode("utf-8", errors="replace"))
    except (urllib.error.URLError, OSError):
        return Answer(0, "")

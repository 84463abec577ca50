"""Small programs under the supervisor of `up`, in a process of their own: it collects every child of its process.

Run as `python up_driver.py SCENARIO PORT PORT`; the last line of its output is what it saw, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from configs.settings import Settings, load_settings
from flows.up_leftovers import marked
from flows.up_programs import HOME_MARK, PROGRAM_MARK, Name, Program, log_of, mark_of
from flows.up_supervisor import Supervisor
from market.errors import ServiceError

PAGE = (
    "import http.server as h, sys, subprocess as s\n"
    # a worker in a session of its own, as BentoML and Prefect have them
    "s.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
    "a = '127.0.0.1', int(sys.argv[1])\n"
    "h.ThreadingHTTPServer(a, h.SimpleHTTPRequestHandler).serve_forever()"
)
CHATTER = "for number in range(4000): print('line', number, 'x' * 40)"
MAIN: Name = "mlflow"
OTHER: Name = "reports"


def page(settings: Settings, name: Name, port: int) -> Program:
    url = f"http://127.0.0.1:{port}/"
    environment = {**os.environ, HOME_MARK: mark_of(settings), PROGRAM_MARK: name}
    return Program(name, ("-c", PAGE, str(port)), environment, url=url, health=url, address=("127.0.0.1", port))


def once(settings: Settings, text: str) -> Program:
    environment = {**os.environ, HOME_MARK: mark_of(settings), PROGRAM_MARK: "deployments"}
    return Program("deployments", ("-c", text), environment, once=True)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(300):
        if true():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("waited in vain")


class Scenarios:
    """One method each; all get a supervisor whose two pages answer."""

    def __init__(self, settings: Settings, ports: list[int]) -> None:
        self.settings, self.ports, self.said = settings, ports, []  # type: ignore[var-annotated]

    def supervisor(self, *more: Program) -> Supervisor:
        names: tuple[Name, ...] = (MAIN, OTHER)
        pages = [page(self.settings, name, port) for name, port in zip(names, self.ports, strict=True)]
        return Supervisor(self.settings, (*pages, *more), self.said.append)

    async def killed(self, supervisor: Supervisor) -> dict[str, Any]:
        """Both are killed at the same moment, and come back without what they had left."""
        before = [supervisor.pid_of(name) for name in (MAIN, OTHER)]
        for pid in before:
            os.kill(pid or 0, signal.SIGKILL)
        await until(lambda: all(supervisor.pid_of(name) not in (None, *before) for name in (MAIN, OTHER)))
        await until(lambda: all(_is_up(port) for port in self.ports))
        return {"processes": len(list(marked(mark_of(self.settings))))}

    async def given_up(self, supervisor: Supervisor) -> dict[str, Any]:
        """One of them dies again and again; the other stays."""
        while MAIN not in supervisor.given_up:
            await until(lambda: supervisor.pid_of(MAIN) is not None or MAIN in supervisor.given_up)
            if (pid := supervisor.pid_of(MAIN)) is not None:
                await until(lambda: _is_up(self.ports[0]))
                os.kill(pid, signal.SIGKILL)
                await until(lambda pid=pid: supervisor.pid_of(MAIN) != pid)  # type: ignore[misc]
        return {"given_up": sorted(supervisor.given_up), "other": _is_up(self.ports[1])}

    async def rotated(self, supervisor: Supervisor) -> dict[str, Any]:
        await supervisor.run_once("deployments")
        kept = sorted(log_of(self.settings, once(self.settings, "")).parent.glob("deployments.log*"))
        return {"files": [one.name for one in kept], "largest": max(one.stat().st_size for one in kept)}

    async def failing(self, supervisor: Supervisor) -> dict[str, Any]:
        try:
            await supervisor.run_once("deployments")
        except ServiceError as error:
            return {"error": str(error)}
        return {}

    async def left_alone(self, supervisor: Supervisor) -> dict[str, Any]:
        """Say that all is up, and wait for the end that cannot be caught."""
        tell({"up": True})
        await asyncio.sleep(600)
        return {}

    async def interrupted(self, supervisor: Supervisor) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(supervisor.asked_to_stop.wait(), 10)
        return {}


ONCE = {"rotated": CHATTER, "failing": "print('what was wrong'); raise SystemExit(3)"}


def _is_up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def tell(seen: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()


async def main(name: str, ports: list[int]) -> dict[str, Any]:
    settings = load_settings("test")
    scenarios = Scenarios(settings, ports)
    text = ONCE.get(name)
    supervisor = scenarios.supervisor(*([once(settings, text)] if text else []))
    try:
        await supervisor.open()
        await supervisor.start((MAIN, OTHER))
        seen = await getattr(scenarios, name)(supervisor)
    finally:
        await supervisor.stop()
    return {**seen, "said": scenarios.said, "left": len(list(marked(mark_of(settings))))}


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)  # pages list a folder of few files
    tell(asyncio.run(main(sys.argv[1], [int(one) for one in sys.argv[2:]])))

"""Keeps the processes of `up` alive: circus starts, logs and stops them; here stands what happens when one ends.

Circus (https://circus.readthedocs.io) is the process manager that BentoML builds on too. Each process leads a session
of its own, its output goes to a rotated file, and its end is noticed within a second.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flows.up_health import is_well
from flows.up_leftovers import end_marked, marked
from flows.up_output import close_pipes
from flows.up_programs import Name, Program, interpreter, log_of, mark_of
from market.errors import ConfigError, ServiceError

if TYPE_CHECKING:
    from configs.settings import Settings

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_SHOWN_LINES = 12

log = logging.getLogger("tradehits.up")


class Supervisor:
    """All processes of one `up`; to be used inside a running event loop.

    Args:
        settings: Patience, restarts, logs.
        programs: What may be started.
        tell: Takes what a person should know while it runs.
    """

    def __init__(self, settings: Settings, programs: Sequence[Program], tell: Callable[[str], None]) -> None:
        """Prepare; nothing is started. Circus takes the handlers of SIGINT and SIGTERM, so ours are put in after it."""
        from circus.arbiter import Arbiter
        from tornado.ioloop import IOLoop

        self._settings = settings
        self._programs = {one.name: one for one in programs}
        self._tell = tell
        self._ended: dict[Name, deque[float]] = {one.name: deque() for one in programs}
        self._codes: dict[Name, asyncio.Future[int]] = {}
        self._spawned: dict[Name, datetime] = {}
        self._well: set[Name] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._stopping = False
        self.given_up: set[Name] = set()
        self.asked_to_stop = asyncio.Event()
        settings.paths.logs.mkdir(parents=True, exist_ok=True)
        loop = IOLoop.current()
        watchers = [self._watcher(one, loop) for one in programs]
        self._arbiter = Arbiter(
            watchers,
            "inproc://tradehits-up-control",  # no port: nobody else is to command these processes
            "inproc://tradehits-up-events",
            loop=loop,
            check_delay=-1,  # `_watch` looks instead
            proc_name="tradehits up",
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._interrupted)

    async def open(self) -> None:
        """Begin to watch; no process is started yet."""
        await self._arbiter.start()
        self._background(self._watch())

    async def start(self, names: Sequence[Name]) -> None:
        """Start processes and wait until all of them answer.

        Raises:
            ServiceError: One ended, or does not answer within `up.start_seconds`.
        """
        for name in names:
            await self._spawn(name)
        await asyncio.gather(*(self._until_well(self._programs[name]) for name in names))

    async def run_once(self, name: Name) -> None:
        """Start a process that does its work and ends.

        Raises:
            ServiceError: It failed, or took longer than `up.start_seconds`.
        """
        await self._spawn(name)
        try:
            code = await asyncio.wait_for(self._codes[name], self._settings.up.start_seconds)
        except TimeoutError:
            code = None
        if code != 0:
            raise self._failed(self._programs[name], "took too long" if code is None else _said(code))

    async def stop(self, settle: Callable[[], Awaitable[Any]] | None = None) -> None:
        """End everything, and whatever those processes started.

        Args:
            settle: Called when the flows have ended and their server still lives.
        """
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if "worker" in self._programs:
            flows = asyncio.to_thread(end_marked, mark_of(self._settings), "worker", spared=self._pids("worker"))
            await asyncio.gather(flows, self._command(self._arbiter.get_watcher("worker").stop))
        if settle is not None and self._pids("prefect"):
            await settle()
        await self._command(self._arbiter.stop)
        await asyncio.sleep(0)
        left = await asyncio.to_thread(end_marked, mark_of(self._settings))
        if left:
            log.info("ended at the stop: %s", ", ".join(left))

    def has(self, name: Name) -> bool:
        """Whether it is one of the programs."""
        return name in self._programs

    def pid_of(self, name: Name) -> int | None:
        """Process id of a running program."""
        return next(iter(self._pids(name)), None)

    def _pids(self, name: Name) -> frozenset[int]:
        return frozenset(self._arbiter.get_watcher(name).processes)

    def _watcher(self, program: Program, loop: Any) -> Any:
        from circus.stream import FileStream
        from circus.watcher import Watcher

        up = self._settings.up
        file = str(log_of(self._settings, program))
        output = {"stream": FileStream(filename=file, max_bytes=up.log_bytes, backup_count=up.log_files)}

        def ending(*, watcher: Any, process_pid: int, **_: Any) -> bool:
            close_pipes(watcher, process_pid)
            return True

        def ended(*, exit_code: int | None = None, **_: Any) -> bool:
            self._has_ended(program, 0 if exit_code is None else exit_code)
            return True

        return Watcher(
            program.name,
            interpreter(),
            args=[_literal(argument) for argument in program.arguments],
            env=dict(program.environment),
            working_dir=str(self._settings.paths.logs),
            stdout_stream=output,
            stderr_stream=output,
            graceful_timeout=up.stop_seconds,
            autostart=False,
            respawn=False,  # `_start_again` does it, with pauses that grow
            max_retry=1,
            loop=loop,
            hooks={"before_reap": (ending, False), "after_reap": (ended, False)},
        )

    async def _watch(self) -> None:
        """Look for processes that ended, for ever.

        Circus's own periodic look drops a process that dies while it looks, without telling anybody; this part of it
        takes every exit code from the system.
        """
        while True:
            self._arbiter.reap_processes()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _command(self, command: Callable[[], Awaitable[Any]]) -> None:
        """One of circus's commands. It refuses a second one at a time, and lets go of the first a moment late."""
        from circus.exc import ConflictError

        async with self._turn:
            while True:
                try:
                    await command()
                    return
                except ConflictError:
                    await asyncio.sleep(0.01)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        """Nobody awaits these: without this, one that fails would be missed in silence."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("watching the processes failed", exc_info=error)
            self._tell(f"watching the processes failed: {error!r}; stopping")
            self.given_up.update(self._well)
            self.asked_to_stop.set()

    async def _spawn(self, name: Name) -> None:
        self._codes[name] = asyncio.get_running_loop().create_future()
        self._spawned[name] = datetime.now(UTC)
        await self._command(self._arbiter.get_watcher(name).start)
        if not self._pids(name) and not self._codes[name].done():
            raise ServiceError(f"{name} could not be started", remedy=f"see {self._log(self._programs[name])}")
        log.info("%s started as process %s", name, self.pid_of(name))

    async def _until_well(self, program: Program) -> None:
        patience = time.monotonic() + self._settings.up.start_seconds
        code = self._codes[program.name]
        while not await is_well(program, since=self._spawned[program.name]):
            if code.done():
                raise self._failed(program, _said(code.result()))
            if time.monotonic() > patience:
                raise self._failed(program, f"did not answer within {self._settings.up.start_seconds:.0f} s")
            await asyncio.wait([code], timeout=_LOOK_SECONDS)
        self._well.add(program.name)
        log.info("%s is well", program.name)

    def _has_ended(self, program: Program, code: int) -> None:
        """Told by circus for every process that ended."""
        future = self._codes[program.name]
        if not future.done():
            future.set_result(code)
        log.info("%s %s", program.name, _said(code))
        if not self._stopping and program.name in self._well:
            self._background(self._start_again(program, code))

    async def _start_again(self, program: Program, code: int) -> None:
        """Start a process that was well and ended, after what it left behind was ended too, or give it up."""
        up, ended = self._settings.up, self._ended[program.name]
        now = time.monotonic()
        ended.append(now)
        while ended and ended[0] < now - up.restart_window_seconds:
            ended.popleft()
        if len(ended) > up.restarts:
            self.given_up.add(program.name)
            self._say(f"{program.name} {_said(code)}, {len(ended)} times now: given up, see {self._log(program)}")
            return
        wait = min(FIRST_WAIT_SECONDS * 2 ** (len(ended) - 1), LONGEST_WAIT_SECONDS)
        self._say(f"{program.name} {_said(code)}: started again in {wait:.0f} s ({len(ended)} of {up.restarts})")
        if program.name != "worker":  # its flows report to the server by themselves, and may end in peace
            await asyncio.to_thread(end_marked, mark_of(self._settings), program.name)
        await asyncio.sleep(wait)
        try:
            await self._spawn(program.name)
            await self._until_well(program)
        except ServiceError as error:
            self._say(error.message)
            if not self._codes[program.name].done():
                return  # it runs and does not answer: circus will tell when it ends
            await self._start_again(program, self._codes[program.name].result())

    def _failed(self, program: Program, said: str) -> ServiceError:
        file = log_of(self._settings, program)
        lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines() if file.exists() else []
        tail = "".join(f"\n  | {line}" for line in lines[-_SHOWN_LINES:])
        return ServiceError(f"{program.name} {said}{':' if tail else ''}{tail}", remedy=f"see {file}")

    def _log(self, program: Program) -> str:
        return str(log_of(self._settings, program))

    def _say(self, text: str) -> None:
        log.warning(text)
        self._tell(text)

    def _interrupted(self) -> None:
        """The first signal asks to stop; another one ends everything at once."""
        if not self.asked_to_stop.is_set():
            self.asked_to_stop.set()
            return
        for process in marked(mark_of(self._settings)):
            process.kill()


def _literal(argument: str) -> str:
    """Circus would fill in `$(name)` and `((name))`.

    Raises:
        ConfigError: A folder's name holds one of them.
    """
    if "$(" in argument or "((" in argument:
        raise ConfigError(f"'{argument}' holds '$(' or '(('", remedy="set TRADEHITS_HOME to a folder without them")
    return argument


def _said(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"

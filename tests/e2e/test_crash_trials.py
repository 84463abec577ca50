"""Every scheduled flow, killed with SIGKILL at random moments and run again, leaves what an undisturbed run leaves."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import polars as pl
import pytest

import tests.e2e.crash_trial as trial

MOMENTS = int(os.environ.get("CRASH_MOMENTS", "20"))
SEED = int(os.environ.get("CRASH_SEED", "29"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes forked from one that has imported everything and opened nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.e2e.crash_trial"])
    return context


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with champions, a day's predictions, monitoring and backtests, to be put where it was made."""
    folder = tmp_path_factory.mktemp("crashes")
    trial.prepare(folder / "home")
    (folder / "home").rename(folder / "prepared")
    return folder


class Trials:
    """One flow's home, and what an undisturbed run makes of it."""

    def __init__(self, processes: ForkServerContext, folder: Path, flow: str) -> None:
        self._processes = processes
        self._flow = flow
        self._home = folder / "home"  # MLflow's database holds absolute paths: each trial happens at the same place
        self._base = folder / f"base-{flow}"
        self._put(folder / "prepared")
        trial.make_ready(flow, self._home)
        shutil.rmtree(self._base, ignore_errors=True)
        self._home.rename(self._base)
        self._put(self._base)
        self._before = trial.contents(flow, self._home)
        process, ready = self._start()
        self._seconds: float = ready.recv()
        process.join()
        self._wanted, self._broken = trial.contents(flow, self._home), trial.broken(self._home)
        self._hashes = {name: trial.content_hash(rows) for name, rows in self._wanted.items()}

    @property
    def seconds(self) -> float:
        """How long an undisturbed run takes."""
        return self._seconds

    def changes_tables(self) -> bool:
        """Whether an undisturbed run leaves anything to compare."""
        return any(not rows.equals(self._before[name]) for name, rows in self._wanted.items())

    def kill_at(self, share: float) -> bool:
        """Kill a run after a share of its time and run it again; False when it was over before."""
        self._put(self._base)
        process, ready = self._start()
        finished = ready.poll(share * self._seconds)
        if not finished:
            os.killpg(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
        process.join()
        if process.exitcode != -signal.SIGKILL:
            return False
        self._run_again(f"killed after {share:.0%}")
        return True

    def at_once(self) -> None:
        """Two instances at the same time: one after the other, and both succeed."""
        self._put(self._base)
        running = [self._start(), self._start()]
        for process, ready in running:
            ready.recv()
            process.join()
            assert process.exitcode == 0
        self._compare("two at once")

    def _run_again(self, what: str) -> None:
        process, ready = self._start()
        try:
            ready.recv()
        except EOFError:
            pytest.fail(f"{self._flow}, {what}: the next run failed; its traceback stands on standard error")
        process.join()
        self._compare(what)

    def _compare(self, what: str) -> None:
        found = trial.contents(self._flow, self._home)
        unlike = [name for name, wanted in self._hashes.items() if trial.content_hash(found[name]) != wanted]
        told = "\n".join(f"{name}: {first_difference(found[name], self._wanted[name])}" for name in unlike)
        assert not unlike, f"{self._flow}, {what}:\n{told}"
        assert trial.broken(self._home) == self._broken, f"{self._flow}, {what}"

    def _start(self) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._processes.Pipe(duplex=False)
        process = self._processes.Process(target=trial.work, args=(theirs, self._flow, self._home))
        process.start()
        theirs.close()
        ours.recv()  # it leads its group, and begins
        return process, ours

    def _put(self, what: Path) -> None:
        shutil.rmtree(self._home, ignore_errors=True)
        shutil.copytree(what, self._home)


def first_difference(found: pl.DataFrame, wanted: pl.DataFrame) -> str:
    """For people: row counts and the first rows that are on one side only."""
    sides = [(f"{len(found)} rows, {len(wanted)} wanted",)]
    for name, ours, theirs in (("too much", found, wanted), ("missing", wanted, found)):
        rows = ours.join(theirs, on=ours.columns, how="anti", nulls_equal=True)
        sides.append((f"{name} {len(rows)}", *(str(row) for row in rows.head(2).iter_rows())))
    return "\n  ".join(text for side in sides for text in side)


@pytest.fixture(params=list(trial.FLOWS))
def trials(request: pytest.FixtureRequest, processes: ForkServerContext, prepared: Path) -> Iterator[Trials]:
    yield Trials(processes, prepared, request.param)
    shutil.rmtree(prepared / f"base-{request.param}")


def test_a_flow_killed_at_random_moments_is_completed_by_the_next_run(
    trials: Trials, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trials.changes_tables()
    moments, killed, started = random.Random(SEED), 0, time.monotonic()
    for _ in range(3 * MOMENTS + 10):
        killed += trials.kill_at(moments.uniform(0.0, 1.0))
        if killed == MOMENTS:
            break
    assert killed == MOMENTS, "the flow ends before it can be killed"
    with capsys.disabled():
        spent = time.monotonic() - started
        print(f"\n{killed} kills of a flow of {trials.seconds:.1f} s in {spent:.0f} s")  # noqa: T201


def test_two_instances_at_once_leave_what_one_leaves(trials: Trials) -> None:
    trials.at_once()

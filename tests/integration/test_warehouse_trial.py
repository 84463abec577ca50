"""Writers, readers and a feature build at once, and kill -9 at random moments: nothing lost, nothing doubled."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

import tests.integration.incremental_market as market
import tests.integration.warehouse_trial as trial

PATHS = ("ingest", "features", "publish", "compact", "migrate")
WRITERS, READERS = ("w0", "w1"), 4


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that start in milliseconds, forked from one that has imported everything and opened nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.integration.warehouse_trial", "sqlglot", "xgboost"])
    return context


Start = Callable[..., tuple[BaseProcess, Any]]


@pytest.fixture
def start(processes: ForkServerContext, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    started: list[BaseProcess] = []

    def begin(work: Callable[..., None], *given: object) -> tuple[BaseProcess, Any]:
        ours, theirs = processes.Pipe(duplex=False)
        process = processes.Process(target=work, args=(theirs, *given))
        process.start()
        theirs.close()
        started.append(process)
        return process, ours

    yield begin
    for process in started:
        process.kill()
        process.join()


def at_once(start: Start, folder: Path, *, writes: int, reads: int, days: int) -> int:
    """Run everything at once and check what is there at the end; returns the number of operations."""
    lengths = {"A/USD": 300 + days, "B/USD": 280 + days, "C/USD": 250 + days}
    bars = market.bars(lengths, end_day=1500, seed=5)
    last = bars["datetime"].unique().sort().tail(days)
    warehouse, own = trial.on_file(folder), trial.settings()
    warehouse.ensure_schema()
    market.ingest(warehouse, own, bars.filter(~bars["datetime"].is_in(last.implode())))
    market.features(warehouse, own)
    running = [start(trial.write_much, folder, name, writes) for name in WRITERS]
    running += [start(trial.read_much, folder, reads) for _ in range(READERS)]
    running.append(start(trial.build_much, folder, bars.filter(bars["datetime"].is_in(last.implode()))))
    done = 0
    for process, results in running:
        done += results.recv()  # EOFError: the process failed, its traceback stands on standard error
        process.join()
        assert process.exitcode == 0
    expected = sorted(row for name in WRITERS for row in trial.expected_rows(name, writes))
    for table, key, version in ((trial.LOG, "deployment_id", "version"), (trial.EVENTS, "event_id", "event_type")):
        found = warehouse.query(f"SELECT {key} AS id, {version} AS version FROM `{table}`").to_pylist()
        assert sorted((row["id"], row["version"]) for row in found) == expected, "lost, doubled or stale rows"
    whole = market.scratch(own)
    market.ingest(whole, own, bars)
    market.features(whole, own)
    market.assert_same_tables(warehouse, whole)
    return done


def test_writers_readers_and_the_feature_build_share_one_file(start: Start, tmp_path: Path) -> None:
    assert at_once(start, tmp_path, writes=8, reads=12, days=2) == 16 + 48 + 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_thousand_operations_lose_and_double_nothing(start: Start, tmp_path: Path) -> None:
    assert at_once(start, tmp_path, writes=400, reads=320, days=30) == 800 + 1280 + 60


# --- kill -9 ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "warehouse"
    trial.prepare(folder)
    return folder


class Killing:
    """Kills one write path at random moments and checks what it leaves."""

    def __init__(self, start: Start, prepared: Path, folder: Path, path: str, seed: int) -> None:
        self._start = start
        self._folder = folder
        self._path = path
        self._random = random.Random(seed)
        shutil.copytree(prepared, folder / "base")
        trial.make_ready(path, folder / "base")
        self._wanted, self._seconds = self._unkilled()

    def kill(self, times: int) -> int:
        """Kill so many runs; returns how many of them had already changed the tables."""
        kills = changed = attempts = 0
        while kills < times:
            attempts += 1
            folder = self._copy(f"kill-{attempts}")
            process, ready = self._start(trial.work, self._path, folder)
            ready.recv()
            finished = ready.poll(self._random.uniform(0, self._seconds))
            os.kill(process.pid, signal.SIGKILL) if not finished else process.join()  # type: ignore[arg-type]
            process.join()
            if process.exitcode == -signal.SIGKILL:
                kills += 1
                changed += self._check(folder)
            shutil.rmtree(folder)
            assert attempts < 10 * times + 20, "the path ends before it can be killed"
        return changed

    def _check(self, folder: Path) -> bool:
        """Whole after the kill; as wanted after a second run; and nothing lies about."""
        survivor = trial.on_file(folder)
        if self._path == "migrate":
            survivor.ensure_schema()
        after = trial.contents(survivor)
        trial.run_path(self._path, survivor)
        found = trial.contents(survivor)
        for table, rows in self._wanted.items():
            assert found[table].equals(rows), f"{self._path}: {table} after a second run"
        left = sorted(path.name for path in folder.iterdir() if path.name != "warehouse.duckdb.wal")
        assert left == ["staging", "warehouse.duckdb", "warehouse.duckdb.lock"]
        return any(not after[table].equals(rows) for table, rows in found.items())

    def _unkilled(self) -> tuple[dict[str, Any], float]:
        folder = self._copy("unkilled")
        process, ready = self._start(trial.work, self._path, folder)
        ready.recv()
        seconds = ready.recv()
        process.join()
        return trial.contents(trial.on_file(folder)), seconds

    def _copy(self, name: str) -> Path:
        target = self._folder / name
        shutil.copytree(self._folder / "base", target)
        return target


@pytest.mark.parametrize("path", PATHS)
def test_a_write_path_killed_at_a_random_moment_leaves_what_a_second_run_completes(
    start: Start, prepared: Path, tmp_path: Path, path: str
) -> None:
    Killing(start, prepared, tmp_path, path, seed=3).kill(1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", PATHS)
def test_a_hundred_kills_corrupt_nothing(start: Start, prepared: Path, tmp_path: Path, path: str) -> None:
    Killing(start, prepared, tmp_path, path, seed=29).kill(100 // len(PATHS))

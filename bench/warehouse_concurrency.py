"""Benchmark `warehouse_concurrency`: writers and readers of several processes on one file, and no row lost or doubled.

The peers do the same work on the same rows: plain DuckDB, where each operation opens the file and tries again while
another process holds it; and SQLite with a write-ahead log, which is made for many processes.
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import polars as pl

from bench.measure import Comparison, Measure, growth_exponent

NAME = "warehouse_concurrency"
WRITERS, READERS = 2, 4
ROWS = 1_000
"""Rows a write: half of them new, half of them again in a new version, as a day with corrections."""
STORED = 200_000
"""Rows that are there before: readers aggregate a table of a warehouse's size, writers merge into it."""
OPERATIONS = {"small": 120, "full": 2_000}
"""Of all processes together: a third are writes."""

_SUMMARY = (
    "SELECT symbol, COUNT(*) AS n, AVG(price_factor) AS mean FROM {table} GROUP BY symbol ORDER BY n DESC LIMIT 5"
)
_COUNTS = (
    "SELECT COUNT(*) AS n, (SELECT COUNT(*) FROM (SELECT DISTINCT symbol, event, effective_at FROM {table})) AS keys "
    "FROM {table}"
)
_PATIENCE_SECONDS = 0.002


@dataclass(frozen=True)
class Trial:
    """One engine under load; `lost` and `doubled` count rows against what the writers wrote."""

    measure: Measure
    operations: int
    lost: int
    doubled: int

    @property
    def found(self) -> str:
        return f"{self.operations / self.measure.seconds:,.0f} op/s, {self.lost} lost, {self.doubled} doubled"


def run(size: str) -> Iterator[Comparison]:
    """All engines at N operations, ours at N / 4 for the growth."""
    operations = OPERATIONS[size]
    quarter, ours = (_trial(Ours, count) for count in (operations // 4, operations))
    growth = growth_exponent(quarter.measure, ours.measure, ours.operations / quarter.operations)
    label = f"{size}: {ours.operations:,} operations of {WRITERS} writers and {READERS} readers"
    for name, engine in (("DuckDB, opened and retried", Retried), ("SQLite with WAL", Sqlite)):
        theirs = _trial(engine, operations)
        note = f"ours {ours.found}; peer {theirs.found}"
        yield Comparison(NAME, label, ours.measure, name, theirs.measure, growth, note)


class Ours:
    """The embedded warehouse."""

    def __init__(self, folder: Path) -> None:
        from bench.warehouses import open_at

        self._warehouse = open_at(folder)

    def create(self) -> None:
        self._warehouse.ensure_schema()

    def write(self, rows: pl.DataFrame) -> None:
        from warehouse.warehouse import Write

        whole = rows.with_columns(
            asset_type=pl.lit("crypto"), source=pl.lit("bench"), recorded_at=pl.col("effective_at")
        )
        self._warehouse.write([Write("tradehits.symbol_events", rows=whole.to_arrow(), mode="merge")])

    def read(self) -> None:
        self._warehouse.query(_SUMMARY.format(table="`tradehits.symbol_events`"))

    def counts(self) -> tuple[int, int]:
        row = self._warehouse.query(_COUNTS.format(table="`tradehits.symbol_events`")).to_pylist()[0]
        return row["n"], row["keys"]


class Retried:
    """Plain DuckDB: one process has the file at a time, the others try again."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "peer.duckdb"

    def create(self) -> None:
        with closing(self._open(read_only=False)) as connection:
            connection.execute(
                "CREATE TABLE events (symbol VARCHAR, event VARCHAR, effective_at TIMESTAMPTZ, price_factor DOUBLE)"
            )

    def write(self, rows: pl.DataFrame) -> None:
        with closing(self._open(read_only=False)) as connection:
            connection.register("staged", rows.to_arrow())
            connection.execute("BEGIN")
            connection.execute(
                "DELETE FROM events AS old USING staged AS new WHERE old.symbol = new.symbol "
                "AND old.event = new.event AND old.effective_at = new.effective_at"
            )
            connection.execute("INSERT INTO events SELECT symbol, event, effective_at, price_factor FROM staged")
            connection.execute("COMMIT")

    def read(self) -> None:
        with closing(self._open(read_only=True)) as connection:
            connection.execute(_SUMMARY.format(table="events")).fetchall()

    def counts(self) -> tuple[int, int]:
        with closing(self._open(read_only=True)) as connection:
            return connection.execute(_COUNTS.format(table="events")).fetchone()

    def _open(self, *, read_only: bool) -> Any:
        import duckdb

        while True:
            try:
                return duckdb.connect(str(self._file), read_only=read_only, config={"threads": "2"})
            except duckdb.IOException:
                time.sleep(random.uniform(0.5, 1.5) * _PATIENCE_SECONDS)


class Sqlite:
    """SQLite, readers beside one writer."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "peer.sqlite"

    def create(self) -> None:
        with closing(self._open()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(
                "CREATE TABLE events (symbol TEXT, event TEXT, effective_at INTEGER, price_factor REAL, "
                "PRIMARY KEY (symbol, event, effective_at))"
            )

    def write(self, rows: pl.DataFrame) -> None:
        values = rows.with_columns(pl.col("effective_at").dt.epoch("s")).rows()
        with closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?)", values)
            connection.execute("COMMIT")

    def read(self) -> None:
        with closing(self._open()) as connection:
            connection.execute(_SUMMARY.format(table="events")).fetchall()

    def counts(self) -> tuple[int, int]:
        keys = "SELECT COUNT(*) FROM (SELECT DISTINCT symbol, event, effective_at FROM events)"
        with closing(self._open()) as connection:
            return tuple(connection.execute(f"SELECT (SELECT COUNT(*) FROM events), ({keys})").fetchone())

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=600, isolation_level=None)


Engine = type[Ours] | type[Retried] | type[Sqlite]


def _trial(engine: Engine, operations: int) -> Trial:
    """Run every process from one starting signal to the last one's end; peak memory is the sum of their peaks."""
    writes = operations // 3 // WRITERS
    reads = (operations - writes * WRITERS) // READERS
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        folder = Path(root)
        engine(folder).create()
        engine(folder).write(events("stored", 0, STORED, 0))
        started = [_start(context, write_all, engine, folder, name, writes) for name in range(WRITERS)]
        started += [_start(context, read_all, engine, folder, 0, reads) for _ in range(READERS)]
        for _, pipe in started:
            pipe.recv()
        start = time.perf_counter()
        for _, pipe in started:
            pipe.send("go")
        peaks = [pipe.recv() for _, pipe in started]
        seconds = time.perf_counter() - start
        for process, _ in started:
            process.join()
        rows, keys = engine(folder).counts()
    wanted = STORED + WRITERS * (writes + 1) * ROWS // 2
    done = writes * WRITERS + reads * READERS
    return Trial(Measure(seconds, sum(peaks)), done, lost=wanted - keys, doubled=rows - keys)


def events(name: str, first: int, count: int, version: int) -> pl.DataFrame:
    """`symbol`, `event`, `effective_at`, `price_factor`; rows of one name and number have one key in every version."""
    number = pl.int_range(first, first + count, eager=True)
    return pl.DataFrame(
        {
            "symbol": pl.select(pl.format("S{}", number % 97)).to_series(),
            "event": [name] * count,
            "effective_at": pl.from_epoch(number, time_unit="s").dt.replace_time_zone("UTC").dt.cast_time_unit("us"),
            "price_factor": version + number / 7,
        }
    )


def _start(context: Any, work: Callable[..., None], *given: Any) -> tuple[Any, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, *given))
    process.start()
    theirs.close()
    return process, ours


def write_all(pipe: Connection, engine: Engine, folder: Path, name: int, operations: int) -> None:
    opened = engine(folder)
    opened.read()
    _wait(pipe)
    for operation in range(operations):
        opened.write(events(str(name), operation * ROWS // 2, ROWS, operation))
    pipe.send(_peak_mib())


def read_all(pipe: Connection, engine: Engine, folder: Path, _: int, operations: int) -> None:
    opened = engine(folder)
    opened.read()
    _wait(pipe)
    for _ in range(operations):
        opened.read()
    pipe.send(_peak_mib())


def _wait(pipe: Connection) -> None:
    """Say that everything is loaded, and wait for the common start."""
    pipe.send("ready")
    pipe.recv()


def _peak_mib() -> float:
    """Of this process alone: `ru_maxrss` would start at the size of the process that began this one."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 2**10

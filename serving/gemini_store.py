"""Gemini's answers and the day's budget in a SQLite file of their own, shared by every process of a profile.

The file keeps what was paid for: a question that was answered is not asked again. Any number of processes together keep
to the day's budget, because each request reserves its highest possible cost in the transaction that checks the limit.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from market.errors import GeminiStoreError
from serving.gemini_records import NANO_USD, Call, Key, Reservation, Spent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configs.settings import Settings

VERSION: Final = 1

_TABLES = """
CREATE TABLE calls (
  call_id TEXT PRIMARY KEY, called_at TEXT NOT NULL, asset_type TEXT NOT NULL, symbol TEXT NOT NULL,
  datetime TEXT NOT NULL, model TEXT NOT NULL, prompt_hash TEXT NOT NULL, status TEXT NOT NULL, prediction TEXT,
  confidence REAL, reasoning TEXT, risk_level TEXT, latency_seconds REAL, input_tokens INTEGER, output_tokens INTEGER,
  cost_usd REAL, error TEXT, attempts INTEGER NOT NULL, facts TEXT NOT NULL, traced INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX answers ON calls (symbol, datetime, model, prompt_hash, asset_type, called_at) WHERE status = 'ok';
CREATE INDEX by_time ON calls (called_at);
CREATE INDEX untraced ON calls (called_at) WHERE traced = 0;
CREATE TABLE budget (day TEXT PRIMARY KEY, calls INTEGER NOT NULL, nano_usd INTEGER NOT NULL) STRICT;
"""


COLUMNS: Final = tuple(field.name for field in fields(Call))
_TIMES = frozenset(("called_at", "datetime"))


class GeminiStore:
    """One process's door to the file; safe to use from several threads.

    A killed process loses nothing. Its open reservations stay counted at their highest cost, so the limit holds.
    """

    def __init__(self, path: Path, *, timeout_seconds: float) -> None:
        """Open the file, with its tables.

        Raises:
            GeminiStoreError: It is damaged, forbidden, busy for longer than the timeout, or of a newer version.
        """
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._named_errors():
            self._connection = sqlite3.connect(
                path, timeout=timeout_seconds, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            try:
                self._prepare()
            except (sqlite3.Error, GeminiStoreError):
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def answers(self, keys: Sequence[Key]) -> list[Call | None]:
        """The newest answer to each question, None where there is none."""
        statement = (
            f"SELECT {', '.join(COLUMNS)} FROM calls WHERE status = 'ok' AND symbol = ? AND datetime = ? AND model = ?"
            " AND prompt_hash = ? AND asset_type = ? ORDER BY called_at DESC LIMIT 1"
        )
        with self._transaction("DEFERRED") as connection:
            found = [
                connection.execute(
                    statement, (key.symbol, _text(key.datetime), key.model, key.prompt_hash, key.asset_type)
                ).fetchone()
                for key in keys
            ]
        return [None if row is None else _call(row) for row in found]

    def reserve(self, now: dt.datetime, nano_usd: int, *, daily_calls: int, daily_nano_usd: int) -> Reservation | None:
        """Set one request and its highest cost aside on the day of `now`; None when a limit would be passed."""
        day = now.astimezone(dt.UTC).date().isoformat()
        with self._transaction("IMMEDIATE") as connection:
            connection.execute("INSERT INTO budget VALUES (?, 0, 0) ON CONFLICT DO NOTHING", (day,))
            done = connection.execute(
                "UPDATE budget SET calls = calls + 1, nano_usd = nano_usd + :cost"
                " WHERE day = :day AND calls < :calls AND nano_usd + :cost <= :money",
                {"day": day, "cost": nano_usd, "calls": daily_calls, "money": daily_nano_usd},
            )
        return Reservation(day, nano_usd) if done.rowcount else None

    def settle(self, reservation: Reservation, nano_usd: int) -> None:
        """Put the real cost in the place of the reserved one."""
        with self._transaction("IMMEDIATE") as connection:
            _settle(connection, reservation, nano_usd)

    def record(self, call: Call, reservation: Reservation | None = None, nano_usd: int = 0) -> None:
        """Keep a question's end; with a reservation, settle that in the same transaction."""
        values = [_text(value) if name in _TIMES else value for name, value in _pairs(call)]
        marks = ", ".join("?" * len(COLUMNS))
        with self._transaction("IMMEDIATE") as connection:
            connection.execute(f"INSERT INTO calls ({', '.join(COLUMNS)}) VALUES ({marks})", values)
            if reservation is not None:
                _settle(connection, reservation, nano_usd)

    def spent(self, now: dt.datetime) -> Spent:
        """What the day of `now` has cost so far."""
        day = now.astimezone(dt.UTC).date().isoformat()
        with self._transaction("DEFERRED") as connection:
            row = connection.execute("SELECT calls, nano_usd FROM budget WHERE day = ?", (day,)).fetchone()
        return Spent(0, 0.0) if row is None else Spent(row["calls"], row["nano_usd"] / NANO_USD)

    def calls_since(self, since: dt.datetime | None) -> list[Call]:
        """Calls that began at or after an instant, oldest first; None: all."""
        return self._select("WHERE called_at >= ? ORDER BY called_at, call_id", (_text(since) if since else "",))

    def untraced(self, limit: int) -> list[Call]:
        """The oldest calls without a trace."""
        return self._select("WHERE traced = 0 ORDER BY called_at, call_id LIMIT ?", (limit,))

    def mark_traced(self, call_ids: Iterable[str]) -> None:
        """Remember that these calls have a trace."""
        with self._transaction("IMMEDIATE") as connection:
            connection.executemany("UPDATE calls SET traced = 1 WHERE call_id = ?", [(name,) for name in call_ids])

    def _select(self, rest: str, values: tuple[Any, ...]) -> list[Call]:
        with self._transaction("DEFERRED") as connection:
            return [_call(row) for row in connection.execute(f"SELECT {', '.join(COLUMNS)} FROM calls {rest}", values)]

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        # a power cut may lose the last moments, never the file; every request would wait for the disk otherwise
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("BEGIN IMMEDIATE")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            self._connection.execute("ROLLBACK")
            raise GeminiStoreError(
                f"{self._path} was written by a newer version ({version}, known {VERSION})", remedy="update TradeHits"
            )
        if version == 0:
            for statement in _TABLES.strip().split(";\n"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {VERSION}")
        self._connection.execute("COMMIT")

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._named_errors():
            self._connection.execute(f"BEGIN {kind}")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise GeminiStoreError(
                f"the store of Gemini's calls {self._path} cannot be used: {error}",
                remedy="check the folder's permissions and disk; a damaged file may be moved away, its answers are "
                "also in tradehits.gemini_calls",
            ) from error


def stored_calls(settings: Settings, since: dt.datetime | None = None) -> list[Call]:
    """Calls of the profile that began at or after an instant, oldest first; None: all. Empty before the first call.

    Raises:
        GeminiStoreError: As `GeminiStore`.
    """
    if not settings.paths.gemini_file.exists():
        return []
    with closing(open_store(settings)) as store:
        return store.calls_since(since)


def open_store(settings: Settings) -> GeminiStore:
    """The profile's store.

    Raises:
        GeminiStoreError: As `GeminiStore`.
    """
    return GeminiStore(settings.paths.gemini_file, timeout_seconds=settings.gemini.store_timeout_seconds)


def _settle(connection: sqlite3.Connection, reservation: Reservation, nano_usd: int) -> None:
    connection.execute(
        "UPDATE budget SET nano_usd = nano_usd + ? WHERE day = ?", (nano_usd - reservation.nano_usd, reservation.day)
    )


def _pairs(call: Call) -> list[tuple[str, Any]]:
    return [(name, getattr(call, name)) for name in COLUMNS]


def _call(row: sqlite3.Row) -> Call:
    values: dict[str, Any] = {name: row[name] for name in COLUMNS}
    return Call(**values | {name: dt.datetime.fromisoformat(row[name]) for name in _TIMES})


def _text(instant: dt.datetime) -> str:
    """UTC with microseconds, so that text sorts like time."""
    return instant.astimezone(dt.UTC).isoformat(timespec="microseconds")

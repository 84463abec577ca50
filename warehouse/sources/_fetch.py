"""What sources on the network share: retries within a deadline, pages that stay on disk, and unfinished bars."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from configs.settings import Settings
from market.bars import PRICES
from market.errors import SourceError
from market.sessions import UTC_INSTANT, known_at_or_null

T = TypeVar("T")
log = logging.getLogger(__name__)

PAGE_SCHEMA = pl.Schema({"datetime": UTC_INSTANT} | {name: pl.Float64() for name in (*PRICES, "volume")})
"""Bars of one symbol as they were fetched; checked only when they are read."""

_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0


class TransientError(Exception):
    """An answer that may be better the next time: 429, 5xx, or none in time.

    Args:
        what: What happened, for messages.
        retry_after_seconds: As the server asks; None when it does not.
    """

    def __init__(self, what: str, *, retry_after_seconds: float | None = None) -> None:
        """Keep the wait apart from the text."""
        super().__init__(what)
        self.retry_after_seconds = retry_after_seconds


@dataclass
class Patience:
    """Tries requests again with growing waits, until attempts or time run out.

    Attributes:
        attempts: Of one request.
        deadline_seconds: Of all requests together, from construction on.
        pause_seconds: Least time between two requests.
        sleep: Waits; replaced in tests.
        monotonic: Seconds on a clock that never goes back; replaced in tests.
    """

    attempts: int
    deadline_seconds: float
    pause_seconds: float = 0.0
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    _started: float = field(init=False)
    _next_request: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self._next_request = self.monotonic()

    def call(self, request: Callable[[], T], *, what: str) -> T:
        """Answer of a request.

        Args:
            request: Raises `TransientError` when another try may help; other errors pass through at once.
            what: Whose request, for messages.

        Raises:
            SourceError: No attempt succeeded, or the deadline is nearer than the next attempt.
        """
        for attempt in range(1, self.attempts + 1):
            self._wait(self._next_request - self.monotonic(), what=what, reason="the pause between requests")
            self._next_request = self.monotonic() + self.pause_seconds
            try:
                return request()
            except TransientError as fault:
                if attempt == self.attempts:
                    raise SourceError(
                        f"{what}: {fault} ({attempt} attempts)",
                        remedy="run again later: what was fetched stays; attempts and timeout_seconds can be raised",
                    ) from fault
                wait = fault.retry_after_seconds
                if wait is None:
                    wait = min(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1), _LONGEST_WAIT_SECONDS)
                log.warning("%s: %s; next attempt in %.0f s", what, fault, wait)
                self._wait(wait, what=what, reason=str(fault))
        raise AssertionError("unreachable: attempts is at least 1")

    def _wait(self, seconds: float, *, what: str, reason: str) -> None:
        left = self._started + self.deadline_seconds - self.monotonic()
        if max(seconds, 0) >= left:
            raise SourceError(
                f"{what}: {self.deadline_seconds:g} s are over ({reason})",
                remedy="run again: what was fetched stays; deadline_seconds can be raised",
            )
        if seconds > 0:
            self.sleep(seconds)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds of a header Retry-After; None without one, or when it is a date."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(value) if value.strip().isdigit() else None


@dataclass(frozen=True)
class PageStore:
    """Fetched pages in a folder of the cache: written at once or not at all; a damaged one counts as absent."""

    folder: Path

    def read(self, name: str) -> tuple[pl.DataFrame, dict[str, str]] | None:
        """A page and its notes, or None."""
        path = self._path(name)
        try:
            table = pq.read_table(path)
            notes = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
            page = pl.DataFrame(table.replace_schema_metadata(None))
        except FileNotFoundError:
            return None
        except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
            log.warning("page %s is damaged and is fetched again: %s", path, error)
            return None
        if page.schema != PAGE_SCHEMA:
            log.warning("page %s is of another version and is fetched again", path)
            return None
        return page, notes

    def write(self, name: str, page: pl.DataFrame, notes: Mapping[str, str] | None = None) -> None:
        """Keep a page of `PAGE_SCHEMA`."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        pq.write_table(page.select(PAGE_SCHEMA.names()).to_arrow().replace_schema_metadata(dict(notes or {})), partial)
        partial.replace(path)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"


def file_name(symbol: str) -> str:
    """A symbol as part of a path: `BTC/USDT` → `BTC%2FUSDT`, and nothing that could leave the folder."""
    return "".join(char if char.isalnum() or char in "-_" else f"%{ord(char):02X}" for char in symbol)


def closed_bars(bars: pl.DataFrame, *, settings: Settings, now: datetime) -> pl.DataFrame:
    """Bars without the provisional ones: begun by `now`, but neither closed nor published.

    A stamp after `now`, and one on no session's date, stay: they are faults, for the checks to name.
    """
    sessions = settings.sessions
    capped = bars.select("asset_type", "symbol", pl.col("datetime").clip(upper_bound=now))
    known_at = known_at_or_null(
        capped,
        calendars=sessions.calendars.by_asset_type(),
        delay_minutes=sessions.publication_delay_minutes,
    )
    provisional = (known_at > now) & (bars["datetime"] <= now)
    return bars.filter(~provisional.fill_null(value=False))

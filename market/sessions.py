"""Exchange sessions, and when a bar is known.

`datetime` is the bar's stamp (daily: its session date, 00:00Z; hourly: its start); what was knowable is decided by
`bar_known_at` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, get_args

import exchange_calendars
import numpy as np
import polars as pl
from exchange_calendars.errors import InvalidCalendarName

from market.assets import AssetType
from market.errors import BadBarsError, ConfigError

Interval = Literal["1d", "1h"]
INTERVALS: tuple[Interval, ...] = get_args(Interval)

AROUND_THE_CLOCK: frozenset[AssetType] = frozenset({"crypto"})
"""Classes without sessions: their bar ends one interval after its stamp."""

UTC_INSTANT = pl.Datetime("us", "UTC")
NOT_A_SESSION_REMEDY = "drop the row, give it its session's date, or name the right exchange in sessions.calendars"


def session_close_table(calendar: str, start: date, end: date) -> pl.DataFrame:
    """Sessions of an exchange between two dates, both included.

    Args:
        calendar: Name in `exchange_calendars`, such as `XNYS`.
        start: First date.
        end: Last date.

    Returns:
        `session` Date, `open_at` and `close_at` (UTC, daylight saving and half days applied), `is_half_day` Boolean;
        ascending, no NULL, empty when no session lies between the dates.

    Raises:
        ConfigError: For an unknown calendar, or dates outside what the calendar knows.
    """
    if end < start:
        return _schedule(calendar, start.year, start.year).clear()
    return _schedule(calendar, start.year, end.year).filter(pl.col("session").is_between(start, end))


def bar_known_at(
    frame: pl.DataFrame, *, calendars: Mapping[AssetType, str], delay_minutes: int, interval: Interval = "1d"
) -> pl.Series:
    """When each bar closed and could be known.

    Args:
        frame: Has `asset_type`, `symbol` and `datetime` (UTC); any order.
        calendars: Calendar of each class that trades in sessions.
        delay_minutes: From a session's close (hourly: the bar's end) until its bar is published.
        interval: Of all bars in the frame.

    Returns:
        `bar_known_at`, UTC, one value a row in the frame's order, no NULL. Daily: the session's close + delay; hourly:
        the stamp + 1 hour, or the session's close when that is earlier, + delay; crypto: the stamp + the interval.

    Raises:
        BadBarsError: A stock or ETF bar lies in no session of its exchange; the row is named.
        ConfigError: A class has no calendar.
    """
    known_at = known_at_or_null(frame, calendars=calendars, delay_minutes=delay_minutes, interval=interval)
    if known_at.null_count():
        first = int(known_at.is_null().arg_max() or 0)
        row = frame.row(first, named=True)
        raise BadBarsError(
            f"{row['datetime']} is no session of {calendars[row['asset_type']]} ({row['asset_type']} {row['symbol']}); "
            f"{known_at.null_count()} such rows",
            row=first + 1,
            column="datetime",
            remedy=NOT_A_SESSION_REMEDY,
        )
    return known_at


def known_at_or_null(
    frame: pl.DataFrame, *, calendars: Mapping[AssetType, str], delay_minutes: int, interval: Interval = "1d"
) -> pl.Series:
    """Like `bar_known_at`, with NULL where the stamp lies in no session of the exchange."""
    around_the_clock = pl.col("asset_type").is_in(list(AROUND_THE_CLOCK))
    length = timedelta(days=1) if interval == "1d" else timedelta(hours=1)
    known_at: pl.Expr = pl.when(around_the_clock).then(pl.col("datetime") + length)
    dates = frame.group_by("asset_type").agg(
        first=pl.col("datetime").min().dt.date(), last=pl.col("datetime").max().dt.date()
    )
    for asset_type, first, last in dates.sort("asset_type").rows():
        if asset_type in AROUND_THE_CLOCK or first is None:
            continue
        if asset_type not in calendars:
            raise ConfigError(f"no calendar for {asset_type}", remedy=f"set sessions.calendars.{asset_type}")
        if interval == "1d":
            ends = _daily_ends(calendars[asset_type], first, last)
        else:
            ends = pl.lit(_hourly_ends(frame["datetime"], calendars[asset_type], first, last))
        published = ends + timedelta(minutes=delay_minutes)
        # Rows of other classes may lie outside this class's table; their values are discarded by `when`.
        known_at = pl.when(pl.col("asset_type") == asset_type).then(published).otherwise(known_at)
    return frame.select(bar_known_at=known_at.cast(UTC_INSTANT)).to_series()


def session_numbers(calendar: str, first: date, last: date) -> pl.Series:
    """Number of sessions up to and including each calendar day from `first` to `last`."""
    return _closes_by_day(calendar, first, last).is_not_null().cum_sum().cast(pl.Int32)


def _daily_ends(calendar: str, first: date, last: date) -> pl.Expr:
    closes = _closes_by_day(calendar, first, last)
    day = pl.col("datetime").dt.date().to_physical() - (first - date(1970, 1, 1)).days
    return pl.lit(closes).gather(day.clip(0, closes.len() - 1))


def _hourly_ends(stamps: pl.Series, calendar: str, first: date, last: date) -> pl.Series:
    """End of the hour from each stamp, cut at its session's close; NULL for an hour that touches no session.

    The session is the first one that closes after the stamp: on exchanges east of Greenwich it may have opened on the
    day before in UTC. An hour that began before the open belongs to the session when it reaches into it (14:00Z in
    New York's winter holds the first half hour).
    """
    table = session_close_table(calendar, first - timedelta(days=7), last + timedelta(days=7))
    opens, closes = (table[name].to_physical().to_numpy() for name in ("open_at", "close_at"))
    starts = stamps.cast(UTC_INSTANT).to_physical().fill_null(0).to_numpy()
    hour_ends = starts + np.int64(3_600_000_000)
    session = np.searchsorted(closes, starts, side="right").clip(0, closes.size - 1)
    inside = (starts < closes[session]) & (hour_ends > opens[session])
    ends = pl.Series(np.minimum(hour_ends, closes[session])).cast(UTC_INSTANT)
    return pl.select(pl.when(pl.Series(inside) & stamps.is_not_null()).then(ends)).to_series()


def _closes_by_day(calendar: str, first: date, last: date) -> pl.Series:
    """Close of each calendar day from `first` to `last`, NULL where the exchange is shut."""
    days = pl.select(session=pl.date_range(first, last, "1d"))
    table = session_close_table(calendar, first, last)
    return days.join(table, on="session", how="left", maintain_order="left")["close_at"]


@lru_cache(maxsize=64)
def _schedule(calendar: str, first_year: int, last_year: int) -> pl.DataFrame:
    """Whole years, so that few calendars serve all requests; the default start and end cover some 20 years only."""
    try:
        exchange = exchange_calendars.get_calendar(calendar, start=f"{first_year}-01-01", end=f"{last_year}-12-31")
    except InvalidCalendarName as error:
        raise ConfigError(
            f"unknown calendar '{calendar}'", remedy="a name of exchange_calendars, such as XNYS"
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"calendar {calendar} does not cover {first_year} to {last_year}: {error}",
            remedy="leave out bars of those years, or name another calendar in sessions.calendars",
        ) from error
    half_days = [stamp.date() for stamp in exchange.early_closes]
    return pl.DataFrame(
        {
            "session": [stamp.date() for stamp in exchange.sessions],
            "open_at": pl.Series(exchange.opens.to_numpy(dtype="datetime64[ns]")),
            "close_at": pl.Series(exchange.closes.to_numpy(dtype="datetime64[ns]")),
        },
        schema_overrides={"session": pl.Date},
    ).with_columns(
        pl.col("open_at", "close_at").dt.replace_time_zone("UTC").cast(UTC_INSTANT),
        is_half_day=pl.col("session").is_in(half_days),
    )

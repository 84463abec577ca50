"""Which bar of an asset class is to be scored, and whether it is new enough."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from configs.settings import Settings
from market.assets import AssetType
from market.sessions import AROUND_THE_CLOCK, session_close_table

DAY = timedelta(days=1)
_LONGEST_CLOSURE = timedelta(days=31)
"""No exchange was shut for longer in the time that calendars cover."""


@dataclass(frozen=True)
class Bar:
    """The daily bar that all symbols of a class share by its stamp.

    Attributes:
        stamp: Its `datetime`.
        bar_known_at: When it closed and could be known.
        next_known_at: When the bar after it can be known.
        sessions_behind: Sessions that have closed since, by the class's clock; 0 for the bar of today.
    """

    asset_type: AssetType
    stamp: datetime
    bar_known_at: datetime
    next_known_at: datetime
    sessions_behind: int


def bar_of(settings: Settings, asset_type: AssetType, day: date, now: datetime) -> Bar | None:
    """The bar stamped with a day; None when the class has no session on it.

    Args:
        settings: Calendars and the delay until a bar is known.
        asset_type: The asset class.
        day: The stamp's date.
        now: The class's clock.
    """
    if asset_type in AROUND_THE_CLOCK:
        stamp = datetime.combine(day, time(), UTC)
        return Bar(asset_type, stamp, stamp + DAY, stamp + 2 * DAY, max((now - stamp) // DAY - 1, 0))
    calendar = settings.sessions.calendars.by_asset_type()[asset_type]
    delay = timedelta(minutes=settings.sessions.publication_delay_minutes)
    until = max(day, now.date()) + _LONGEST_CLOSURE
    sessions = session_close_table(calendar, day, until).select("session", "close_at").rows()
    if not sessions or sessions[0][0] != day:
        return None
    known = [close.astimezone(UTC) + delay for _, close in sessions]
    behind = sum(instant <= now for instant in known[1:])
    return Bar(asset_type, datetime.combine(day, time(), UTC), known[0], known[1], behind)

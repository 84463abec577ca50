"""What the world may already know about a bar: then nobody can tell Gemini's judgement from its memory."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from market.sessions import AROUND_THE_CLOCK, session_close_table
from serving.gemini_opinion import Question

if TYPE_CHECKING:
    from configs.settings import SessionSettings

LONGEST_CLOSURE: Final = dt.timedelta(days=14)
"""No exchange stays shut for longer; a bar this old has a known next one even if the calendar shows none."""


def outcome_is_known(question: Question, sessions: SessionSettings, now: dt.datetime) -> bool:
    """Whether the bar after the question's was closed and published at an instant of the wall clock.

    Args:
        question: About a daily bar.
        sessions: Calendars and publication delay.
        now: UTC.

    Raises:
        ConfigError: The class has no calendar.
    """
    if question.asset_type in AROUND_THE_CLOCK:
        return now >= question.datetime + dt.timedelta(days=2)
    if now >= question.datetime + LONGEST_CLOSURE:
        return True
    closes_at = _next_close(sessions.calendars.by_asset_type()[question.asset_type], question.datetime.date())
    return closes_at is not None and now >= closes_at + dt.timedelta(minutes=sessions.publication_delay_minutes)


def _next_close(calendar: str, day: dt.date) -> dt.datetime | None:
    """Close of the first session after a day; None when there is none for as long as an exchange may be shut."""
    first, last = day + dt.timedelta(days=1), day + LONGEST_CLOSURE
    # some exchanges publish next year's holidays late: their calendar is asked for it only where this year is over
    year_end = dt.date(first.year, 12, 31)
    for start, end in ((first, min(last, year_end)), (year_end + dt.timedelta(days=1), last)):
        table = session_close_table(calendar, start, end) if start <= end else None
        if table is not None and not table.is_empty():
            closes_at: dt.datetime = table["close_at"][0]
            return closes_at
    return None

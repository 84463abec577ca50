"""When the world knows the bar after a bar, nobody is asked about it any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from configs.settings import load_settings
from market.assets import AssetType
from serving.gemini_opinion import Question
from serving.gemini_past import outcome_is_known

SESSIONS = load_settings("test").sessions
DELAY = timedelta(minutes=SESSIONS.publication_delay_minutes)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("asset_type", "bar", "next_close"),
    [
        ("crypto", utc(2026, 3, 2), utc(2026, 3, 4)),
        ("stocks", utc(2026, 3, 2), utc(2026, 3, 3, 21) + DELAY),
        ("etf", utc(2026, 3, 6), utc(2026, 3, 9, 20) + DELAY),  # a weekend, and New York's clocks change
        ("stocks", utc(2025, 11, 26), utc(2025, 11, 28, 18) + DELAY),  # Thanksgiving, then half a day
        ("stocks", utc(2025, 12, 31), utc(2026, 1, 2, 21) + DELAY),
        ("stocks", utc(2025, 12, 30), utc(2025, 12, 31, 21) + DELAY),
    ],
)
def test_the_outcome_is_known_from_the_next_bars_close_on(
    asset_type: AssetType, bar: datetime, next_close: datetime
) -> None:
    question = Question(asset_type, "A/B" if asset_type == "crypto" else "A", bar, None, {})

    assert not outcome_is_known(question, SESSIONS, next_close - timedelta(seconds=1))
    assert outcome_is_known(question, SESSIONS, next_close)
    assert outcome_is_known(question, SESSIONS, next_close + timedelta(days=4000))


def test_a_replayed_year_is_known_without_a_calendar_of_it() -> None:
    assert outcome_is_known(Question("stocks", "A", utc(1890, 1, 2), None, {}), SESSIONS, utc(2026, 1, 1))

"""A daily bar is known when its session has closed, half days and daylight saving included."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from market.errors import BadBarsError, ConfigError
from market.sessions import bar_known_at, session_close_table

CALENDARS = {"stocks": "XNYS", "etf": "XNYS"}


def frame_of(*rows):
    return pl.DataFrame(
        [(asset_type, "X", datetime.fromisoformat(day).replace(tzinfo=UTC)) for asset_type, day in rows],
        schema={"asset_type": pl.String, "symbol": pl.String, "datetime": pl.Datetime("us", "UTC")},
        orient="row",
    )


def known(*rows, delay_minutes=15, calendars=CALENDARS):
    return bar_known_at(frame_of(*rows), calendars=calendars, delay_minutes=delay_minutes).to_list()


@pytest.mark.parametrize(
    ("day", "hour", "minute", "what"),
    [
        ("2024-03-08", 21, 15, "winter: 16:00 in New York is 21:00Z"),
        ("2024-03-11", 20, 15, "summer time began on Sunday"),
        ("2024-11-01", 20, 15, "the last Friday of summer time"),
        ("2024-11-04", 21, 15, "winter again"),
        ("2023-11-24", 18, 15, "the half day after Thanksgiving"),
        ("2024-07-03", 17, 15, "the half day before Independence Day, in summer time"),
        ("2001-09-17", 20, 15, "the first session after the attacks, twenty years and more ago"),
        ("2000-01-03", 21, 15, "before the calendar's default start"),
    ],
)
@pytest.mark.parametrize("asset_type", ["stocks", "etf"])
def test_a_session_bar_is_known_at_its_close_plus_the_delay(asset_type, day, hour, minute, what):
    expected = datetime.fromisoformat(day).replace(hour=hour, minute=minute, tzinfo=UTC)
    assert known((asset_type, day)) == [expected], what


def test_a_crypto_bar_is_known_a_day_after_its_stamp_whatever_the_delay():
    assert known(("crypto", "2024-03-09"), delay_minutes=90) == [datetime(2024, 3, 10, tzinfo=UTC)]


def test_classes_may_be_mixed_in_any_order():
    rows = [("crypto", "1999-01-02"), ("stocks", "2024-03-11"), ("crypto", "2030-01-01"), ("etf", "2010-06-01")]
    assert known(*rows, delay_minutes=0) == [
        datetime(1999, 1, 3, tzinfo=UTC),
        datetime(2024, 3, 11, 20, tzinfo=UTC),
        datetime(2030, 1, 2, tzinfo=UTC),
        datetime(2010, 6, 1, 20, tzinfo=UTC),
    ]


@pytest.mark.parametrize("day", ["2024-03-09", "2024-07-04", "2001-09-12", "2012-10-29"])
def test_a_day_without_a_session_is_an_error_that_names_the_row(day):
    with pytest.raises(BadBarsError, match="no session of XNYS") as caught:
        known(("stocks", "2024-03-08"), ("crypto", day), ("stocks", day))
    assert caught.value.row == 3
    assert caught.value.remedy


def test_each_class_uses_its_own_calendar():
    calendars = {"stocks": "XNYS", "etf": "XLON"}
    assert known(("stocks", "2024-01-03"), ("etf", "2024-01-03"), delay_minutes=0, calendars=calendars) == [
        datetime(2024, 1, 3, 21, 0, tzinfo=UTC),
        datetime(2024, 1, 3, 16, 30, tzinfo=UTC),
    ]


def test_a_class_without_a_calendar_is_a_configuration_error():
    with pytest.raises(ConfigError, match="etf"):
        known(("etf", "2024-01-03"), calendars={"stocks": "XNYS"})


def test_every_close_is_four_or_one_oclock_in_new_york():
    table = session_close_table("XNYS", date(2000, 1, 1), date(2026, 12, 31))
    new_york = ZoneInfo("America/New_York")
    for session, close_at, is_half_day in table.select("session", "close_at", "is_half_day").rows():
        local = close_at.astimezone(new_york)
        assert local.date() == session
        assert (local.hour, local.minute) == ((13, 0) if is_half_day else (16, 0))


def test_the_table_has_the_sessions_of_a_known_week():
    table = session_close_table("XNYS", date(2023, 11, 20), date(2023, 11, 26))
    assert table["session"].to_list() == [date(2023, 11, day) for day in (20, 21, 22, 24)]
    assert table["is_half_day"].to_list() == [False, False, False, True]
    assert table.schema["close_at"] == pl.Datetime("us", "UTC")
    assert table["open_at"].to_list() == [datetime(2023, 11, day, 14, 30, tzinfo=UTC) for day in (20, 21, 22, 24)]


def test_both_ends_are_included_and_years_join_without_a_seam():
    year = session_close_table("XNYS", date(2022, 12, 30), date(2023, 1, 3))
    assert year["session"].to_list() == [date(2022, 12, 30), date(2023, 1, 3)]


def test_the_future_beyond_the_calendars_default_end_is_covered():
    next_years = date.fromisoformat("2031-01-01")
    table = session_close_table("XNYS", next_years, next_years + timedelta(days=30))
    assert table.height in range(18, 23)


def test_an_empty_span_gives_an_empty_table():
    assert session_close_table("XNYS", date(2024, 3, 9), date(2024, 3, 10)).is_empty()
    assert session_close_table("XNYS", date(2024, 3, 10), date(2024, 3, 1)).is_empty()


def test_unknown_calendars_and_years_say_what_to_do():
    with pytest.raises(ConfigError, match="XXXX") as caught:
        session_close_table("XXXX", date(2024, 1, 1), date(2024, 1, 2))
    assert "XNYS" in caught.value.remedy
    with pytest.raises(ConfigError, match="XKRX does not cover 1900"):
        session_close_table("XKRX", date(1900, 1, 1), date(1900, 1, 2))

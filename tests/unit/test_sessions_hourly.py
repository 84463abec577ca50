"""An hourly bar is known an hour after its start, or when its session closes, if that is earlier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from market.bars import BAR_SCHEMA
from market.check_rules import RULES, Treatment
from market.errors import BadBarsError
from market.inspection import InspectionRules, RawBars, inspect_bars
from market.sessions import bar_known_at, known_at_or_null, session_close_table

CALENDARS = {"stocks": "XNYS", "etf": "XNYS"}


def frame_of(asset_type, *stamps):
    stamps = [datetime.fromisoformat(stamp).replace(tzinfo=UTC) for stamp in stamps]
    return pl.DataFrame(
        {"asset_type": asset_type, "symbol": "X", "datetime": stamps},
        schema={"asset_type": pl.String, "symbol": pl.String, "datetime": pl.Datetime("us", "UTC")},
    )


def known(asset_type, stamp, *, calendars=CALENDARS, delay_minutes=15):
    frame = frame_of(asset_type, stamp)
    return known_at_or_null(frame, calendars=calendars, delay_minutes=delay_minutes, interval="1h").item()


@pytest.mark.parametrize(
    ("stamp", "expected", "what"),
    [
        ("2024-03-08T14:30", "2024-03-08T15:45", "winter: the session opens at 14:30Z"),
        ("2024-03-08T15:00", "2024-03-08T16:15", "bars on the full hour"),
        ("2024-03-08T14:00", "2024-03-08T15:15", "the hour that holds the open"),
        ("2024-03-08T20:30", "2024-03-08T21:15", "cut at the close, 21:00Z in winter"),
        ("2024-03-08T20:00", "2024-03-08T21:15", "ends at the close"),
        ("2024-03-08T21:00", None, "after the close"),
        ("2024-03-08T13:30", None, "ends as the session opens"),
        ("2024-03-11T13:30", "2024-03-11T14:45", "summer time: the session opens at 13:30Z"),
        ("2024-03-11T19:30", "2024-03-11T20:15", "and closes at 20:00Z"),
        ("2024-03-11T20:00", None, "after the close in summer time"),
        ("2024-11-04T20:30", "2024-11-04T21:15", "winter again"),
        ("2023-11-24T17:30", "2023-11-24T18:15", "the half day after Thanksgiving closes at 18:00Z"),
        ("2023-11-24T18:00", None, "the afternoon of a half day"),
        ("2024-07-03T16:30", "2024-07-03T17:15", "a half day in summer time closes at 17:00Z"),
        ("2024-07-04T15:30", None, "a holiday"),
        ("2024-03-09T15:30", None, "a Saturday"),
    ],
)
def test_an_hourly_stock_bar_is_known_at_its_end_inside_the_session(stamp, expected, what):
    instant = expected and datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert known("stocks", stamp) == instant, what


def test_an_hourly_crypto_bar_is_known_after_an_hour_on_any_day():
    assert known("crypto", "2024-03-10T02:00") == datetime(2024, 3, 10, 3, tzinfo=UTC)


def test_a_session_that_opens_on_the_day_before_in_utc_is_found():
    sydney = {"stocks": "XASX"}
    assert known("stocks", "2024-01-03T23:00", calendars=sydney) == datetime(2024, 1, 4, 0, 15, tzinfo=UTC)
    assert known("stocks", "2024-01-05T23:00", calendars=sydney) is None


def test_a_stamp_in_no_session_is_an_error_that_names_the_row():
    frame = frame_of("stocks", "2024-03-08T15:30", "2024-03-08T22:00")
    with pytest.raises(BadBarsError, match="no session of XNYS") as caught:
        bar_known_at(frame, calendars=CALENDARS, delay_minutes=15, interval="1h")
    assert caught.value.row == 2


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.integers(0, 2 * 365 * 48))
def test_no_hourly_bar_is_known_before_it_ended_or_after_its_session_closed(half_hours):
    stamp = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * half_hours)
    sessions = session_close_table("XNYS", stamp.date(), stamp.date())
    instant = known("stocks", stamp.replace(tzinfo=None).isoformat(), delay_minutes=0)
    overlaps = [
        close
        for opened, close in sessions.select("open_at", "close_at").rows()
        if stamp < close and stamp + timedelta(hours=1) > opened
    ]
    assert instant == (min(stamp + timedelta(hours=1), overlaps[0]) if overlaps else None)


def hourly(*stamps, asset_type="stocks", symbol="AAPL"):
    sound = {"open": 10.0, "high": 11.0, "low": 9.0, "volume": 5.0}
    rows = [
        {"asset_type": asset_type, "symbol": symbol, "close": 10 + place / 100, **sound,
         "datetime": datetime.fromisoformat(stamp).replace(tzinfo=UTC)}
        for place, stamp in enumerate(stamps)
    ]  # fmt: skip
    return RawBars("hourly.csv", pl.DataFrame(rows, schema=BAR_SCHEMA))


def inspected(*raw, now=datetime(2024, 3, 12, tzinfo=UTC)):
    treatments = {name: Treatment("warning", rule.policies[0]) for name, rule in RULES.items()}
    rules = InspectionRules(treatments, dict.fromkeys(("stocks", "etf", "crypto"), 1.0), 5, CALENDARS, 15)
    return inspect_bars(raw, rules=rules, now=now, interval="1h")


def test_sound_hourly_bars_pass_over_a_weekend_and_the_change_to_summer_time():
    inspection = inspected(hourly("2024-03-08T19:30", "2024-03-08T20:30", "2024-03-11T13:30", "2024-03-11T14:30"))
    assert inspection.findings.is_empty()
    assert inspection.bars["bar_known_at"][1:3].to_list() == [
        datetime(2024, 3, 8, 21, 15, tzinfo=UTC),
        datetime(2024, 3, 11, 14, 45, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (hourly("2024-03-08T14:45"), "stamp_off_grid"),
        (hourly("2024-03-08T14:30", asset_type="crypto", symbol="BTC/USDT"), "stamp_off_grid"),
        (hourly("2024-03-08T22:00"), "not_a_session"),
        (hourly("2024-03-11T23:00", asset_type="crypto", symbol="BTC/USDT"), None),
        (hourly("2024-03-12T00:00", asset_type="crypto", symbol="BTC/USDT"), "not_closed"),
        (hourly("2024-03-07T15:30", "2024-03-11T15:30"), "calendar_gap"),
    ],
)
def test_a_damaged_hourly_bar_is_found(raw, rule):
    assert inspected(raw).findings["rule"].to_list() == ([rule] if rule else [])

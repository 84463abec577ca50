"""Which bar, whose model, equal to the bit: the decisions of inference on literal cases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.settings import Settings, load_settings
from market.errors import SkewError
from serving.predictor_bar import Bar, bar_of
from serving.predictor_check import require_equal_features, sampled
from serving.predictor_past import Reign, champion_at
from serving.predictor_rows import prediction_id


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings("test")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "known", "following"),
    [
        ("2024-06-21", "2024-06-21T20:15", "2024-06-24T20:15"),  # a Friday in summer
        ("2024-03-08", "2024-03-08T21:15", "2024-03-11T20:15"),  # New York's clocks change over the weekend
        ("2023-11-22", "2023-11-22T21:15", "2023-11-24T18:15"),  # Thanksgiving, then half a day
    ],
)
def test_a_session_closes_with_its_exchange_and_the_next_one_after_the_holidays(
    settings: Settings, day: str, known: str, following: str
) -> None:
    bar = bar_of(settings, "stocks", date.fromisoformat(day), utc(known))
    assert bar == Bar("stocks", utc(day), utc(known), utc(following), sessions_behind=0)


def test_sessions_count_as_passed_when_their_bar_can_be_known_and_not_before(settings: Settings) -> None:
    def behind(asset_type: str, now: str) -> int:
        bar = bar_of(settings, asset_type, date(2024, 6, 21), utc(now))  # type: ignore[arg-type]
        assert bar is not None
        return bar.sessions_behind

    assert [behind("stocks", f"2024-06-24T20:{minute}") for minute in ("00", "14", "15")] == [0, 0, 1]
    assert [behind("stocks", day) for day in ("2024-06-22", "2024-06-25", "2024-06-26")] == [0, 1, 2]
    assert [behind("crypto", day) for day in ("2024-06-22", "2024-06-22T23:59", "2024-06-23", "2024-06-25")] == [
        0,
        0,
        1,
        3,
    ]


def test_a_day_without_a_session_has_no_bar_but_crypto_knows_no_weekend(settings: Settings) -> None:
    for day in (date(2024, 6, 22), date(2024, 7, 4), date(2024, 12, 25)):
        assert bar_of(settings, "etf", day, utc("2025-01-01")) is None
        assert bar_of(settings, "crypto", day, utc("2025-01-01")) is not None


BAR = Bar("stocks", utc("2024-06-21"), utc("2024-06-21T20:15"), utc("2024-06-24T20:15"), 5)
BEFORE, AT, BETWEEN, NEXT = (utc(t) for t in ("2024-06-20", "2024-06-21T20:15", "2024-06-23", "2024-06-24T20:15"))


@pytest.mark.parametrize(
    ("reigns", "champion"),
    [
        ([], None),
        ([("1", BEFORE)], "1"),
        ([("1", AT)], "1"),
        ([("1", BEFORE), ("2", BETWEEN)], "1"),  # the retraining of the weekend is Monday's champion
        ([("1", BETWEEN)], "1"),  # the first one ever, made before the next bar closed
        ([("1", NEXT)], None),
        ([("1", BEFORE), ("2", BEFORE), ("1", BEFORE)], "1"),  # rolled back
    ],
)
def test_the_champion_of_a_day_reigned_when_its_bar_closed(
    reigns: list[tuple[str, datetime]], champion: str | None
) -> None:
    assert champion_at([Reign(*one) for one in reigns], BAR) == champion


def rows(values: list[float | None], known_at: datetime = AT) -> pl.DataFrame:
    count = len(values)
    return pl.DataFrame(
        {
            "symbol": [f"S{number}" for number in range(count)],
            "datetime": [BAR.stamp] * count,
            "bar_known_at": [known_at] * count,
            "rsi": pl.Series(values, dtype=pl.Float64),
        }
    )


def test_equal_means_every_bit_of_it() -> None:
    value = 0.1 + 0.2
    assert require_equal_features(rows([value, None]), rows([value, None]), ["rsi"]) == 2
    for served, stored in (([0.3], [value]), ([None], [0.0]), ([0.0], [None]), ([-0.0], [0.0])):
        with pytest.raises(SkewError, match=r"S0: rsi is .* as served and .* as stored \(1 of 1 rows differ\)"):
            require_equal_features(rows(served), rows(stored), ["rsi"])
    with pytest.raises(SkewError, match="bar_known_at is"):
        require_equal_features(rows([1.0]), rows([1.0], AT + timedelta(microseconds=1)), ["rsi"])


@given(st.integers(0, 60), st.integers(1, 70), st.integers(0, 10_000))
def test_a_sample_is_a_part_in_order_and_the_same_for_the_same_day(symbols: int, count: int, seed: int) -> None:
    names = [f"S{number:02d}" for number in range(symbols)]
    drawn = sampled(names, count, seed)
    assert len(drawn) == min(symbols, count)
    assert drawn == sorted(set(drawn)) and set(drawn) <= set(names)
    assert sampled(names, count, seed) == drawn


def test_other_days_draw_other_samples() -> None:
    names = [f"S{number:04d}" for number in range(1500)]
    seen = {name for day in range(120) for name in sampled(names, 64, day)}
    assert len(seen) > 1450


def test_a_predictions_id_belongs_to_its_key() -> None:
    first = prediction_id("stocks", "AAA", BAR.stamp)
    assert first == prediction_id("stocks", "AAA", BAR.stamp)
    others = {("etf", "AAA", 0), ("stocks", "AAB", 0), ("stocks", "AAA", 1)}
    made = {prediction_id(kind, name, BAR.stamp + timedelta(days=days)) for kind, name, days in others}  # type: ignore[arg-type]
    assert len(made | {first}) == 4

"""Requests are tried again within their limits, and pages on disk are whole or absent."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from configs.settings import load_settings
from market.errors import SourceError
from warehouse.sources._fetch import (
    PAGE_SCHEMA,
    PageStore,
    Patience,
    TransientError,
    closed_bars,
    file_name,
    retry_after_seconds,
)


class Clock:
    """Time that passes only by waiting, and by requests that take theirs."""

    def __init__(self):
        self.now = 100.0
        self.waits = []

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    def patience(self, **limits):
        given = {"attempts": 5, "deadline_seconds": 1000.0} | limits
        return Patience(**given, sleep=self.sleep, monotonic=lambda: self.now)


def failing(times, error=None):
    left = [error or TransientError("HTTP 503")] * times

    def request():
        if left:
            raise left.pop()
        return "answer"

    return request


def test_waits_double_up_to_a_minute():
    clock = Clock()
    assert clock.patience(attempts=9).call(failing(8), what="x") == "answer"
    assert clock.waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_the_server_s_own_wait_is_kept():
    clock = Clock()
    clock.patience().call(failing(1, TransientError("HTTP 429", retry_after_seconds=17.0)), what="x")
    assert clock.waits == [17.0]


def test_the_last_attempt_is_not_followed_by_a_wait():
    clock = Clock()
    with pytest.raises(SourceError, match=r"x: HTTP 503 \(2 attempts\)"):
        clock.patience(attempts=2).call(failing(2), what="x")
    assert clock.waits == [1.0]


def test_other_errors_pass_at_once():
    clock = Clock()
    with pytest.raises(KeyError):
        clock.patience().call(failing(1, KeyError("x")), what="x")
    assert clock.waits == []


def test_the_deadline_counts_all_requests_of_a_read_and_their_own_time():
    clock = Clock()
    patience = clock.patience(deadline_seconds=10)

    def slow():
        clock.now += 6
        return "answer"

    assert patience.call(slow, what="first") == "answer"
    assert patience.call(slow, what="second") == "answer"
    with pytest.raises(SourceError, match="third: 10 s are over"):
        patience.call(slow, what="third")


def test_a_wait_beyond_the_deadline_is_not_begun():
    clock = Clock()
    with pytest.raises(SourceError, match="10 s are over"):
        clock.patience(deadline_seconds=10).call(failing(9), what="x")
    assert clock.waits == [1.0, 2.0, 4.0]


def test_requests_keep_their_distance():
    clock = Clock()
    patience = clock.patience(pause_seconds=0.5)
    for _ in range(3):
        patience.call(lambda: "answer", what="x")
    assert clock.waits == [0.5, 0.5]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "7"}, 7.0), ({"retry-after": " 7 "}, 7.0), ({}, None), ({"Retry-After": "Wed, 21 Oct"}, None)],
)
def test_retry_after_is_read_in_seconds(headers, seconds):
    assert retry_after_seconds(headers) == seconds


PAGE = pl.DataFrame([[datetime(2024, 3, 11, tzinfo=UTC), 1.0, 2.0, 0.5, 1.5, None]], schema=PAGE_SCHEMA, orient="row")


def test_a_page_comes_back_with_its_notes(tmp_path):
    store = PageStore(tmp_path / "pages")
    assert store.read("2024") is None
    store.write("2024", PAGE, {"start": "2015-01-01"})
    page, notes = store.read("2024")
    assert_frame_equal(page, PAGE)
    assert notes == {"start": "2015-01-01"}
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["2024.parquet"]


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"PAR1rubbishPAR1"])
def test_a_damaged_page_counts_as_absent(tmp_path, damage):
    (tmp_path / "2024.parquet").write_bytes(damage)
    assert PageStore(tmp_path).read("2024") is None


def test_a_page_of_other_columns_counts_as_absent(tmp_path):
    PAGE.drop("volume").write_parquet(tmp_path / "2024.parquet")
    assert PageStore(tmp_path).read("2024") is None


@pytest.mark.parametrize(
    ("symbol", "name"), [("BTC/USDT", "BTC%2FUSDT"), ("BRK-B", "BRK-B"), ("../x", "%2E%2E%2Fx"), ("^GSPC", "%5EGSPC")]
)
def test_a_symbol_s_file_stays_in_its_folder(symbol, name):
    assert file_name(symbol) == name


def test_only_bars_that_begun_and_are_not_over_are_provisional():
    now = datetime(2024, 3, 15, 18, tzinfo=UTC)
    bars = pl.DataFrame(
        [
            ("stocks", "AAPL", datetime(2024, 3, 14, tzinfo=UTC)),
            ("stocks", "AAPL", datetime(2024, 3, 15, tzinfo=UTC)),
            ("stocks", "AAPL", datetime(2024, 3, 10, tzinfo=UTC)),
            ("crypto", "BTC/USD", datetime(2024, 3, 14, tzinfo=UTC)),
            ("crypto", "BTC/USD", datetime(2024, 3, 15, tzinfo=UTC)),
            ("crypto", "BTC/USD", datetime(2024, 3, 16, tzinfo=UTC)),
        ],
        schema=["asset_type", "symbol", "datetime"],
        orient="row",
    ).cast({"datetime": PAGE_SCHEMA["datetime"]})
    kept = closed_bars(bars, settings=load_settings("local"), now=now)
    assert kept["datetime"].dt.day().to_list() == [14, 10, 14, 16]

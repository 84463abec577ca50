"""Answers and budget in one file that many processes share."""

from __future__ import annotations

import multiprocessing
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import GeminiStoreError
from serving.gemini_records import Call, Key
from serving.gemini_store import GeminiStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BAR = datetime(2026, 3, 1, tzinfo=UTC)


def opened(path: Path) -> GeminiStore:
    return GeminiStore(path, timeout_seconds=30)


def call(call_id: str = "c1", **changes: Any) -> Call:
    fields = {
        "called_at": NOON, "asset_type": "crypto", "symbol": "BTC/USDT", "datetime": BAR, "model": "m",
        "prompt_hash": "h", "status": "ok", "prediction": "UP", "confidence": 0.5, "reasoning": "because",
        "risk_level": "LOW", "latency_seconds": 0.25, "input_tokens": 10, "output_tokens": 5, "cost_usd": 0.001,
        "error": None, "attempts": 1, "facts": "{}", **changes,
    }  # fmt: skip
    return Call(call_id=call_id, **fields)


KEY = Key("crypto", "BTC/USDT", BAR, "m", "h")


def test_a_call_comes_back_as_it_was_put_in(tmp_path: Path) -> None:
    store = opened(tmp_path / "g.db")
    full, empty = (
        call("a"),
        call("b", **dict.fromkeys(("prediction", "confidence", "reasoning", "risk_level")), status="error"),
    )
    store.record(full)
    store.record(empty)

    assert opened(tmp_path / "g.db").calls_since(None) == [full, empty]


def test_the_newest_answer_counts_and_failures_are_no_answers(tmp_path: Path) -> None:
    store = opened(tmp_path / "g.db")
    store.record(call("old", called_at=NOON - timedelta(hours=2), prediction="DOWN"))
    store.record(call("new", called_at=NOON - timedelta(hours=1)))
    store.record(call("failed", status="error"))

    found = store.answers([KEY, Key("crypto", "BTC/USDT", BAR, "m", "other"), Key("stocks", "BTC/USDT", BAR, "m", "h")])

    assert [answer and answer.call_id for answer in found] == ["new", None, None]


def test_one_instant_is_one_bar_whatever_its_zone(tmp_path: Path) -> None:
    store = opened(tmp_path / "g.db")
    store.record(call())
    elsewhere = BAR.astimezone(timezone(timedelta(hours=-5)))

    assert store.answers([Key("crypto", "BTC/USDT", elsewhere, "m", "h")])[0] is not None


def test_calls_since_an_instant_hold_that_instant(tmp_path: Path) -> None:
    store = opened(tmp_path / "g.db")
    for hour in range(3):
        store.record(call(str(hour), called_at=NOON + timedelta(hours=hour)))

    assert [found.call_id for found in store.calls_since(NOON + timedelta(hours=1))] == ["1", "2"]


def test_the_budget_is_of_a_utc_day(tmp_path: Path) -> None:
    store, limits = opened(tmp_path / "g.db"), {"daily_calls": 1, "daily_nano_usd": 100}

    assert store.reserve(datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC), 10, **limits) is not None
    assert store.reserve(datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC), 10, **limits) is None
    assert store.reserve(datetime(2026, 3, 3, tzinfo=UTC), 10, **limits) is not None


STEPS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60) | st.none()), max_size=30)


@settings(max_examples=30, deadline=None)
@given(steps=STEPS, calls=st.integers(0, 12), money=st.integers(0, 200))
def test_the_budget_agrees_with_a_purse(steps: list[Any], calls: int, money: int) -> None:
    """An independent account: each step reserves, then settles at the real cost (None: it never does)."""
    with tempfile.TemporaryDirectory() as folder, closing(opened(Path(folder) / "g.db")) as store:
        spent = spend_in_steps(store, steps, calls, money)
        in_file = store.spent(NOON)

    assert (in_file.calls, round(in_file.cost_usd * 1e9)) == spent


def spend_in_steps(store: GeminiStore, steps: list[Any], calls: int, money: int) -> tuple[int, int]:
    used_calls = used_money = 0
    for highest, real in steps:
        reservation = store.reserve(NOON, highest, daily_calls=calls, daily_nano_usd=money)
        fits = used_calls < calls and used_money + highest <= money
        assert (reservation is not None) == fits
        if reservation is None:
            continue
        used_calls += 1
        used_money += highest
        if real is not None and real <= highest:
            store.settle(reservation, real)
            used_money += real - highest
        assert used_money <= money
    return used_calls, used_money


def spend(path: Path, results: Any) -> None:
    """Reserve until nothing is left; every third request costs nothing after all."""
    store, got = opened(path), 0
    while (reservation := store.reserve(NOON, 7, daily_calls=400, daily_nano_usd=1500)) is not None:
        got += 1
        if got % 3 == 0:
            store.settle(reservation, 0)
    results.put(got)


def test_two_processes_together_never_exceed_the_budget(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=spend, args=(path, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    counts = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()

    spent = opened(path).spent(NOON)
    freed = sum(count // 3 for count in counts)
    assert spent.calls == sum(counts)
    assert round(spent.cost_usd * 1e9) == 7 * (sum(counts) - freed)
    assert 1500 - 7 < 7 * (sum(counts) - freed) <= 1500


def test_a_process_that_dies_leaves_its_reservation_counted(tmp_path: Path) -> None:
    store = opened(tmp_path / "g.db")
    store.reserve(NOON, 60, daily_calls=10, daily_nano_usd=100)
    store._connection.close()

    assert opened(tmp_path / "g.db").reserve(NOON, 60, daily_calls=10, daily_nano_usd=100) is None


def test_a_call_and_its_settlement_are_one_transaction(tmp_path: Path) -> None:
    store = opened(tmp_path / "g.db")
    reservation = store.reserve(NOON, 60, daily_calls=10, daily_nano_usd=100)
    store.record(call(), reservation, 20)

    with pytest.raises(GeminiStoreError):
        store.record(call(), reservation, 20)

    assert round(store.spent(NOON).cost_usd * 1e9) == 20


def test_traces_are_made_once(tmp_path: Path) -> None:
    store = opened(tmp_path / "g.db")
    for number in range(3):
        store.record(call(str(number), called_at=NOON + timedelta(seconds=number)))

    store.mark_traced(found.call_id for found in store.untraced(2))

    assert [found.call_id for found in store.untraced(9)] == ["2"]


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path / "g.db").close()
    connection = sqlite3.connect(tmp_path / "g.db")
    connection.execute("PRAGMA user_version = 9")
    connection.close()

    with pytest.raises(GeminiStoreError, match="newer version"):
        opened(tmp_path / "g.db")


def test_a_damaged_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "g.db").write_bytes(b"no database at all" * 100)

    with pytest.raises(GeminiStoreError, match=r"g\.db cannot be used") as refused:
        opened(tmp_path / "g.db")
    assert "moved away" in refused.value.remedy


def test_a_file_that_another_process_writes_for_too_long_is_an_error(tmp_path: Path) -> None:
    store = GeminiStore(tmp_path / "g.db", timeout_seconds=0.05)
    other = sqlite3.connect(tmp_path / "g.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(GeminiStoreError, match="locked"):
        store.reserve(NOON, 1, daily_calls=1, daily_nano_usd=1)

    other.execute("ROLLBACK")
    assert store.reserve(NOON, 1, daily_calls=1, daily_nano_usd=1) is not None

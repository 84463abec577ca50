from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.security_limits import RateLimiter


def test_sixty_a_minute_with_a_burst_of_ten_seconds_lets_ten_in_at_once_and_then_one_a_second() -> None:
    limiter = RateLimiter()
    assert [limiter.wait_seconds("a", 60, 10.0, 50.0) for _ in range(10)] == [0.0] * 10
    assert limiter.wait_seconds("a", 60, 10.0, 50.0) == pytest.approx(1.0)
    assert limiter.wait_seconds("a", 60, 10.0, 50.5) == pytest.approx(0.5)
    assert limiter.wait_seconds("a", 60, 10.0, 51.0) == 0.0
    assert limiter.wait_seconds("a", 60, 10.0, 51.0) == pytest.approx(1.0)
    assert limiter.wait_seconds("b", 60, 10.0, 51.0) == 0.0, "another client has its own rate"


def test_a_burst_shorter_than_one_request_still_lets_one_in() -> None:
    limiter = RateLimiter()
    assert limiter.wait_seconds("a", 6, 1.0, 0.0) == 0.0
    assert limiter.wait_seconds("a", 6, 1.0, 0.0) == pytest.approx(10.0)
    assert limiter.wait_seconds("a", 6, 1.0, 10.0) == 0.0


@given(
    steps=st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=80),
    per_minute=st.integers(1, 600),
    burst_seconds=st.floats(0.01, 120),
)
def test_no_window_ever_holds_more_than_the_burst_and_the_rate_and_waiting_as_told_is_enough(
    steps: list[float], per_minute: int, burst_seconds: float
) -> None:
    limiter, now, let_in, interval = RateLimiter(), 1000.0, [], 60.0 / per_minute
    for step in steps:
        now += step
        wait = limiter.wait_seconds("a", per_minute, burst_seconds, now)
        if not wait:
            let_in.append(now)
        else:
            assert limiter.wait_seconds("a", per_minute, burst_seconds, now) == wait, "a refusal costs nothing"
            now += wait
            assert limiter.wait_seconds("a", per_minute, burst_seconds, now) == 0.0
            let_in.append(now)
    for first, begin in enumerate(let_in):
        for last in range(first, len(let_in)):
            width = let_in[last] - begin
            assert last - first + 1 <= (width + max(burst_seconds, interval)) / interval + 1e-6


def test_workers_share_their_counts_through_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "rate_limits.bin"
    workers = [RateLimiter(file), RateLimiter(file)]
    waits = [workers[n % 2].wait_seconds("a", 60, 10.0, 5.0) for n in range(11)]
    assert waits[:10] == [0.0] * 10
    assert waits[10] == pytest.approx(1.0)


def test_a_file_from_before_the_clock_began_anew_locks_nobody_out(tmp_path: Path) -> None:
    file = tmp_path / "rate_limits.bin"
    assert RateLimiter(file).wait_seconds("a", 60, 10.0, 1_000_000.0) == 0.0
    assert RateLimiter(file).wait_seconds("a", 60, 10.0, 3.0) == 0.0


def test_a_truncated_file_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "rate_limits.bin"
    file.write_bytes(b"short")
    assert RateLimiter(file).wait_seconds("a", 60, 10.0, 0.0) == 0.0
    assert file.stat().st_size == 16 + 8 * 65_536


def test_a_flood_of_addresses_does_not_grow_memory_and_each_is_let_in(tmp_path: Path) -> None:
    limiter = RateLimiter(tmp_path / "rate_limits.bin")
    refused = sum(limiter.wait_seconds(f"10.0.{n // 256}.{n % 256}", 60, 10.0, 0.0) > 0 for n in range(20_000))
    assert refused == 0
    assert (tmp_path / "rate_limits.bin").stat().st_size == 16 + 8 * 65_536

from __future__ import annotations

import asyncio

import pytest

from serving.security_deadline import Deadlines


async def timed_out(deadlines: Deadlines, seconds: float) -> bool:
    try:
        with deadlines:
            await asyncio.sleep(seconds)
    except TimeoutError:
        return True
    return False


def test_requests_that_are_late_are_ended_and_others_are_not() -> None:
    async def several() -> list[bool]:
        deadlines = Deadlines(0.2)
        return await asyncio.gather(*(timed_out(deadlines, seconds) for seconds in (0.0, 30.0, 0.01, 30.0)))

    assert asyncio.run(several()) == [False, True, False, True]


def test_deadlines_leave_nothing_behind_and_begin_again_after_a_pause() -> None:
    async def twice() -> None:
        deadlines = Deadlines(0.1)
        assert await timed_out(deadlines, 30.0)
        await asyncio.sleep(0.2)
        assert not deadlines._due_at
        assert not deadlines._overdue
        assert deadlines._timer is None
        assert await timed_out(deadlines, 30.0), "the same task may be late again"

    asyncio.run(twice())


def test_a_cancellation_from_elsewhere_stays_one() -> None:
    async def cancelled() -> None:
        task = asyncio.ensure_future(timed_out(Deadlines(30.0), 30.0))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


def test_a_cancellation_from_elsewhere_at_the_same_moment_is_not_swallowed() -> None:
    async def both() -> None:
        deadlines = Deadlines(30.0)
        task = asyncio.ensure_future(timed_out(deadlines, 30.0))
        await asyncio.sleep(0.01)
        deadlines._due_at[task] = 0.0
        deadlines._sweep()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(both())


def test_a_timeout_inside_is_its_own() -> None:
    async def inner() -> str:
        with Deadlines(5.0):
            try:
                async with asyncio.timeout(0.01):
                    await asyncio.sleep(30)
            except TimeoutError:
                return "inner"
        return "outer"

    assert asyncio.run(inner()) == "inner"


def test_an_error_of_the_request_is_not_hidden() -> None:
    async def fails() -> None:
        with Deadlines(5.0):
            raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        asyncio.run(fails())

"""Long steps say how long the rest takes."""

from __future__ import annotations

import logging

import pytest

from flows.progress import LogReporter, RichReporter, remaining


@pytest.mark.parametrize(
    ("elapsed", "done", "total", "expected"),
    [
        (60.0, 1, 4, "about 3:00 left"),
        (100.0, 3, 4, "about 0:33 left"),
        (3600.0, 1, 3, "about 2:00:00 left"),
        (10.0, 0, 4, ""),
        (10.0, 4, 4, ""),
    ],
)
def test_what_is_left_goes_on_as_so_far(elapsed: float, done: int, total: int, expected: str) -> None:
    assert remaining(elapsed, done, total) == expected


def test_a_log_says_now_and_then_how_far_a_step_is(caplog: pytest.LogCaptureFixture) -> None:
    times = iter([0.0, 20.0, 40.0, 60.0, 80.0])
    reporter = LogReporter(clock=lambda: next(times))
    with caplog.at_level(logging.INFO, logger="tradehits"), reporter.step("walk") as advance:
        for done in (1, 2, 3, 4):
            advance(done, 5)
    assert caplog.messages == [
        "walk: started",
        "walk: 40%, about 1:00 left",
        "walk: 80%, about 0:20 left",
        "walk: done",
    ]


def test_a_bar_ends_complete_and_with_nothing_left(capsys: pytest.CaptureFixture[str]) -> None:
    with RichReporter().step("walk") as advance:
        advance(1, 2)
    shown = capsys.readouterr().err
    assert "walk" in shown
    assert "100%" in shown
    assert "left" not in shown.splitlines()[-1]

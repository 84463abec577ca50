"""A step's figures, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from configs.settings import load_settings
from training.explain_score import scored
from training.explain_steps import Construction

START = datetime(2024, 1, 1, tzinfo=UTC)
STEP = Construction("a step", "a reason")


def rows(actual: list[int], probability: list[float], *, symbol: str = "A") -> pl.DataFrame:
    stamps = [START + timedelta(days=day) for day in range(len(actual))]
    return pl.DataFrame({"symbol": symbol, "datetime": stamps, "actual": actual, "up_probability": probability})


def test_a_step_has_accuracy_beside_its_base_rate_and_the_points_since_the_step_before() -> None:
    settings = load_settings("test")
    before = rows([1, 1, 1, 0, 0], [0.9, 0.5, 0.6, 0.1, 0.7])  # wrong on the last bar: 80%
    after = rows([1, 1, 1, 0, 0], [0.4, 0.4, 0.6, 0.1, 0.7])  # right on the third and fourth bar: 40%
    found = scored(STEP, after, before, settings)
    assert (found.step, found.explanation, found.rows) == ("a step", "a reason", 5)
    assert found.accuracy == pytest.approx(40.0)
    assert found.base_rate == pytest.approx(60.0)
    assert found.change == pytest.approx(-40.0)
    assert found.change_ci_95 is not None
    assert -100 <= found.change_ci_95[0] <= -40 <= found.change_ci_95[1] <= 0


def test_the_first_step_has_no_change() -> None:
    found = scored(STEP, rows([1, 0], [0.9, 0.9]), None, load_settings("test"))
    assert found.change is None
    assert found.change_ci_95 is None


def test_an_unchanged_answer_on_the_same_bars_is_worth_nothing_for_certain() -> None:
    same = rows([1, 0, 1, 0], [0.9, 0.9, 0.2, 0.1])
    found = scored(STEP, same, same, load_settings("test"))
    assert (found.change, found.change_ci_95) == (0.0, (0.0, 0.0))


@pytest.mark.parametrize("before", ["copies", "one bar more", "another symbol"])
def test_steps_of_other_bars_have_a_change_without_an_interval(before: str) -> None:
    after = rows([1, 0, 1, 0], [0.9, 0.9, 0.2, 0.1])
    others = {
        "copies": pl.concat([after, after]),
        "one bar more": rows([1, 0, 1, 0, 0], [0.9, 0.9, 0.2, 0.1, 0.1]),
        "another symbol": rows([1, 0, 1, 0], [0.9, 0.9, 0.2, 0.1], symbol="B"),
    }
    found = scored(STEP, after, others[before], load_settings("test"))
    assert found.change is not None
    assert found.change_ci_95 is None

"""The waterfall carries the numbers of its steps."""

from __future__ import annotations

import io
from datetime import date

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from configs.settings import SplitSettings
from training.explain import Explanation
from training.explain_picture import waterfall
from training.explain_score import Step


def step(name: str, accuracy: float, base: float, change: float | None, *, is_control: bool = False) -> Step:
    return Step(name, "why", 500, accuracy, base, (accuracy - 4, accuracy + 4), change, None, is_control)


STEPS = (
    step("as reported", 64.6, 58.2, None),
    step("control", 61.5, 50.4, None, is_control=True),
    step("pivots confirmed", 53.1, 58.2, -11.5),
    step("honest", 55.0, 58.2, 1.9),
)


def drawn(steps: tuple[Step, ...]) -> Figure:
    splits = SplitSettings(train_end=date(2022, 12, 31), test_end=date(2023, 12, 31))
    found = Explanation("etf", 1, 4999, date(2006, 1, 27), date(2025, 12, 9), splits, True, steps)
    return waterfall(found, "etf · SPY")


def png(figure: Figure) -> np.ndarray:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    stream.seek(0)
    return imread(stream)


def test_every_step_stands_with_its_accuracy_and_its_base_rate() -> None:
    figure = drawn(STEPS)
    png(figure)
    (axes,) = figure.axes
    right = axes.child_axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [one.step for one in STEPS]
    assert [label.get_text() for label in right.get_yticklabels()] == [
        "64.6%\nbase 58.2%",
        "61.5%\nbase 50.4%",
        "53.1%  (-11.5)\nbase 58.2%",
        "55.0%  (+1.9)\nbase 58.2%",
    ]


def test_a_bar_reaches_from_the_accuracy_before_to_the_accuracy_now_and_the_control_has_none() -> None:
    (axes,) = drawn(STEPS).axes
    bars = [
        (round(bar.get_y() + bar.get_height() / 2), round(bar.get_x(), 6), round(bar.get_width(), 6))
        for container in axes.containers
        for bar in container
        if bar.get_width()
    ]
    assert bars == [(2, 64.6, -11.5), (3, 53.1, 1.9)]


def test_the_axis_holds_every_interval_and_base_rate() -> None:
    (axes,) = drawn(STEPS).axes
    assert axes.get_xlim() == pytest.approx((49.1 - 2, 68.6 + 2))
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_the_picture_is_as_large_as_every_other_one_even_with_one_step() -> None:
    assert png(drawn(STEPS)).shape[:2] == (560, 900)
    assert png(drawn(STEPS[:1])).shape[:2] == (560, 900)

"""The explanation as a waterfall: from the inflated accuracy at the top to the honest one at the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from training.explain import Explanation
from training.explain_score import Step
from training.plot_frame import BLUE, GREEN, GREY, INK, MUTED, ORANGE, RED, frame, legend_above

LABEL_WIDTH = 26
MARGIN_POINTS = 2.0


def waterfall(explanation: Explanation, subject: str) -> Figure:
    """Accuracy of every step with its 95% interval and base rate; from step to step what the fault was worth.

    Args:
        explanation: The steps.
        subject: Whose bars they are.
    """
    steps = explanation.steps
    facts = f"{subject} · {explanation.bars:,} bars · tested after {explanation.splits.test_end}"
    figure, (axes,) = frame("From the reported accuracy to the honest one", facts)
    places = np.arange(len(steps))
    _draw_changes(axes, steps)
    for place, step in zip(places, steps, strict=True):
        _draw_step(axes, float(place), step)
    _name_marks(axes)
    axes.set_xlim(*_span(steps))
    axes.set_ylim(len(steps) - 0.4, -0.6)
    axes.set_yticks(places, [fill(step.step, LABEL_WIDTH) for step in steps], fontsize=9.5)
    figures = axes.secondary_yaxis("right")
    figures.set_yticks(places, [_told(step) for step in steps], fontsize=9.5)
    figures.tick_params(length=0, colors=INK)
    figures.spines["right"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}%"))
    axes.set_xlabel("correct next-bar directions (the axis does not begin at 0)")
    legend_above(axes, columns=4)
    return figure


def _told(step: Step) -> str:
    change = "" if step.change is None else f"  ({round(step.change, 1) + 0.0:+.1f})"
    return f"{step.accuracy:.1f}%{change}\nbase {step.base_rate:.1f}%"


def _draw_changes(axes: Axes, steps: Sequence[Step]) -> None:
    """A bar from the accuracy before to the accuracy now, and a line that carries it down to its own step."""
    before: tuple[float, float] | None = None
    for place, step in enumerate(steps):
        if step.is_control:
            continue
        if before is not None:
            there, accuracy = before
            change = step.accuracy - accuracy
            axes.plot([accuracy, accuracy], [there, place], color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
            axes.barh(place, change, left=accuracy, height=0.52, color=RED if change < 0 else GREEN, alpha=0.28)
        before = place, step.accuracy


def _draw_step(axes: Axes, place: float, step: Step) -> None:
    colour = GREY if step.is_control else BLUE
    low, high = step.accuracy_ci_95
    axes.plot([low, high], [place, place], color=colour, linewidth=1.8, zorder=3)
    face = "white" if step.is_control else colour
    axes.plot(step.accuracy, place, marker="o", markersize=7, color=colour, markerfacecolor=face, zorder=4)
    axes.plot([step.base_rate] * 2, [place - 0.36, place + 0.36], color=ORANGE, linewidth=2.2, zorder=2)


def _name_marks(axes: Axes) -> None:
    axes.plot([], [], color=BLUE, marker="o", linewidth=1.8, label="accuracy, 95% interval")
    axes.plot([], [], color=GREY, marker="o", markerfacecolor="white", linewidth=1.8, label="on a random walk")
    axes.plot([], [], color=ORANGE, linewidth=2.2, label="base rate")
    axes.barh([0], [0], color=RED, alpha=0.28, label="change")


def _span(steps: Sequence[Step]) -> tuple[float, float]:
    drawn = [value for step in steps for value in (*step.accuracy_ci_95, step.base_rate)]
    return max(0.0, min(drawn) - MARGIN_POINTS), min(100.0, max(drawn) + MARGIN_POINTS)

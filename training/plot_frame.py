"""The one look of all figures: size, colours, title, axes and notes.

Built on matplotlib's object-oriented API without pyplot, so nothing is global and figures may be drawn in any thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

SIZE_INCHES = (9.0, 5.6)
"""900 × 560 pixels at 100 dpi."""

INK, MUTED, GRID = "#222222", "#6b6b6b", "#e3e3e3"
# Okabe and Ito's colours: told apart by colour-blind readers too.
BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#d55e00", "#009e73", "#b2182b", "#8c8c8c"
SPLIT_COLOURS = {"TRAIN": GREY, "TEST": BLUE, "VALIDATE": ORANGE}


def frame(title: str, subject: str, *, rows: Sequence[int] = (1,), columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with its title and panels, top to bottom, then left to right.

    Args:
        title: What is shown.
        subject: Whom it is about, on the title's second line.
        rows: Relative heights of panels that stand above each other and share the horizontal axis.
        columns: Panels beside each other.
    """
    figure = Figure(figsize=SIZE_INCHES, layout="constrained", facecolor="white")
    figure.suptitle(f"{title}\n{subject}", fontsize=13, color=INK, x=0.012, ha="left", linespacing=1.4)
    grid = figure.subplots(
        len(rows), columns, sharex="col" if len(rows) > 1 else "none", squeeze=False, height_ratios=rows
    )
    panels: list[Axes] = list(grid.T.ravel())
    for axes in panels:
        axes.grid(visible=True, color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED)
        axes.tick_params(colors=INK, labelsize=10.5)
        axes.xaxis.label.set_fontsize(11)
        axes.yaxis.label.set_fontsize(11)
    return figure, panels


def note(axes: Axes, text: str) -> None:
    """Say in the middle of a panel why it is empty."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 6}
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, fontsize=13, bbox=box)


def legend_above(axes: Axes, columns: int) -> None:
    """A legend between title and panel, where it hides nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, fontsize=10, frameon=False, borderpad=0.2)


def percent_axis(axes: Axes, which: str) -> None:
    """Write shares as percentages on the axes named (`x`, `y` or `xy`)."""
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if name in which:
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.4g}%"))


def count_axis(axes: Axes) -> None:
    """Whole, few, readable counts on the vertical axis, from 0."""
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def date_axis(axes: Axes) -> None:
    """Concise dates on the horizontal axis."""
    locator = AutoDateLocator(minticks=3, maxticks=10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))

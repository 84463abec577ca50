"""Figures that people look at before they believe a model: arrays in, a matplotlib `Figure` out.

Degenerate input (no rows, one class, one probability) gives a readable figure with a note, because a run must not fail
over its pictures. Everywhere `actual` is 1 when the next bar closed higher, else 0, and NaN while that is unknown: such
rows are left out. `subject` stands in the title; it says whose results these are and whether the bars are real or
simulated, so that one is never taken for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as roc_points

from training.plot_data import DateArray, FloatArray, by_month, known, reliability, span, wilson
from training.plot_frame import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MUTED,
    ORANGE,
    RED,
    SPLIT_COLOURS,
    count_axis,
    date_axis,
    frame,
    legend_above,
    note,
    percent_axis,
)

MAX_CURVE_POINTS = 600
TOP_FEATURES = 20
CORNER_ROOM = 0.05


class SignalThresholds(Protocol):
    """Probabilities that make a signal (`buy`, `sell`) and HIGH confidence (`high`, mirrored around 1/2)."""

    @property
    def buy(self) -> float:
        """BUY from here on."""
        ...

    @property
    def sell(self) -> float:
        """SELL up to here."""
        ...

    @property
    def high(self) -> float:
        """HIGH confidence from here on."""
        ...


def roc_curve(actual: npt.ArrayLike, probability: npt.ArrayLike, splits: npt.ArrayLike, subject: str) -> Figure:
    """ROC curve of every split beside a coin's diagonal, and the same curves as their height above it.

    Args:
        actual: Shape (rows,), see the module.
        probability: Shape (rows,), in [0, 1].
        splits: Shape (rows,), the `data_split` of each row.
        subject: Whose results these are.
    """
    figure, (curve, lift) = frame("ROC: does the probability rank up bars above down bars?", subject, columns=2)
    labels, scores, names = known(actual, probability, splits)
    curve.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="coin: AUC 0.500")
    lift.axhline(0, color=MUTED, linewidth=1, linestyle="--")
    for name in dict.fromkeys(names):
        mine = names == name
        count, colour = f"n = {int(mine.sum()):,}", SPLIT_COLOURS.get(str(name), GREEN)
        if len(np.unique(labels[mine])) < 2:
            curve.plot([], [], color=colour, label=f"{name}: one class only ({count})")
            continue
        false_rate, true_rate, _ = roc_points(labels[mine], scores[mine])
        shown = np.unique(np.linspace(0, len(false_rate) - 1, MAX_CURVE_POINTS).astype(int))
        false_rate, true_rate = false_rate[shown], true_rate[shown]
        area = roc_auc_score(labels[mine], scores[mine])
        curve.plot(false_rate, true_rate, color=colour, linewidth=1.8, label=f"{name}: AUC {area:.3f} ({count})")
        lift.plot(false_rate, true_rate - false_rate, color=colour, linewidth=1.8)
    if len(names) == 0:
        note(curve, "no row with a known label")
    curve.set(xlim=(0, 1), ylim=(0, 1), ylabel="up bars called up (true positives)")
    lift.set(xlim=(0, 1), ylabel="height above the coin")
    low, high = lift.get_ylim() if lift.lines[1:] else (-0.01, 0.05)
    lift.set_ylim(min(low, -0.005), max(high, 0.02))
    for axes in (curve, lift):
        axes.set_xlabel("down bars called up (false positives)")
        percent_axis(axes, "xy")
    curve.legend(loc="lower right", fontsize=9.5, frameon=True, framealpha=0.9, edgecolor="none", borderpad=0.2)
    return figure


def calibration_curve(
    actual: npt.ArrayLike, probability: npt.ArrayLike, subject: str, raw: npt.ArrayLike | None = None
) -> Figure:
    """Reliability: share of up bars against the probability predicted, in bins of equal counts, above a histogram.

    Args:
        actual: Shape (rows,), see the module.
        probability: Shape (rows,), in [0, 1].
        subject: Whose results these are.
        raw: Shape (rows,), the probabilities before calibration; drawn beside the others where they differ.

    Returns:
        The figure. Intervals are Wilson's over rows; bars of one day move together, so they are too narrow rather than
        too wide.
    """
    title = "Calibration: do bars called 55% close higher 55% of the time?"
    figure, (axes, counts) = frame(title, subject, rows=(3, 1))
    labels, scores, _ = known(actual, probability)
    before = scores if raw is None else known(actual, raw)[1]
    low, high = span(np.concatenate((scores, before)))
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1.2, linestyle="--", label="perfect")
    if len(labels):
        mean, share, below, above = reliability(labels, scores)
        axes.axhline(labels.mean(), color=ORANGE, linewidth=1.2, label=f"share of up bars {labels.mean():.1%}")
        label = f"bins of equal counts, 95% interval (n = {len(labels):,})"
        error = (share - below, above - share)
        axes.errorbar(mean, share, yerr=error, color=BLUE, marker="o", markersize=5, capsize=3, label=label)
        if not np.array_equal(before, scores):
            mean, share, _, _ = reliability(labels, before)
            axes.plot(mean, share, color=GREEN, linewidth=1.2, marker="x", markersize=5, label="before calibration")
        counts.hist(scores, bins=np.linspace(low, high, 61).tolist(), color=GREY)
    else:
        note(axes, "no row with a known label")
    percent_axis(axes, "y")
    percent_axis(counts, "x")
    axes.set(xlim=(low, high), ylabel="share that closed higher")
    counts.set(xlabel="predicted probability of a higher next close", ylabel="rows")
    count_axis(counts)
    legend_above(axes, columns=2)
    return figure


def accuracy_by_month(
    actual: npt.ArrayLike,
    probability: npt.ArrayLike,
    dates: DateArray,
    subject: str,
    splits: npt.ArrayLike | None = None,
) -> Figure:
    """Accuracy by calendar month beside the base rate of the same rows, above the rows per month.

    Args:
        actual: Shape (rows,), see the module.
        probability: Shape (rows,), in [0, 1]; up is predicted from 0.5 on.
        dates: Shape (rows,), each bar's stamp.
        subject: Whose results these are.
        splits: Shape (rows,), the `data_split` of each row; the first bar of each is marked.

    Returns:
        The figure. Intervals are Wilson's over rows; bars of one day move together, so they are too narrow rather than
        too wide.
    """
    labels, scores, names = known(actual, probability, splits)
    stamps = np.asarray(dates, dtype="datetime64[D]")[~np.isnan(np.asarray(actual, dtype=np.float64))]
    months, rows, correct, ups = by_month(stamps, labels, scores)
    base_rate = np.maximum(ups, rows - ups)
    total = max(rows.sum(), 1.0)
    overall = (
        f"all months: accuracy {correct.sum() / total:.1%}, base rate {max(ups.sum(), (rows - ups).sum()) / total:.1%}"
    )
    figure, (axes, counts) = frame(
        "Accuracy by month beside its base rate", f"{subject} · {overall}" if len(months) else subject, rows=(3, 1)
    )
    axes.axhline(0.5, color=MUTED, linewidth=1, linestyle=":")
    if len(months):
        middle = date2num(months.astype("datetime64[D]")) + 14
        _draw_months(axes, middle, correct, base_rate, rows)
        counts.bar(middle, rows, width=24, color=GREY)
        for name in dict.fromkeys(names):
            _mark_start(axes, str(name), float(date2num(stamps[names == name].min())))
        counts.set_xlim(middle[0] - 30, middle[-1] + 30)
        date_axis(counts)
        legend_above(axes, columns=3)
    else:
        note(axes, "no month with a known label")
        counts.set_xticks([])
    percent_axis(axes, "y")
    axes.set_ylabel("correct directions")
    counts.set(xlabel="month (UTC)", ylabel="rows")
    count_axis(counts)
    return figure


def feature_importance(gains: Mapping[str, float], subject: str) -> Figure:
    """The features that split best.

    Args:
        gains: Feature -> mean loss reduction of its splits, as `Booster.get_score(importance_type="gain")` gives it;
            features that were never used are absent or 0.
        subject: Whose model it is.
    """
    used = sorted(((gain, name) for name, gain in gains.items() if gain > 0), key=lambda item: (-item[0], item[1]))
    top = used[:TOP_FEATURES]
    shown = f"top {len(top)} of {len(used)} used" if len(used) > len(top) else f"{len(used)} used"
    figure, (axes,) = frame(f"Feature importance by gain: {shown}", subject)
    if top:
        axes.barh(np.arange(len(top)), [gain for gain, _ in top], color=BLUE, height=0.7)
        axes.set_yticks(np.arange(len(top)), [name for _, name in top], fontsize=10)
        axes.set_ylim(max(len(top), 6) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
    else:
        note(axes, "no feature was used: the model is a constant")
        axes.set_yticks([])
    axes.set_xlabel("gain: mean reduction of the log-loss objective by a split on the feature")
    return figure


def probability_histogram(probability: npt.ArrayLike, thresholds: SignalThresholds, subject: str) -> Figure:
    """Histogram of the probabilities with the thresholds of signals and of HIGH confidence.

    Args:
        probability: Shape (rows,), in [0, 1].
        thresholds: Those in force.
        subject: Whose results these are.
    """
    scores = np.asarray(probability, dtype=np.float64)
    buys, sells = int((scores >= thresholds.buy).sum()), int((scores <= thresholds.sell).sum())
    facts = f"{len(scores):,} rows"
    if len(scores):
        facts += f" from {scores.min():.3f} to {scores.max():.3f}"
        facts += "" if buys + sells else " · no signal: every row is HOLD"
    figure, (axes,) = frame("Probabilities and what they signal", f"{subject} · {facts}")
    low, high = span(np.append(scores, [thresholds.high + CORNER_ROOM, 1 - thresholds.high - CORNER_ROOM]))
    axes.axvspan(low, thresholds.sell, color=RED, alpha=0.08, linewidth=0)
    axes.axvspan(thresholds.buy, high, color=GREEN, alpha=0.08, linewidth=0)
    for edge in (thresholds.high, 1 - thresholds.high):
        axes.axvline(edge, color=MUTED, linewidth=1.2, linestyle=":")
    axes.axvline(thresholds.buy, color=GREEN, linewidth=1.5)
    axes.axvline(thresholds.sell, color=RED, linewidth=1.5)
    if len(scores):
        axes.hist(scores, bins=np.linspace(low, high, 121).tolist(), color=BLUE)
    else:
        note(axes, "no prediction")
    count_axis(axes)
    axes.set(xlim=(low, high), ylim=(0, axes.get_ylim()[1] * 1.2), ylabel="rows")
    _corner(axes, 0.015, "left", f"SELL ≤ {thresholds.sell:.2f}\n{sells:,} rows", RED)
    _corner(axes, 0.985, "right", f"BUY ≥ {thresholds.buy:.2f}\n{buys:,} rows", GREEN)
    axes.set_xlabel("predicted probability of a higher next close (dotted: HIGH confidence)")
    percent_axis(axes, "x")
    return figure


def _draw_months(axes: Axes, middle: FloatArray, correct: FloatArray, base: FloatArray, rows: FloatArray) -> None:
    below, above = wilson(correct, rows)
    if len(middle) > 1:
        axes.fill_between(middle, below, above, color=BLUE, alpha=0.15, linewidth=0, label="95% interval of accuracy")
    else:
        axes.vlines(middle, below, above, color=BLUE, alpha=0.3, linewidth=6, label="95% interval of accuracy")
    axes.plot(middle, base / rows, color=ORANGE, linewidth=1.6, marker="s", markersize=3, label="base rate (majority)")
    axes.plot(middle, correct / rows, color=BLUE, linewidth=1.6, marker="o", markersize=3.5, label="accuracy")


def _mark_start(axes: Axes, name: str, start: float) -> None:
    axes.axvline(start, color=INK, linewidth=1, linestyle="--")
    axes.text(start, 0.03, f" {name}", transform=axes.get_xaxis_transform(), color=INK, fontsize=10)


def _corner(axes: Axes, x: float, side: str, text: str, colour: str) -> None:
    axes.text(x, 0.97, text, transform=axes.transAxes, ha=side, va="top", color=colour, fontsize=11, weight="bold")

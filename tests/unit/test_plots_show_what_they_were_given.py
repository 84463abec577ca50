"""Figures carry the numbers of their input, and draw degenerate input instead of failing on it."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.testing import assert_allclose
from scipy.stats import binomtest, mannwhitneyu

from configs.settings import ThresholdSettings
from training import plots

SUBJECT = "crypto, SIMULATED bars"
THRESHOLDS = ThresholdSettings(buy=0.6, sell=0.4, high=0.65, medium=0.55)
NOTHING: list[float] = []
NO_DATES = np.array([], dtype="datetime64[us]")


def days(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


def texts(figure: Figure) -> str:
    found = [figure.get_suptitle()]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [axes.get_xlabel(), axes.get_ylabel()]
        if (legend := axes.get_legend()) is not None:
            found += [text.get_text() for text in legend.get_texts()]
    return "\n".join(found)


def line(figure: Figure, label: str, panel: int = 0) -> np.ndarray:
    return next(np.asarray(item.get_ydata()) for item in figure.axes[panel].lines if item.get_label() == label)


def png(figure: Figure) -> np.ndarray:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    stream.seek(0)
    return imread(stream)


def scored(count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    probability = random.uniform(0.3, 0.7, count).round(3)
    return (random.random(count) < probability).astype(int), probability


def test_the_auc_of_every_split_is_the_share_of_pairs_ranked_right() -> None:
    actual, probability = scored()
    splits = np.where(np.arange(3000) < 1000, "TEST", "VALIDATE")
    shown = texts(plots.roc_curve(actual, probability, splits, SUBJECT))
    for name, mine in (("TEST", splits == "TEST"), ("VALIDATE", splits == "VALIDATE")):
        ups, downs = probability[mine & (actual == 1)], probability[mine & (actual == 0)]
        area = mannwhitneyu(ups, downs).statistic / (len(ups) * len(downs))
        assert f"{name}: AUC {area:.3f} (n = {mine.sum():,})" in shown


def test_the_lift_panel_is_the_curve_minus_the_diagonal() -> None:
    figure = plots.roc_curve([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8], ["TEST"] * 4, SUBJECT)
    curve, lift = figure.axes[0].lines[1], figure.axes[1].lines[1]
    assert_allclose(lift.get_ydata(), np.asarray(curve.get_ydata()) - np.asarray(curve.get_xdata()))
    assert max(lift.get_ydata()) == 1.0


def test_bins_of_the_calibration_curve_hold_equal_counts_and_their_own_share_of_ups() -> None:
    probability = np.repeat(np.arange(0.05, 1.0, 0.1), 20)
    actual = (np.tile(np.arange(20), 10) < np.repeat(np.arange(10), 20)).astype(float)
    figure = plots.calibration_curve(actual, probability, SUBJECT)
    bars = figure.axes[0].containers[0]
    points, _, (interval,) = bars.lines
    assert_allclose(points.get_xdata(), np.arange(0.05, 1.0, 0.1))
    assert_allclose(points.get_ydata(), np.arange(10) / 20)
    for place, (low, high) in enumerate(np.array(interval.get_segments())[:, :, 1]):
        expected = binomtest(place, 20).proportion_ci(method="wilson")
        assert_allclose((low, high), (expected.low, expected.high), atol=1e-12)


def test_probabilities_before_calibration_are_drawn_beside_those_after_it() -> None:
    raw = np.repeat([0.3, 0.7], 50)
    actual = np.tile([1, 0, 0, 0, 1], 20)
    figure = plots.calibration_curve(actual, np.full(100, 0.4), SUBJECT, raw)
    assert_allclose(line(figure, "before calibration"), [0.4, 0.4])
    assert "before calibration" not in texts(plots.calibration_curve(actual, raw, SUBJECT, raw))


def test_equal_probabilities_are_never_torn_into_two_bins() -> None:
    probability = np.array([0.5] * 95 + [0.6] * 5)
    figure = plots.calibration_curve(np.ones(100), probability, SUBJECT)
    points = figure.axes[0].containers[0].lines[0]
    assert_allclose(points.get_xdata(), [0.5, 0.6])


def test_accuracy_by_month_counts_each_month_on_its_own_beside_its_base_rate() -> None:
    dates = days("2024-01-02", "2024-01-31", "2024-01-31", "2024-02-01", "2024-04-30", "2024-04-30")
    actual = [1, 1, 0, 0, 1, 0]
    probability = [0.50, 0.51, 0.6, 0.49, 0.4, 0.6]
    figure = plots.accuracy_by_month(actual, probability, dates, SUBJECT)
    assert_allclose(line(figure, "accuracy"), [2 / 3, 1, 0])
    assert_allclose(line(figure, "base rate (majority)"), [2 / 3, 1, 1 / 2])
    assert [bar.get_height() for bar in figure.axes[1].patches] == [3, 1, 2]
    assert "all months: accuracy 50.0%, base rate 50.0%" in texts(figure)


def test_rows_without_a_label_do_not_count_anywhere() -> None:
    actual, probability = np.array([1.0, np.nan, 0.0, np.nan]), np.array([0.6, 0.9, 0.7, 0.1])
    dates = days("2024-01-02", "2024-02-02", "2024-01-05", "2024-03-01")
    monthly = plots.accuracy_by_month(actual, probability, dates, SUBJECT, ["TEST", "VALIDATE", "TEST", "VALIDATE"])
    assert [bar.get_height() for bar in monthly.axes[1].patches] == [2]
    assert "VALIDATE" not in texts(monthly)
    assert "(n = 2)" in texts(plots.roc_curve(actual, probability, ["TEST"] * 4, SUBJECT))
    assert "(n = 2)" in texts(plots.calibration_curve(actual, probability, SUBJECT))


def test_the_start_of_each_split_is_marked() -> None:
    dates = days("2023-12-28", "2023-12-29", "2024-01-02", "2024-02-02")
    figure = plots.accuracy_by_month([1, 0, 1, 0], [0.6] * 4, dates, SUBJECT, ["TEST", "TEST", "VALIDATE", "VALIDATE"])
    marks = {text.get_text().strip(): text.get_position()[0] for text in figure.axes[0].texts}
    assert marks == {"TEST": 19719.0, "VALIDATE": 19724.0}  # days since 1970-01-01


def test_importance_shows_twenty_features_best_first() -> None:
    gains = {f"f{i:02d}": float(i) for i in range(25)}
    figure = plots.feature_importance(gains, SUBJECT)
    assert "top 20 of 24 used" in figure.get_suptitle()
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["f24", "f23"]
    assert len(labels) == 20
    assert [bar.get_width() for bar in figure.axes[0].patches][:2] == [24.0, 23.0]


def test_the_histogram_counts_signals_with_their_thresholds_included() -> None:
    figure = plots.probability_histogram([0.4, 0.35, 0.41, 0.59, 0.6], THRESHOLDS, SUBJECT)
    assert "SELL ≤ 0.40\n2 rows" in texts(figure)
    assert "BUY ≥ 0.60\n1 rows" in texts(figure)
    assert "5 rows from 0.350 to 0.600" in figure.get_suptitle()
    assert sum(bar.get_height() for bar in figure.axes[0].patches[2:]) == 5


def test_no_signal_is_said_in_words() -> None:
    assert "no signal: every row is HOLD" in texts(plots.probability_histogram([0.5, 0.52], THRESHOLDS, SUBJECT))
    assert "no signal" not in texts(plots.probability_histogram([0.5, 0.62], THRESHOLDS, SUBJECT))


DEGENERATE = {
    "no rows, roc": (lambda: plots.roc_curve(NOTHING, NOTHING, [], SUBJECT), "no row with a known label"),
    "one class": (lambda: plots.roc_curve([1, 1], [0.5, 0.6], ["TEST"] * 2, SUBJECT), "TEST: one class only (n = 2)"),
    "one row": (lambda: plots.roc_curve([1], [0.5], ["TEST"], SUBJECT), "TEST: one class only (n = 1)"),
    "no label known": (lambda: plots.calibration_curve([np.nan] * 3, [0.5] * 3, SUBJECT), "no row with a known label"),
    "one probability": (lambda: plots.calibration_curve([1, 0], [0.5, 0.5], SUBJECT), "(n = 2)"),
    "certain": (lambda: plots.calibration_curve([1, 0, 1], [1.0, 0.0, 1.0], SUBJECT), "(n = 3)"),
    "no month": (lambda: plots.accuracy_by_month(NOTHING, NOTHING, NO_DATES, SUBJECT), "no month with a known label"),
    "one month": (lambda: plots.accuracy_by_month([1], [0.5], days("2024-03-01"), SUBJECT), "accuracy 100.0%"),
    "no feature used": (lambda: plots.feature_importance({"rsi": 0.0}, SUBJECT), "the model is a constant"),
    "one feature": (lambda: plots.feature_importance({"rsi": 3.0}, SUBJECT), "1 used"),
    "no prediction": (lambda: plots.probability_histogram(NOTHING, THRESHOLDS, SUBJECT), "no prediction"),
    "constant model": (lambda: plots.probability_histogram([0.5] * 9, THRESHOLDS, SUBJECT), "every row is HOLD"),
}


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.filterwarnings("error")
def test_degenerate_input_is_drawn_with_a_note(case: str) -> None:
    draw, said = DEGENERATE[case]
    figure = draw()
    assert png(figure).shape[:2] == (560, 900)
    assert said in texts(figure)
    assert SUBJECT in figure.get_suptitle()


@pytest.mark.filterwarnings("error")
def test_every_figure_names_its_axes_and_leaves_no_global_state() -> None:
    actual, probability = scored()
    dates = np.datetime64("2023-01-01", "us") + np.arange(3000).astype("timedelta64[D]")
    splits = ["TEST"] * 3000
    for figure in (
        plots.roc_curve(actual, probability, splits, SUBJECT),
        plots.calibration_curve(actual, probability, SUBJECT),
        plots.accuracy_by_month(actual, probability, dates, SUBJECT, splits),
        plots.feature_importance({"rsi": 1.0, "adx": 2.0}, SUBJECT),
        plots.probability_histogram(probability, THRESHOLDS, SUBJECT),
    ):
        assert png(figure).std() > 0
        assert figure.axes[-1].get_xlabel()
        assert all(axes.get_ylabel() or axes.get_yticklabels() for axes in figure.axes)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []

"""Evidently asked about a sample; the one module that imports it, and it is itself imported only when a page is made.

Evidently decides on telemetry while it works and imports two web servers, so the variables are set before the import.
"""

from __future__ import annotations

import os

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("EVIDENTLY_DISABLE_TELEMETRY", "1")

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import polars as pl
from scipy.stats import ks_2samp

with warnings.catch_warnings():  # of what Evidently imports: none of it is about our calls
    warnings.simplefilter("ignore")
    from evidently import BinaryClassification, DataDefinition, Dataset, Report, __version__
    from evidently.core.metric_types import render_widgets
    from evidently.core.report import Context, Snapshot, _default_input_data_generator
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType
    from evidently.legacy.metrics import DataDriftTable
    from evidently.legacy.renderers.html_widgets import group_widget
    from evidently.presets import ClassificationPreset, DataDriftPreset

from configs.reports import DISTANCE, CategoryRule, NumericRule, ReportSettings
from monitoring.reports_data import DriftData, Measured, PerformanceData, plain_number
from monitoring.reports_names import DAY, OUTCOME, PREDICTED, PROBABILITY, title_of, value_names

VERSION: Final[str] = __version__
UP, DOWN = "UP", "DOWN"

_WHOLE: Final = "all"
_PERFORMANCE: Final = {
    "Accuracy": "accuracy",
    "Precision": "precision",
    "Recall": "recall",
    "F1Score": "f1_score",
    "RocAuc": "roc_auc",
    "LogLoss": "log_loss",
}


@dataclass(frozen=True)
class Asked:
    """Evidently's answer.

    Attributes:
        measured: Its figures.
        widgets: What it draws.
        left_out: Feature -> why Evidently was not asked about it.
    """

    measured: tuple[Measured, ...]
    widgets: Sequence[Any]
    left_out: dict[str, str]


class _DriftTable(DataDriftPreset):  # type: ignore[misc]  # Evidently comes without types
    """Evidently's preset with its table alone.

    The preset draws each column once more, for a metric of its own that it does not show: two fifths of the work.
    """

    def generate_metrics(self, context: Context) -> list[Any]:
        """Only the count of drifted columns; the table is made while the page is drawn."""
        return list(super().generate_metrics(context))[:1]

    def found(self, context: Context) -> Any:
        """What the table says about each column."""
        table = DataDriftTable(
            columns=self.columns,
            num_stattest=self.num_method,
            cat_stattest=self.cat_method,
            per_column_stattest_threshold=self.per_column_threshold,
            num_stattest_threshold=self.num_threshold,
            cat_stattest_threshold=self.cat_threshold,
        )
        return context.get_legacy_metric(table, _default_input_data_generator, None)[0]


def ask_about_drift(data: DriftData, reports: ReportSettings, limits: Mapping[str, float]) -> Asked:
    """Compare every feature of the newest days with the training rows.

    A feature without any value on one side, or with one and the same value on both, is left out.

    Args:
        data: The samples.
        reports: Methods, and thresholds of features without a limit of their own.
        limits: Feature -> largest distance that is usual; for the method `ks_distance` only.
    """
    left_out = {name: why for name in data.features if (why := _unfit(data, name)) is not None}
    features = [name for name in data.features if name not in left_out]
    if not features:
        return Asked((), (), left_out)
    numbers = [title_of(name) for name in features if value_names(name) is None]
    categories = [title_of(name) for name in features if value_names(name) is not None]
    definition = DataDefinition(timestamp=DAY, numerical_columns=numbers, categorical_columns=categories)
    _know_distance()
    own = {
        title_of(name): limits[name] for name in features if name in limits and _rule(reports, name).method == DISTANCE
    }
    preset = _DriftTable(
        columns=[*numbers, *categories],
        per_column_threshold=own,
        drift_share=reports.drift_share,
        num_method=reports.numbers.method,
        num_threshold=reports.numbers.threshold,
        cat_method=reports.categories.method,
        cat_threshold=reports.categories.threshold,
    )
    with _quiet():
        snapshot = Report([preset]).run(
            Dataset.from_pandas(_feature_frame(data.current.rows, features), data_definition=definition),
            Dataset.from_pandas(_feature_frame(data.reference.rows, features), data_definition=definition),
        )
        found = preset.found(snapshot.context)
    measured = tuple(_drift_figures(found, features, reports))
    return Asked(measured, snapshot.to_snapshot_model().widgets, left_out)


def ask_about_performance(data: PerformanceData, *, with_reference: bool) -> Asked:
    """Measure the predictions of the newest days, beside those of the days before them.

    Args:
        data: Both directions occur among the outcomes of each window that is used.
        with_reference: Whether the days before are shown too.
    """
    definition = DataDefinition(
        timestamp=DAY,
        classification=[
            BinaryClassification(
                target=OUTCOME, prediction_labels=PREDICTED, prediction_probas=PROBABILITY, pos_label=UP
            )
        ],
        numerical_columns=[PROBABILITY],
        categorical_columns=[OUTCOME, PREDICTED],
    )
    current = Dataset.from_pandas(_prediction_frame(data.current.rows), data_definition=definition)
    reference = (
        Dataset.from_pandas(_prediction_frame(data.reference.rows), data_definition=definition)
        if with_reference
        else None
    )
    with _quiet():
        snapshot = Report([ClassificationPreset()]).run(current, reference)
    measured = tuple(_performance_figures(snapshot, with_reference=with_reference))
    return Asked(measured, snapshot.to_snapshot_model().widgets, {})


def draw_page(parts: Sequence[tuple[str, Sequence[Any]]]) -> str:
    """Evidently's own page of titled parts: one HTML document with its library in it."""
    groups = [group_widget(title=title, widgets=list(widgets)) for title, widgets in parts if widgets]
    html: str = render_widgets(groups, as_iframe=False)
    return html


@contextmanager
def _quiet() -> Iterator[None]:
    """Evidently divides by deviations of zero and warns about its own calls; neither is about our data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _unfit(data: DriftData, name: str) -> str | None:
    current, reference = data.current.rows[name].drop_nulls(), data.reference.rows[name].drop_nulls()
    if current.is_empty():
        return "it has no value in the newest days"
    if reference.is_empty():
        return "it had no value in training"
    if current.n_unique() == reference.n_unique() == 1 and current[0] == reference[0]:
        return f"it is always {current[0]:g}, then and now"
    return None


def _feature_frame(rows: pl.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    columns: dict[str, Any] = {DAY: _days(rows)}
    for name in features:
        words = value_names(name)
        values = rows[name] if words is None else rows[name].replace_strict(words, default=None, return_dtype=pl.String)
        columns[title_of(name)] = values.to_numpy() if words is None else values.to_list()
    return pd.DataFrame(columns)


def _prediction_frame(rows: pl.DataFrame) -> pd.DataFrame:
    direction = rows.select(
        outcome=pl.when("is_up").then(pl.lit(UP)).otherwise(pl.lit(DOWN)),
        predicted=pl.when(pl.col("up_probability") >= 0.5).then(pl.lit(UP)).otherwise(pl.lit(DOWN)),
    )
    return pd.DataFrame(
        {
            DAY: _days(rows),
            OUTCOME: direction["outcome"].to_list(),
            PREDICTED: direction["predicted"].to_list(),
            PROBABILITY: rows["up_probability"].to_numpy(),
        }
    )


def _days(rows: pl.DataFrame) -> Any:
    """Naive UTC stamps: Evidently's plots know no zones."""
    return rows["datetime"].dt.replace_time_zone(None).to_numpy()


def _rule(reports: ReportSettings, feature: str) -> NumericRule | CategoryRule:
    return reports.numbers if value_names(feature) is None else reports.categories


def _know_distance() -> None:
    """Teach Evidently the tables' figure; teaching it again changes nothing."""
    both = [ColumnType.Numerical, ColumnType.Categorical]
    register_stattest(StatTest(DISTANCE, "Kolmogorov-Smirnov distance", both, 0.2), _distance)


def _distance(
    reference: pd.Series, current: pd.Series, feature_type: ColumnType, threshold: float
) -> tuple[float, bool]:
    """Largest difference of the distribution functions; categories in the order of their names."""
    if feature_type == ColumnType.Categorical:
        codes = {label: code for code, label in enumerate(sorted({*reference, *current}))}
        reference, current = reference.map(codes), current.map(codes)
    found = float(ks_2samp(reference, current, method="asymp").statistic)
    return found, found > threshold


def _drift_figures(found: Any, features: Sequence[str], reports: ReportSettings) -> Iterator[Measured]:
    yield Measured("drifted_columns_count", _WHOLE, float(found.number_of_drifted_columns))
    share, limit = float(found.share_of_drifted_columns), reports.drift_share
    yield Measured("drifted_columns_share", _WHOLE, share, None, limit, share >= limit)
    for name in features:
        one = found.drift_by_columns[title_of(name)]
        value, threshold = plain_number(one.drift_score), plain_number(one.stattest_threshold)
        drifted = None if value is None else bool(one.drift_detected)
        yield Measured("value_drift", name, value, _rule(reports, name).method, threshold, drifted)


def _performance_figures(snapshot: Snapshot, *, with_reference: bool) -> Iterator[Measured]:
    for metric_id, result in snapshot.metric_results.items():
        kind = snapshot.context.get_metric(metric_id).to_metric().__class__.__name__
        if kind not in _PERFORMANCE:
            continue
        yield Measured(_PERFORMANCE[kind], "current", plain_number(result.value))
        if with_reference:
            earlier = snapshot.context.get_reference_metric_result(metric_id)
            yield Measured(_PERFORMANCE[kind], "reference", plain_number(earlier.value))

"""What a report is made of: samples of features and of predictions, and what the tables say about all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import polars as pl

from configs.settings import Settings
from feature_repo.services import INTERACTIONS
from feature_repo.stored import stored_features
from monitoring.conditions import Moment
from monitoring.drift_baseline import WEEK_DAYS
from monitoring.drift_read import newest_stamp
from monitoring.performance import BASELINE_DAYS, RECENT_DAYS, Source
from monitoring.reports_sample import DAYS, MONTHS, Population, Sample, draw
from registry.bundle import BundleInfo
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import ReadConnection

DRIFT_TABLE: Final = "ml_models.feature_distributions"

_RECORD = "`ml_models.walk_forward_predictions_v2`"
_LIVE = "`tradehits.v_live_predictions`"

_TABLE_VERDICTS = f"""
SELECT feature_name, drift_detected, ks_statistic, psi
FROM `{DRIFT_TABLE}`
WHERE date = @date AND asset_type = @asset_type
"""


@dataclass(frozen=True)
class Window:
    """Calendar days, both ends included."""

    first: date
    last: date

    @classmethod
    def ending(cls, last: date, days: int) -> Window:
        """The days that end with `last`."""
        return cls(last - timedelta(days=days - 1), last)

    def parameters(self) -> dict[str, datetime]:
        """Bounds for `datetime >= @start AND datetime < @end`."""
        return {"start": _midnight(self.first), "end": _midnight(self.last + timedelta(days=1))}

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


@dataclass(frozen=True)
class TableVerdict:
    """What `feature_distributions` says about one feature."""

    drifted: bool | None
    ks_statistic: float | None
    psi: float | None


@dataclass(frozen=True)
class DriftData:
    """Features of the champion's training rows and of the newest days.

    Attributes:
        features: In the model's order; columns of both samples' rows, Float64.
        reference: Sample of the training rows.
        current: Sample of the newest days' bars, with `datetime`.
        window: The newest days.
        seen_in_training: Whether some of these days were training rows too.
        tables: Verdict of the tables by feature; empty when the day was not judged.
    """

    features: tuple[str, ...]
    reference: Sample
    current: Sample
    window: Window
    seen_in_training: bool
    tables: Mapping[str, TableVerdict]


@dataclass(frozen=True)
class PerformanceData:
    """Predictions whose outcome is known: the newest days and the days before them.

    Attributes:
        source: live or walk_forward.
        current: Columns `datetime up_probability is_up`; the same of `reference`.
        reference: The days of the baseline.
        window: The newest days.
        baseline: The days before them.
    """

    source: Source
    current: Sample
    reference: Sample
    window: Window
    baseline: Window


@dataclass(frozen=True)
class Measured:
    """One figure of Evidently's.

    Attributes:
        metric: `value_drift`, `drifted_columns_count`, `drifted_columns_share`, `accuracy`, …
        subject: A feature; `current` or `reference` of a performance figure; else `all`.
        value: A p-value for `ks` and `chisquare`, a distance for other methods; None when Evidently could not say.
        method: Of a drift figure.
        threshold: What the value was compared with.
        drifted: Evidently's conclusion; None where it draws none.
    """

    metric: str
    subject: str
    value: float | None
    method: str | None = None
    threshold: float | None = None
    drifted: bool | None = None


def drift_data(read: ReadConnection, settings: Settings, moment: Moment, info: BundleInfo) -> DriftData:
    """Draw the features of a class at a moment, from the rows that `monitoring.drift` compares.

    Args:
        read: One state of the warehouse.
        settings: Sizes and seed.
        moment: The class, and what was known.
        info: The champion's bundle: its features and its training rows.
    """
    reports, asset_type = settings.reports, moment.asset_type
    columns = tuple(
        dict.fromkeys(("symbol", "datetime", *(c for name in info.features for c in INTERACTIONS.get(name, (name,)))))
    )
    table = f"`{FEATURES_TABLE}`"
    trained = Population(
        table,
        columns,
        "asset_type = @asset_type AND label_known_at <= @through",
        MONTHS,
        "months",
        {"asset_type": asset_type, "through": min(info.trained_through, moment.now)},
    )
    window = _newest_days(newest_stamp(read, asset_type, moment.now), moment.date)
    newest = Population(
        table,
        columns,
        "asset_type = @asset_type AND bar_known_at <= @now AND datetime >= @start AND datetime < @end",
        DAYS,
        "days",
        {"asset_type": asset_type, "now": moment.now, **window.parameters()},
    )
    verdicts = read.query(_TABLE_VERDICTS, {"date": moment.date, "asset_type": asset_type}).to_pylist()
    return DriftData(
        features=info.features,
        reference=_with_features(draw(read, trained, reports.reference_rows, reports.seed), info.features),
        current=_with_features(draw(read, newest, reports.current_rows, reports.seed), info.features),
        window=window,
        seen_in_training=info.trained_through > window.parameters()["start"],
        tables={
            row["feature_name"]: TableVerdict(row["drift_detected"], row["ks_statistic"], row["psi"])
            for row in verdicts
        },
    )


def performance_data(
    read: ReadConnection, settings: Settings, moment: Moment, source: Source, newest: date
) -> PerformanceData:
    """Draw predictions with a known outcome from the windows that end with `newest`."""
    window = Window.ending(newest, RECENT_DAYS)
    baseline = Window.ending(window.first - timedelta(days=1), BASELINE_DAYS)
    reports = settings.reports
    samples = [
        draw(read, _predictions(moment, source, days), reports.performance_rows, reports.seed)
        for days in (window, baseline)
    ]
    current, reference = (_replaced(sample, _outcomes(sample.rows)) for sample in samples)
    return PerformanceData(source, current, reference, window, baseline)


def _newest_days(newest_bar: datetime | None, today: date) -> Window:
    """The 7 days that end with the newest bar, or with today when that bar is older: then they are empty."""
    is_recent = newest_bar is not None and newest_bar.date() > today - timedelta(days=WEEK_DAYS)
    return Window.ending(newest_bar.date() if newest_bar is not None and is_recent else today, WEEK_DAYS)


def _predictions(moment: Moment, source: Source, days: Window) -> Population:
    """The rows that `model_performance_daily` counts; their strata are days by outcome, so the base rate stays."""
    known = "asset_type = @asset_type AND datetime >= @start AND datetime < @end AND actual_direction IS NOT NULL"
    if source == "live":
        table, probability, up = _LIVE, "ensemble_up_probability", "actual_direction = 'UP'"
        scope = f"{known} AND NOT is_backfill AND created_at <= @now AND COALESCE(label_known_at <= @now, TRUE)"
    else:
        table, probability, up = _RECORD, "up_probability", "actual_direction = 1"
        scope = f"{known} AND bar_known_at <= @now AND label_known_at <= @now"
    return Population(
        table,
        ("symbol", "datetime", probability, "actual_direction"),
        scope,
        f"({DAYS}) * 10 + IF({up}, 1, 0)",
        "days by outcome",
        {"asset_type": moment.asset_type, "now": moment.now, **days.parameters()},
    )


def _outcomes(rows: pl.DataFrame) -> pl.DataFrame:
    direction = pl.col("actual_direction")
    is_up = direction == ("UP" if rows.schema["actual_direction"] == pl.String else 1)
    return rows.select("datetime", rows.columns[2], is_up.alias("is_up")).rename({rows.columns[2]: "up_probability"})


def _with_features(sample: Sample, features: tuple[str, ...]) -> Sample:
    return _replaced(sample, stored_features(sample.rows, features).with_columns(sample.rows["datetime"]))


def _replaced(sample: Sample, rows: pl.DataFrame) -> Sample:
    return Sample(rows, sample.total, sample.strata, sample.told, sample.seed)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def plain_number(value: Any) -> float | None:
    """A finite float, None for anything else: Evidently gives numpy scalars, and NaN where it cannot say."""
    number = float(value)
    return number if number == number and abs(number) != float("inf") else None

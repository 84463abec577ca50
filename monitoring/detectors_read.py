"""What detectors read: one row a day, of the model's own predictions and of the record before them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from configs.settings import Settings
from market.sequential import DaySums, Floats
from monitoring.conditions import Moment
from monitoring.performance import Source
from warehouse.schema import SQL_FOLDER
from warehouse.warehouse import ReadConnection

_RECENT: Final = timedelta(days=60)
"""A model that predicted nothing for so long before the moment is not found by its rows."""

_CALENDAR_DAYS_A_DAY: Final = 2
"""Days with predictions lie at most so far apart on average: five of seven are sessions, and few are holidays."""


@dataclass(frozen=True)
class Record:
    """A class's days at a moment; frames have a row a day, dates ascending, with the columns of `detector_days.sql`.

    Attributes:
        starts_at: Where the model's own days begin.
        baseline: Newest days of the out-of-sample record before that, outcomes known.
        own: The model's own days with known outcomes.
        open: Its predictions without an outcome on days after the newest with one.
        estimates: All its predictions, known or not.
    """

    starts_at: datetime
    baseline: pl.DataFrame
    own: pl.DataFrame
    open: pl.DataFrame
    estimates: pl.DataFrame

    @property
    def judged_days(self) -> pl.DataFrame:
        """Baseline, then own days with known outcomes."""
        return pl.concat([self.baseline, self.own])

    @property
    def estimated_days(self) -> pl.DataFrame:
        """Baseline, then all own days."""
        return pl.concat([self.baseline, self.estimates])


def read_record(read: ReadConnection, settings: Settings, moment: Moment, source: Source) -> Record | None:
    """The days of a class as they were known at a moment; None while nothing predicts.

    Args:
        read: One state of the warehouse.
        settings: How many days the baseline has.
        moment: Class and instant.
        source: Whose predictions the model's own days hold; the baseline is the out-of-sample record in any case.
    """
    known = {"asset_type": moment.asset_type, "now": moment.now}
    start = read.query(_sql("model_starts"), {**known, "recent": moment.now - _RECENT}).to_pylist()[0]
    if start["starts_at"] is None:
        return None
    days = settings.detectors.baseline_days
    parameters = {
        **known,
        "prediction_source": source,
        "starts_at": start["starts_at"],
        "model_version": start["model_version"] or "",
        "first": start["starts_at"] - timedelta(days=_CALENDAR_DAYS_A_DAY * days),
    }
    rows = pl.DataFrame(read.query(_sql("detector_days"), parameters))
    return _record(start["starts_at"], rows, days)


def _sql(name: str) -> str:
    return (SQL_FOLDER / "performance" / f"{name}.sql").read_text(encoding="utf-8")


def _record(starts_at: datetime, rows: pl.DataFrame, baseline_days: int) -> Record:
    known = rows.filter("is_known")
    own = rows.filter("is_own")
    newest: date | None = known["date"].max()  # type: ignore[assignment]
    unknown = own.filter(~pl.col("is_known"))
    return Record(
        starts_at=starts_at,
        baseline=known.filter(~pl.col("is_own")).tail(baseline_days),
        own=known.filter("is_own"),
        open=unknown if newest is None else unknown.filter(pl.col("date") > newest),
        estimates=_whole_days(own).select(rows.columns),
    )


def _whole_days(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with and without an outcome of one day in one."""
    sums = pl.exclude("is_own", "date", "is_known").sum()
    return rows.group_by("is_own", "date", maintain_order=True).agg(pl.col("is_known").all(), sums).sort("date")


def hits(days: pl.DataFrame) -> DaySums:
    """Right predictions."""
    correct = _floats(days, "correct")
    return DaySums(_floats(days, "predictions"), correct, correct)


def picks(days: pl.DataFrame) -> DaySums:
    """Right predictions beyond what as many UP calls, spread over the day's symbols by lot, would have got.

    With n rows of which u were called UP and m went UP, lots are right u m / n + (n - u)(n - m) / n times.
    """
    rows, up, went = (_floats(days, name) for name in ("predictions", "predicted_up", "went_up"))
    correct = _floats(days, "correct")
    beyond = correct - (up * went + (rows - up) * (rows - went)) / rows
    # within a day only the hits vary: their spread, around the day's own mean, is that of the difference
    inside = correct - np.square(correct) / rows
    return DaySums(rows, beyond, inside + np.square(beyond) / rows)


def misses(days: pl.DataFrame) -> DaySums:
    """Squared distances of probability and outcome."""
    return DaySums(*(_floats(days, name) for name in ("predictions", "squared_miss", "squared_miss_squares")))


def confidences(days: pl.DataFrame) -> DaySums:
    """Probabilities of the predicted directions."""
    return DaySums(*(_floats(days, name) for name in ("predictions", "confidence", "confidence_squares")))


def _floats(days: pl.DataFrame, name: str) -> Floats:
    return days[name].cast(pl.Float64).to_numpy()

"""Daily performance of each asset class: one GoogleSQL statement, and the table that keeps its rows.

The statement is a pure function of stored predictions, of their outcomes known by an instant, and of settings. A
refresh asks it about every date and writes the rows that came out differently from what is stored: a new day, a day
whose label came late together with the rolling figures of the days after it, everything of a class whose record was
replaced. So a second refresh writes nothing, a killed one is done again, and two at once write the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal, cast, get_args

import polars as pl

from configs.settings import Settings
from market.assets import AssetType
from monitoring.conditions import Moment
from warehouse.schema import SQL_FOLDER, load_schema
from warehouse.warehouse import ReadConnection, Warehouse, Write

Source = Literal["live", "walk_forward"]

SOURCES: Final[tuple[Source, ...]] = get_args(Source)
PERFORMANCE_TABLE: Final = "ml_models.model_performance_daily"
RECENT_DAYS: Final = 7
BASELINE_DAYS: Final = 30

_KEY = ["date", "asset_type", "prediction_source"]
_BEGINNING = date(1900, 3, 1)
_TOLERANCE = 1e-9
"""Sums over many rows differ in their last digits from run to run, because engines add in parallel."""


def performance_query() -> str:
    """The GoogleSQL text that defines every figure of daily performance."""
    return (SQL_FOLDER / "performance" / "model_performance_daily.sql").read_text(encoding="utf-8")


def performance(read: ReadConnection, settings: Settings, moment: Moment, *, first: date | None = None) -> pl.DataFrame:
    """Daily performance of a class as it was known at a moment, both sources.

    Args:
        read: One state of the warehouse.
        settings: The rule's ratios and smallest counts.
        moment: Class, last date, and the instant after which nothing counts.
        first: First date; None: of all.

    Returns:
        One row per source and date with a known outcome, sorted by them: the table's columns but `created_at`, and the
        rule's `severity` (WARNING, CRITICAL, NONE, NULL where it was not judged), `recent_predictions`, `recent_days`,
        `baseline_predictions` and `baseline_days`.
    """
    rule = settings.monitoring
    parameters = {
        "asset_type": moment.asset_type,
        "first": first or _BEGINNING,
        "last": moment.date,
        "now": moment.now,
        "warning_ratio": rule.drift_warning_ratio,
        "critical_ratio": rule.drift_critical_ratio,
        "min_recent_warning": rule.min_recent_predictions.warning,
        "min_recent_critical": rule.min_recent_predictions.critical,
        "min_recent_days": rule.min_recent_days,
        "min_baseline_warning": rule.min_baseline_predictions.warning,
        "min_baseline_critical": rule.min_baseline_predictions.critical,
        "min_baseline_days": rule.min_baseline_days,
    }
    return pl.DataFrame(read.query(performance_query(), parameters))


def source_at(read: ReadConnection, moment: Moment) -> Source:
    """Which record a class is judged by: `live` once enough of it had matured by the moment, else `walk_forward`."""
    sql = (SQL_FOLDER / "performance" / "prediction_source.sql").read_text(encoding="utf-8")
    parameters = {"asset_type": moment.asset_type, "now": moment.now, "today": moment.date}
    return cast(Source, read.query(sql, parameters).column("prediction_source")[0].as_py())


def refresh(warehouse: Warehouse, settings: Settings, moments: Sequence[Moment]) -> int:
    """Bring `model_performance_daily` up to what is known at each class's moment, in one transaction.

    Rows of dates after the moment stay. `created_at` is the moment at which a row was first written as it is.

    Args:
        warehouse: Predictions in, performance out.
        settings: See `performance`.
        moments: One a class: its today. An earlier moment would write what was known then over what is known now.

    Returns:
        How many rows were written or deleted.
    """
    writes: list[Write] = []
    changed = 0
    with warehouse.read() as read:
        for moment in moments:
            known = performance(read, settings, moment)
            stored = _stored(read, moment.asset_type)
            for source in SOURCES:
                of_source = pl.col("prediction_source") == source
                rows, write = _difference(moment, source, known.filter(of_source), stored.filter(of_source))
                changed += rows
                writes += [write] if write else []
    if writes:
        warehouse.write(writes)
    return changed


def _stored(read: ReadConnection, asset_type: AssetType) -> pl.DataFrame:
    names = ", ".join(column.name for column in load_schema().table(PERFORMANCE_TABLE).columns)
    sql = f"SELECT {names} FROM `{PERFORMANCE_TABLE}` WHERE asset_type = @asset_type"
    return pl.DataFrame(read.query(sql, {"asset_type": asset_type}))


def _difference(moment: Moment, source: Source, known: pl.DataFrame, stored: pl.DataFrame) -> tuple[int, Write | None]:
    """How many rows differ, and the write that mends them: a merge, or all rows anew where some are no more."""
    is_past = pl.col("date") <= moment.date
    now = pl.lit(moment.now).cast(stored.schema["created_at"]).alias("created_at")
    known = known.with_columns(now).select(stored.columns).cast(stored.schema)
    before = stored.filter(is_past)
    different = _unlike(known, before)
    gone = before.join(known, on=_KEY, how="anti").height
    if not gone:
        return different.height, _write(different) if different.height else None
    kept = before.join(known, on=_KEY, how="semi").join(different, on=_KEY, how="anti")
    whole = pl.concat([different, kept, stored.filter(~is_past)])
    scope = {"asset_type": moment.asset_type, "prediction_source": source}
    return different.height + gone, Write(PERFORMANCE_TABLE, rows=whole.to_arrow(), mode="replace", where=scope)


def _write(rows: pl.DataFrame) -> Write:
    return Write(PERFORMANCE_TABLE, rows=rows.to_arrow(), mode="merge")


def _unlike(known: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Rows of `known` that `stored` lacks or has with another value; times of writing are not compared."""
    values = [name for name in known.columns if name not in (*_KEY, "created_at")]
    both = known.join(stored, on=_KEY, how="left", suffix="_stored", maintain_order="left", coalesce=True)
    same = [_is_same(name, known.schema[name]) for name in values]
    is_new = pl.col("created_at_stored").is_null()
    return both.filter(is_new | ~pl.all_horizontal(same)).select(known.columns)


def _is_same(name: str, kind: pl.DataType) -> pl.Expr:
    ours, theirs = pl.col(name), pl.col(f"{name}_stored")
    if not kind.is_float():
        return ours.eq_missing(theirs)
    near = (ours - theirs).abs() <= _TOLERANCE * pl.max_horizontal(ours.abs(), pl.lit(1.0))
    return near.fill_null(value=False) | (ours.is_null() & theirs.is_null())

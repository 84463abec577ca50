"""Population: who is in the data, and who may be missing. Warnings: no check can know what was never stored."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from configs.settings import Settings
from feature_repo.services import SCALE_FREE_SERVICES
from training.checks import CheckResult
from training.dataset import Dataset
from warehouse.clock import now_of
from warehouse.warehouse import Warehouse

YEAR_DAYS = 365.25
_NAMED = 3
_NEIGHBOURS = 41
"""Dates around a date whose median number of symbols is called usual."""


def population_check(warehouse: Warehouse, settings: Settings, dataset: Dataset) -> list[CheckResult]:
    """Survivors only, thin dates, an old newest bar, and prices whose past was rewritten."""
    return [
        _survivors(dataset, settings),
        _coverage(dataset, settings),
        _staleness(dataset, settings),
        _readjusted(warehouse, dataset, settings),
    ]


def _survivors(dataset: Dataset, settings: Settings) -> CheckResult:
    """A class in which nothing ended in many years was chosen by who is alive today."""
    spans = dataset.keys.group_by("symbol").agg(pl.col("datetime").max())
    dates: list[datetime] = dataset.keys["datetime"].unique().sort().to_list()
    late = dates[-1 - min(settings.checks.late_sessions, len(dates) - 1)]
    ended = spans.filter(pl.col("datetime") < late).height
    years = (dates[-1] - dates[0]).days / YEAR_DAYS
    told = f"{ended} of {spans.height} symbols ended in {years:.1f} years"
    suspicious = not ended and spans.height > 1 and years >= settings.audit.population.survivor_years
    return CheckResult(
        "population",
        "warning" if suspicious else "passed",
        "survivors",
        told + (": who failed may be missing, and every accuracy is that of survivors" if suspicious else ""),
        "ingest symbols that were delisted or renamed as well, and name them under symbols in the configuration"
        if suspicious
        else "",
    )


def _coverage(dataset: Dataset, settings: Settings) -> CheckResult:
    """Dates with far fewer symbols than the dates around them."""
    counts = dataset.keys.group_by("datetime").len("symbols").sort("datetime")
    usual = pl.col("symbols").rolling_median(_NEIGHBOURS, center=True, min_samples=1)
    share = 1 - settings.audit.population.coverage_drop
    thin = counts.with_columns(usual=usual).filter(pl.col("symbols") < share * pl.col("usual"))
    fewest, most = counts.select(pl.col("symbols").min(), pl.col("symbols").max().alias("most")).row(0)
    told = f"{counts.height} dates, {fewest} to {most} symbols a date"
    if thin.height:
        worst = thin.sort(pl.col("symbols") / pl.col("usual"), "datetime").head(_NAMED)
        named = ", ".join(f"{stamp:%Y-%m-%d} {count} of {usual:.0f}" for stamp, count, usual in worst.iter_rows())
        told = f"{thin.height} of {told}; thin ones: {named}"
    return CheckResult(
        "population",
        "warning" if thin.height else "passed",
        "coverage by date",
        told,
        "ingest the missing bars: `tradehits doctor` names symbols and sessions" if thin.height else "",
    )


def _staleness(dataset: Dataset, settings: Settings) -> CheckResult:
    newest: datetime = dataset.keys["bar_known_at"].max()  # type: ignore[assignment]
    today = now_of(dataset.asset_type, settings, newest)
    days = (today - newest).days
    stale = days > settings.audit.population.stale_days
    return CheckResult(
        "population",
        "warning" if stale else "passed",
        "newest bar",
        f"known at {newest:%Y-%m-%d %H:%M} UTC, {max(days, 0)} days before today's clock",
        f"ingest newer bars, or set clock.{dataset.asset_type}: end_of_data for a replay" if stale else "",
    )


def _readjusted(warehouse: Warehouse, dataset: Dataset, settings: Settings) -> CheckResult:
    """Histories that were rescaled after the fact: a past instant showed other levels than the table does now."""
    sql = (
        "SELECT COUNT(*) AS n, COUNT(DISTINCT symbol) AS symbols FROM `tradehits.symbol_events` "
        "WHERE asset_type = @asset_type AND event = 'READJUSTED' AND `interval` = '1d'"
    )
    row = warehouse.query(sql, {"asset_type": dataset.asset_type}).to_pylist()[0]
    service = settings.training.feature_service
    harmful = bool(row["n"]) and service not in SCALE_FREE_SERVICES
    told = f"{row['n']} times a source rescaled the past of {row['symbols']} symbols"
    why = f"; features of {service} depend on the level" if harmful else ", which scale-free features do not see"
    return CheckResult(
        "population",
        "warning" if harmful else "passed",
        "adjusted prices",
        told + (why if row["n"] else ""),
        "train on the service default, whose features do not depend on the level" if harmful else "",
    )

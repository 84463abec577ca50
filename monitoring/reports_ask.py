"""Everything a report shows: what is read for it, and what Evidently answers about that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from configs.settings import Settings
from market.errors import RegistryError, ReportError
from monitoring.conditions import Moment
from monitoring.performance import Source
from monitoring.reports_data import DriftData, Measured, PerformanceData, drift_data, performance_data
from monitoring.reports_names import title_of
from monitoring.reports_sample import Sample
from monitoring.reports_store import EvidentlyRow
from monitoring.reports_words import (
    DRIFT,
    NO_DRIFT,
    drift_differences,
    performance_differences,
    sample_rule,
    table_drift,
    table_rule,
    usual_limits,
)
from monitoring.rules import Judged, judged
from registry.bundle import BundleInfo

if TYPE_CHECKING:
    from monitoring.drift import DriftFound
    from registry.models import ModelRegistry
    from warehouse.warehouse import Warehouse

EVIDENTLYS_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""Evidently has no errors of its own: data that it did not expect ends in any of these."""


@dataclass(frozen=True)
class Gathered:
    """What was read for a class at a moment.

    Attributes:
        info: The champion; None without one.
        drift: Features; None without a champion.
        performance: Predictions; None where none has a known outcome.
        accuracy: The rule about the last seven days; None when it could not be read.
        notes: What is missing.
    """

    info: BundleInfo | None
    drift: DriftData | None
    performance: PerformanceData | None
    accuracy: Judged | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What Evidently said.

    Attributes:
        parts: Title and widgets of each part of the page; empty when there is nothing to show.
        rows: Its figures.
        differences: Its verdicts against the tables', in words.
        notes: What could not be shown.
    """

    parts: tuple[tuple[str, Any], ...] = ()
    rows: tuple[EvidentlyRow, ...] = ()
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def gather(
    warehouse: Warehouse, registry: ModelRegistry, settings: Settings, moment: Moment, source: Source | None
) -> Gathered:
    """Draw the samples and read the verdicts; a class without a champion has neither features nor a page."""
    try:
        info = registry.info(moment.asset_type, registry.resolve(moment.asset_type))
    except RegistryError as error:
        with warehouse.read() as read:
            accuracy = judged(read, settings, moment) if source else None
        return Gathered(None, None, None, accuracy, (f"No page: {error.message}.",))
    with warehouse.read() as read:
        accuracy = judged(read, settings, moment) if source else None
        newest = accuracy.newest if accuracy else None
        return Gathered(
            info,
            drift_data(read, settings, moment, info),
            performance_data(read, settings, moment, source, newest["date"]) if source and newest else None,
            accuracy,
        )


def ask(gathered: Gathered, settings: Settings, moment: Moment, found: DriftFound | None) -> Answers:
    """Ask Evidently about everything it can be asked about.

    Raises:
        ReportError: Evidently cannot digest the data.
    """
    least = settings.reports.min_rows
    info, drift, performance = gathered.info, gathered.drift, gathered.performance
    if info is None or drift is None:
        return Answers(notes=gathered.notes)
    reasons = {"features": _too_few_features(drift, least), "performance": _unjudgeable(performance, least)}
    missing = Answers(notes=(*gathered.notes, *(reason for reason in reasons.values() if reason)))
    asked = [missing]
    try:
        if not reasons["features"]:
            asked.append(_ask_about_drift(drift, settings, moment, info, found))
        if performance is not None and not reasons["performance"]:
            asked.append(_ask_about_performance(performance, settings, moment, info, gathered.accuracy))
    except EVIDENTLYS_ERRORS as error:
        raise indigestible(moment, error) from error
    return Answers(
        parts=tuple(part for one in asked for part in one.parts),
        rows=tuple(row for one in asked for row in one.rows),
        differences=tuple(line for one in asked for line in one.differences),
        notes=tuple(line for one in asked for line in one.notes),
    )


def indigestible(moment: Moment, error: Exception) -> ReportError:
    """What to say when Evidently cannot digest a class's data."""
    return ReportError(
        f"Evidently cannot report on {moment.asset_type} of {moment.date}: {type(error).__name__}: {error}",
        remedy="the verdicts in the tables stand; set reports.enabled to false to go on without pages",
    )


def _ask_about_drift(
    data: DriftData, settings: Settings, moment: Moment, info: BundleInfo, found: DriftFound | None
) -> Answers:
    from monitoring.reports_evidently import ask_about_drift

    asked = ask_about_drift(data, settings.reports, usual_limits(found))
    common = _common(settings, moment, info, data) | {"report": "data_drift", "prediction_source": None}
    rows = [
        EvidentlyRow(
            **common,
            **_figures(one),
            verdict=None if one.drifted is None else DRIFT if one.drifted else NO_DRIFT,
            table_verdict=table_drift(data, one.subject),
        )
        for one in asked.measured
    ]
    return Answers(
        parts=(("Data drift", asked.widgets),) if asked.widgets else (),
        rows=tuple(rows),
        differences=tuple(drift_differences(data, asked.measured, found)),
        notes=tuple(f"{title_of(name)} is not shown: {why}." for name, why in asked.left_out.items()),
    )


def _ask_about_performance(
    data: PerformanceData, settings: Settings, moment: Moment, info: BundleInfo, accuracy: Judged | None
) -> Answers:
    from monitoring.reports_evidently import ask_about_performance

    compared = not _one_sided(data.reference) and data.reference.rows.height >= settings.reports.min_rows
    asked = ask_about_performance(data, with_reference=compared)
    figures = {one.subject: one.value for one in asked.measured if one.metric == "accuracy"}
    tables = table_rule(accuracy)
    concluded = {("accuracy", "current"): (sample_rule(figures, settings) if tables else None, tables)}
    common = _common(settings, moment, info, data) | {"report": "performance", "prediction_source": data.source}
    rows = []
    for one in asked.measured:
        verdict, table_verdict = concluded.get((one.metric, one.subject), (None, None))
        rows.append(EvidentlyRow(**common, **_figures(one), verdict=verdict, table_verdict=table_verdict))
    differences = performance_differences(data, asked.measured, accuracy, settings) if accuracy else []
    alone = f"The days before ({data.baseline}) hold too few predictions with a known outcome to compare with."
    return Answers(
        parts=(("Classification performance", asked.widgets),),
        rows=tuple(rows),
        differences=tuple(differences),
        notes=() if compared else (alone,),
    )


def _common(settings: Settings, moment: Moment, info: BundleInfo, data: DriftData | PerformanceData) -> dict[str, Any]:
    from monitoring.reports_evidently import VERSION

    return {
        "date": moment.date,
        "asset_type": moment.asset_type,
        "reference_rows": data.reference.rows.height,
        "current_rows": data.current.rows.height,
        "seed": settings.reports.seed,
        "model_version": info.model_version or info.run_id,
        "evidently_version": VERSION,
    }


def _too_few_features(data: DriftData, least: int) -> str:
    if data.current.rows.height < least:
        return f"Features are not shown: {data.current.total:,} bars in {data.window}, fewer than {least}."
    if data.reference.rows.height < least:
        return f"Features are not shown: {data.reference.total:,} training rows, fewer than {least}."
    return ""


def _unjudgeable(data: PerformanceData | None, least: int) -> str:
    if data is None:
        return "Performance is not shown: no prediction of the last days has a known outcome."
    if data.current.rows.height < least:
        return (
            f"Performance is not shown: {data.current.total:,} {data.source} predictions with a known outcome in "
            f"{data.window}, fewer than {least}."
        )
    if _one_sided(data.current):
        direction = "UP" if data.current.rows["is_up"][0] else "DOWN"
        return (
            f"Performance is not shown: all {data.current.total:,} outcomes in {data.window} were {direction}, and "
            "Evidently needs both directions."
        )
    return ""


def _one_sided(sample: Sample) -> bool:
    return sample.rows["is_up"].n_unique() < 2


def _figures(one: Measured) -> dict[str, Any]:
    names = ("metric", "subject", "value", "method", "threshold")
    return {name: getattr(one, name) for name in names}

"""Monitoring of one asset class: what is judged, which alerts follow, what the report shows and what is advised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from configs.settings import Settings
from flows.monitor_report import ClassReport, Figures
from market.errors import TradeHitsError
from monitoring.conditions import Condition, Moment
from monitoring.performance import Source
from monitoring.rules import Judged, judged
from warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from monitoring.advice import Advice
    from monitoring.alerts import AlertChanges
    from monitoring.detectors import Detected
    from monitoring.drift import DriftFound
    from monitoring.reports import ReportFiles
    from registry.models import ModelRegistry

T = TypeVar("T")


@dataclass
class Told:
    """Runs parts that may fail by themselves, and keeps what there is to say.

    Attributes:
        notes: What a reader has to know.
        failed: Parts without which the class is not judged or its result not stored.
    """

    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def part(self, name: str, step: Callable[..., T], *args: Any, is_vital: bool = True) -> T | None:
        """Run a part; a named error of it is told, and None returned."""
        try:
            return step(*args)
        except (TradeHitsError, OSError) as error:
            (self.failed if is_vital else self.notes).append(f"{name} failed: {error}")
            return None


@dataclass(frozen=True)
class MonitoredClass:
    """A class's report, with what the flow goes on with.

    Attributes:
        index: The index of all reports; None without one.
        advice: None when nothing is advised.
    """

    report: ClassReport
    index: Path | None
    advice: Advice | None


def monitor_class(warehouse: Warehouse, registry: ModelRegistry, settings: Settings, moment: Moment) -> MonitoredClass:
    """Judge a class at a moment, write its report, keep its alerts, and say what is advised."""
    told = Told()
    ruled = told.part("the accuracy rule", _rule, warehouse, settings, moment)
    conditions = [ruled.condition] if ruled and ruled.condition else []
    decay: Sequence[Condition] = ()
    if ruled is not None:
        told.notes += [ruled.note] if ruled.note else []
        detected = told.part("detectors", _detect, warehouse, settings, moment, ruled.source)
        if detected is not None:
            decay = detected.conditions
            conditions += decay
            told.notes += [detected.note] if detected.note else []
    drift = told.part("feature drift", _drift, warehouse, registry, settings, moment)
    if drift is not None:
        conditions += drift.conditions
        told.notes += drift.notes
    source = ruled.source if ruled else None
    shown = (drift, source, decay)
    pages = told.part("the report", _report, warehouse, registry, settings, moment, *shown, is_vital=False)
    # a stored judgement is how catching up knows a day that is done: it comes after all that belongs to the day
    changes = told.part("alerts", _apply, warehouse, settings, moment, conditions)
    advice = told.part("advice", _advise, warehouse, settings, moment)
    if pages is not None:
        told.notes += [pages.note] if pages.note else []
    if changes is not None:
        told.notes += [changes.note] if changes.note else []
    report = _class_report(moment, ruled, conditions, drift, changes, pages, advice, told)
    return MonitoredClass(report, pages.index if pages else None, advice)


def _class_report(
    moment: Moment,
    ruled: Judged | None,
    conditions: list[Condition],
    drift: DriftFound | None,
    changes: AlertChanges | None,
    pages: ReportFiles | None,
    advice: Advice | None,
    told: Told,
) -> ClassReport:
    def names(which: str) -> tuple[str, ...]:
        return () if changes is None else tuple(alert.metric_name for alert in getattr(changes, which))

    return ClassReport(
        asset_type=moment.asset_type,
        date=moment.date,
        now=moment.now,
        source=ruled.source if ruled else None,
        figures=_figures(ruled),
        conditions=tuple(conditions),
        opened=names("opened"),
        escalated=names("escalated"),
        resolved=names("resolved"),
        unchanged=names("unchanged"),
        distribution_rows=drift.rows if drift else 0,
        page=pages.page if pages else None,
        advice=advice.reason if advice else "",
        notes=tuple(told.notes),
        failed=tuple(told.failed),
    )


def _figures(ruled: Judged | None) -> Figures | None:
    if ruled is None or ruled.newest is None:
        return None
    return Figures(**{name: ruled.newest[name] for name in Figures.__dataclass_fields__})


def _rule(warehouse: Warehouse, settings: Settings, moment: Moment) -> Judged:
    with warehouse.read() as read:
        return judged(read, settings, moment)


def _detect(warehouse: Warehouse, settings: Settings, moment: Moment, source: Source) -> Detected:
    from monitoring.detectors import detect

    with warehouse.read() as read:
        return detect(read, settings, moment, source)


def _drift(warehouse: Warehouse, registry: ModelRegistry, settings: Settings, moment: Moment) -> DriftFound:
    from monitoring.drift import measure

    return measure(warehouse, registry, settings, moment)


def _apply(warehouse: Warehouse, settings: Settings, moment: Moment, conditions: list[Condition]) -> AlertChanges:
    from monitoring.alerts import apply

    return apply(warehouse, settings, moment, conditions)


def _advise(warehouse: Warehouse, settings: Settings, moment: Moment) -> Advice | None:
    from monitoring.advice import advise

    return advise(warehouse, settings, moment)


def _report(
    warehouse: Warehouse,
    registry: ModelRegistry,
    settings: Settings,
    moment: Moment,
    drift: DriftFound | None,
    source: Source | None,
    decay: Sequence[Condition],
) -> ReportFiles:
    from monitoring.reports import write

    return write(warehouse, registry, settings, moment, drift, source, decay)

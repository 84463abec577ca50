"""Is the model still as good as the record it was chosen for? Tests with a stated rate of false alarms.

Beside the 7-day rule, which near 50% fires late and where days differ much fires for nothing. Four conditions a class:

    accuracy_sequential   hits, day by day
    selection_sequential  hits beyond what the day's market gave: which symbols, not which days
    brier_sequential      Brier score, day by day: sees overconfidence too
    estimated_accuracy    accuracy expected of predictions whose outcomes nobody knows yet

Nothing is kept from run to run: all of it follows from stored predictions and their outcomes known at the moment. A new
champion starts with a clear sheet, its out-of-sample record being its baseline.
"""

from __future__ import annotations

from dataclasses import dataclass

from configs.settings import Settings
from monitoring.conditions import Condition, Moment
from monitoring.detectors_estimate import estimated_accuracy
from monitoring.detectors_read import Record, read_record
from monitoring.detectors_tests import TESTS, sequential
from monitoring.performance import Source
from warehouse.warehouse import ReadConnection


@dataclass(frozen=True)
class Detected:
    """What the detectors say about a class.

    Attributes:
        conditions: One a detector; none where too little is known to judge.
        note: Then why; else empty.
    """

    conditions: tuple[Condition, ...]
    note: str


def judge(read: ReadConnection, settings: Settings, moment: Moment, source: Source) -> list[Condition]:
    """The conditions of all detectors at a moment; none where too little is known to judge.

    Args:
        read: One state of the warehouse.
        settings: Section `detectors`.
        moment: Class, date and the instant after which nothing counts.
        source: From `monitoring.performance.source_at`.
    """
    return list(detect(read, settings, moment, source).conditions)


def detect(read: ReadConnection, settings: Settings, moment: Moment, source: Source) -> Detected:
    """The conditions of all detectors, or the reason why there are none."""
    record = read_record(read, settings, moment, source)
    lacking = _lacking(record, settings)
    if record is None or lacking:
        return Detected((), f"{moment.asset_type}: decay is not judged: {lacking}")
    tests = (sequential(test, record, settings.detectors, moment) for test in TESTS)
    return Detected((*tests, estimated_accuracy(record, settings.detectors, moment)), "")


def _lacking(record: Record | None, settings: Settings) -> str:
    """What the record lacks for a judgement; empty when nothing."""
    if record is None:
        return "no model predicts yet"
    rule, days = settings.detectors, record.baseline.height
    if days < rule.min_baseline_days:
        return f"the record before the model's own days has {days} of {rule.min_baseline_days} days with known outcomes"
    a_day = float(record.baseline["predictions"].sum()) / days
    if a_day < rule.min_day_predictions:
        return f"{a_day:.1f} predictions a day show nothing soon, {rule.min_day_predictions:g} are needed"
    return ""

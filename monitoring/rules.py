"""The user's rule: accuracy of the last 7 days against that of the 30 days before them.

Below 85% of the baseline is WARNING, below 75% CRITICAL (`monitoring.drift_warning_ratio`, `drift_critical_ratio`). The
figures are those of the newest row of daily performance, so an alert says what the table says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import polars as pl

from configs.monitoring import MonitoringSettings
from configs.settings import Settings
from market.assets import AssetType
from monitoring.conditions import Condition, Moment, Severity
from monitoring.performance import RECENT_DAYS, Source, performance, source_at
from warehouse.warehouse import ReadConnection

METRIC: Final = "rolling_7d_accuracy"

REMEDY: Final = (
    "look at the drift report for features that moved, then compare with the base rate: if the edge is gone too, "
    "`tradehits train --asset-type {asset_type}`"
)


@dataclass(frozen=True)
class Judged:
    """What the rule says about a class at a moment.

    Attributes:
        source: The record it was judged by.
        newest: The newest row of daily performance within the last 7 days, with the rule's counts; None without one.
        condition: None when the rule could not be judged.
        note: Then why; else empty.
    """

    source: Source
    newest: dict[str, Any] | None
    condition: Condition | None
    note: str


def judge(read: ReadConnection, settings: Settings, moment: Moment) -> list[Condition]:
    """The condition of a class's 7-day accuracy; none where too little is known to judge it."""
    condition = judged(read, settings, moment).condition
    return [] if condition is None else [condition]


def judged(read: ReadConnection, settings: Settings, moment: Moment) -> Judged:
    """The condition together with the figures behind it, or the reason why there is none."""
    source = source_at(read, moment)
    first = moment.date - timedelta(days=RECENT_DAYS - 1)
    rows = performance(read, settings, moment, first=first).filter(pl.col("prediction_source") == source)
    if rows.is_empty():
        note = f"no {source} prediction of the last {RECENT_DAYS} days has a known outcome: accuracy is not judged"
        return Judged(source, None, None, note)
    newest = rows.row(-1, named=True)
    if newest["severity"] is None:
        return Judged(source, newest, None, _too_few(settings.monitoring, newest))
    return Judged(source, newest, _condition(settings.monitoring, moment.asset_type, newest), "")


def _condition(rule: MonitoringSettings, asset_type: AssetType, row: dict[str, Any]) -> Condition:
    severity: Severity | None = None if row["severity"] == "NONE" else row["severity"]
    ratio = rule.drift_critical_ratio if severity == "CRITICAL" else rule.drift_warning_ratio
    current, baseline = row["rolling_7d_accuracy"], row["baseline_accuracy"]
    threshold = ratio * baseline
    said = (
        f"{asset_type}: {row['prediction_source']} accuracy of the 7 days to {row['date']} is {current:.1f}% "
        f"({row['recent_predictions']:,} predictions), {'below' if severity else 'not below'} {100 * ratio:.0f}% of "
        f"the {baseline:.1f}% of the 30 days before ({row['baseline_predictions']:,}): the limit is {threshold:.1f}%"
    )
    return Condition(
        asset_type=asset_type,
        alert_type="ACCURACY_DRIFT",
        metric_name=METRIC,
        severity=severity,
        current_value=current,
        threshold_value=threshold,
        baseline_value=baseline,
        message=said,
        remedy=REMEDY.format(asset_type=asset_type) if severity else "",
    )


def _too_few(rule: MonitoringSettings, row: dict[str, Any]) -> str:
    recent, baseline = rule.min_recent_predictions, rule.min_baseline_predictions
    enough = row["recent_predictions"] >= recent.critical and row["baseline_predictions"] >= baseline.critical
    asked = {
        "predictions in the 7 days": (row["recent_predictions"], recent.warning if enough else recent.critical),
        "days with predictions among the 7": (row["recent_days"], rule.min_recent_days),
        "predictions in the 30 days before": (
            row["baseline_predictions"],
            baseline.warning if enough else baseline.critical,
        ),
        "days with predictions among these 30": (row["baseline_days"], rule.min_baseline_days),
    }
    lacking = [f"{has:,} of {needs:,} {what}" for what, (has, needs) in asked.items() if has < needs]
    return f"too few to tell a drift of 7-day accuracy from chance: {', '.join(lacking)}"

"""The accuracy to expect of predictions without outcomes, told as a condition."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from configs.detectors import DetectorSettings
from market.performance_estimation import (
    Estimate,
    EstimateErrors,
    Falls,
    confidence_falls,
    edge_left,
    estimate_accuracy,
    estimate_errors,
)
from monitoring.conditions import Condition, Moment, Severity
from monitoring.detectors_read import Record, confidences, hits

ESTIMATE: Final = "estimated_accuracy"

REMEDY: Final = (
    "the model has become unsure of what it sees: look for features that moved (`tradehits monitor --asset-type "
    "{asset_type}`) and for gaps in their source before the outcomes are known"
)


def estimated_accuracy(record: Record, rule: DetectorSettings, moment: Moment) -> Condition:
    """The condition of the label-free estimate at a moment."""
    start = record.baseline.height
    before = confidences(record.baseline)
    errors = estimate_errors(before, hits(record.baseline).total)
    falls = confidence_falls(
        confidences(record.estimated_days),
        start,
        deviations=rule.estimate.deviations,
        edge_loss=rule.estimate.edge_loss,
    )
    newest = record.open if record.open.height else record.estimates.tail(1)
    estimate = estimate_accuracy(confidences(newest), errors, level=rule.estimate.level) if newest.height else None
    severity = _severity(falls, record, estimate, errors, rule)
    return Condition(
        asset_type=moment.asset_type,
        alert_type="ACCURACY_DRIFT",
        metric_name=ESTIMATE,
        severity=severity,
        current_value=None if estimate is None else 100 * estimate.expected,
        threshold_value=100 * _limit(errors, rule.estimate.edge_loss),
        baseline_value=100 * errors.estimated,
        message=_message(severity, estimate, newest, errors, rule, moment),
        remedy=REMEDY.format(asset_type=moment.asset_type) if severity else "",
    )


def _limit(errors: EstimateErrors, edge_loss: float) -> float:
    """The estimate at which the share `edge_loss` of the baseline's edge is gone."""
    return 0.5 + (1 - edge_loss) * (errors.estimated - 0.5)


def _severity(
    falls: Falls, record: Record, estimate: Estimate | None, errors: EstimateErrors, rule: DetectorSettings
) -> Severity | None:
    too_few = record.estimates["predictions"].sum() < rule.min_predictions
    if estimate is None or too_few or not falls.raised[-1]:
        return None
    left = float(edge_left(np.array([estimate.expected]), np.array(errors.estimated))[0])
    return "CRITICAL" if 1 - left >= rule.critical_edge_loss else "WARNING"


def _message(
    severity: Severity | None,
    estimate: Estimate | None,
    newest: pl.DataFrame,
    errors: EstimateErrors,
    rule: DetectorSettings,
    moment: Moment,
) -> str:
    against = (
        f"{100 * errors.estimated:.1f}% estimated and {100 * errors.realised:.1f}% realised in the {errors.days} days "
        "of record before the model's own"
    )
    if estimate is None:
        return f"{moment.asset_type}: the new model has not predicted yet; its estimates are compared with {against}"
    told = (
        f"{moment.asset_type}: {100 * estimate.expected:.1f}% accuracy is to be expected of {estimate.rows:,} newest "
        f"predictions to {newest['date'][-1]} ({100 * rule.estimate.level:.0f}% interval of what will be realised "
        f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}%), against {against}"
    )
    return f"{told}: the model has become unsure" if severity else told

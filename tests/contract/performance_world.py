"""Predictions with known outcomes for the tests of performance, and a slow twin of the daily figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np

from configs.settings import Settings
from market import metrics
from market.assets import AssetType
from market.signals import Thresholds, confidence, signal
from monitoring.conditions import Moment
from tests.contract.table_rows import midnight, rows_of
from warehouse.warehouse import Warehouse, Write

LIVE = "ml_models.realtime_predictions"
RECORD = "ml_models.walk_forward_predictions_v2"
FEATURES = "ml_models.walk_forward_features_v2"
PERFORMANCE = "ml_models.model_performance_daily"
TODAY = date(2024, 6, 28)
TABLES = (LIVE, RECORD, FEATURES, PERFORMANCE)


@dataclass(frozen=True)
class Prediction:
    """One prediction; `up` None: its outcome is not filled yet.

    Attributes:
        known_days: The outcome is known so many days after the bar's stamp.
        made_days: A live prediction is made so many days after the bar's stamp, a back-fill from `known_days` on.
        has_bar: Whether the bar is stored, which gives the outcome's time.
        called: Signal and confidence as stored with a live prediction.
    """

    source: str
    day: date
    symbol: str
    probability: float
    up: bool | None
    known_days: float = 1.9
    made_days: float = 1.0
    has_bar: bool = True
    called: tuple[str, str] = ("HOLD", "LOW")

    @property
    def bar_known_at(self) -> datetime:
        return midnight(self.day) + timedelta(hours=20)

    @property
    def known_at(self) -> datetime:
        return midnight(self.day) + timedelta(days=self.known_days)

    @property
    def made_at(self) -> datetime:
        return midnight(self.day) + timedelta(days=self.made_days)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def moment_at(day: date = TODAY, asset_type: AssetType = "stocks") -> Moment:
    """The last second of a day."""
    return Moment(asset_type, day, midnight(day) + timedelta(days=1, seconds=-1))


def record(
    days_ago: int, *, hits: int, misses: int = 0, up: bool = True, probability: float = 0.55
) -> list[Prediction]:
    """Walk-forward rows of one day: all went one way, `hits` of them were predicted so; symbols are numbered."""
    right, wrong = (probability, 1 - probability) if up else (1 - probability, probability)
    sides = [right] * hits + [wrong] * misses
    return [Prediction("walk_forward", ago(days_ago), f"S{i:04d}", p, up) for i, p in enumerate(sides)]


def called_live(predictions: Iterable[Prediction]) -> list[Prediction]:
    """The same predictions, made live."""
    return [replace(one, source="live") for one in predictions]


def store(warehouse: Warehouse, predictions: Iterable[Prediction], asset_type: AssetType = "stocks") -> None:
    """Replace everything stored by these predictions."""
    warehouse.write(
        [Write(PERFORMANCE, rows=rows_of(PERFORMANCE, []), mode="replace"), *writes(list(predictions), asset_type)]
    )


def writes(predictions: list[Prediction], asset_type: AssetType = "stocks") -> list[Write]:
    """The writes that put these predictions in the place of all others; daily performance stays."""
    rows: dict[str, list[dict[str, Any]]] = {LIVE: [], RECORD: [], FEATURES: []}
    for one in predictions:
        key = {"asset_type": asset_type, "symbol": one.symbol, "datetime": midnight(one.day)}
        if one.source == "live":
            rows[LIVE].append(key | _live(one))
            known = {"label_known_at": one.known_at, "bar_known_at": one.bar_known_at}
            rows[FEATURES] += [key | known] if one.has_bar else []
        else:
            rows[RECORD].append(key | _recorded(one))
    return [Write(name, rows=rows_of(name, found), mode="replace") for name, found in rows.items()]


def _live(one: Prediction) -> dict[str, Any]:
    actual = None if one.up is None else ("UP" if one.up else "DOWN")
    return {
        "prediction_id": f"{one.day}{one.symbol}",
        "created_at": one.made_at,
        "ensemble_up_probability": one.probability,
        "ensemble_direction": "UP" if one.probability >= 0.5 else "DOWN",
        "signal": one.called[0],
        "ensemble_confidence": one.called[1],
        "actual_direction": actual,
    }


def _recorded(one: Prediction) -> dict[str, Any]:
    return {
        "up_probability": one.probability,
        "predicted_direction": int(one.probability >= 0.5),
        "actual_direction": None if one.up is None else int(one.up),
        "bar_known_at": one.bar_known_at,
        "label_known_at": None if one.up is None else one.known_at,
    }


def counted(one: Prediction, moment: Moment) -> bool:
    """Whether a prediction counts at a moment: its outcome is filled, was known by then, and it was no back-fill."""
    if one.up is None or one.day > moment.date:
        return False
    if one.source == "walk_forward":
        return one.bar_known_at <= moment.now and one.known_at <= moment.now
    if not one.has_bar:
        return one.made_at <= moment.now
    return one.made_at < one.known_at <= moment.now and one.made_at <= moment.now


def twin(
    predictions: Iterable[Prediction], settings: Settings, moment: Moment, thresholds: Thresholds | None = None
) -> dict[tuple[str, date], dict[str, Any]]:
    """Every column of daily performance by plain loops and `market.metrics`."""
    days: dict[tuple[str, date], list[Prediction]] = {}
    for one in predictions:
        if counted(one, moment):
            days.setdefault((one.source, one.day), []).append(one)
    rule = thresholds or Thresholds()
    return {key: _day(found, rule) | _windows(days, *key, settings) for key, found in sorted(days.items())}


def _day(found: list[Prediction], thresholds: Thresholds) -> dict[str, Any]:
    y = np.array([one.up for one in found], dtype=int)
    p = np.array([one.probability for one in found])
    hit = (p >= 0.5) == (y == 1)
    is_live = found[0].source == "live"
    levels = np.array([one.called[1] for one in found]) if is_live else confidence(p, thresholds)
    signals = np.array([one.called[0] for one in found]) if is_live else signal(p, thresholds)
    values: dict[str, Any] = {name: metrics.METRICS[name](y, p) for name in _SHARED}
    values |= {f"accuracy_{n.lower()}_conf": _percent(hit[levels == n]) for n in ("HIGH", "MEDIUM", "LOW")}
    values |= {f"{name.lower()}_signals": int((signals == name).sum()) for name in ("BUY", "SELL", "HOLD")}
    values |= {"total_predictions": len(found), "correct_predictions": int(hit.sum())}
    return values


_SHARED = (
    *("accuracy_pct", "base_rate_pct", "up_share_pct", "avg_up_probability", "brier_score", "log_loss"),
    *("precision_score", "recall_score", "f1_score"),
    *("true_positives", "false_positives", "true_negatives", "false_negatives"),
)


def _percent(hits: Any) -> float | None:
    return 100 * float(hits.mean()) if hits.size else None


def _windows(
    days: Mapping[tuple[str, date], list[Prediction]], source: str, day: date, settings: Settings
) -> dict[str, Any]:
    def pooled(first: int, last: int) -> tuple[int, int, int]:
        wanted = [day - timedelta(days=back) for back in range(last, first + 1)]
        found = [days[source, one] for one in wanted if (source, one) in days]
        rows = [one for rows in found for one in rows]
        return sum((one.probability >= 0.5) == one.up for one in rows), len(rows), len(found)

    rule = settings.monitoring
    recent, month, baseline = pooled(6, 0), pooled(29, 0), pooled(36, 7)
    severity = None
    has_days = recent[2] >= rule.min_recent_days and baseline[2] >= rule.min_baseline_days

    def enough(severity: str) -> bool:
        return has_days and all(
            count[1] >= getattr(needed, severity)
            for count, needed in ((recent, rule.min_recent_predictions), (baseline, rule.min_baseline_predictions))
        )

    if enough("critical"):
        now, before = Fraction(recent[0], recent[1]), Fraction(baseline[0], baseline[1])
        if now < Fraction(str(rule.drift_critical_ratio)) * before:
            severity = "CRITICAL"
        elif now >= Fraction(str(rule.drift_warning_ratio)) * before:
            severity = "NONE"
        elif enough("warning"):
            severity = "WARNING"
    drifted = None if severity is None else severity != "NONE"
    return {
        "rolling_7d_accuracy": 100 * recent[0] / recent[1],
        "rolling_30d_accuracy": 100 * month[0] / month[1],
        "baseline_accuracy": 100 * baseline[0] / baseline[1] if baseline[1] else None,
        "drift_detected": drifted,
        "drift_type": "ACCURACY_DRIFT" if drifted else None,
        "severity": severity,
        "recent_predictions": recent[1],
        "recent_days": recent[2],
        "baseline_predictions": baseline[1],
        "baseline_days": baseline[2],
    }


def with_rule(settings: Settings, *, warning: int = 1, critical: int = 1, days: int = 1, **changes: Any) -> Settings:
    """Settings whose rule is judged from so many predictions and days on, in both windows."""
    counts = type(settings.monitoring.min_recent_predictions)(warning=warning, critical=critical)
    changed = {"min_recent_predictions": counts, "min_baseline_predictions": counts}
    changed |= {"min_recent_days": days, "min_baseline_days": days, **changes}
    return settings.model_copy(update={"monitoring": settings.monitoring.model_copy(update=changed)})

"""What monitoring found, as one object that tables, JSON and tests read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from market.assets import AssetType
from monitoring.conditions import Condition
from monitoring.performance import Source


@dataclass(frozen=True)
class Figures:
    """The newest row of a class's daily performance within its last seven days; percent unless said.

    Attributes:
        date: Of its bars.
        total_predictions: Rows of that date with a known outcome.
        base_rate_pct: Majority share of the same rows.
        baseline_accuracy: Of the 30 days that end where the 7-day window begins.
        recent_predictions: Rows in the 7 days.
        baseline_predictions: Rows in the 30 days before them.
    """

    date: date
    total_predictions: int
    accuracy_pct: float
    base_rate_pct: float
    brier_score: float
    rolling_7d_accuracy: float
    rolling_30d_accuracy: float
    baseline_accuracy: float | None
    recent_predictions: int
    baseline_predictions: int


@dataclass(frozen=True)
class ClassReport:
    """One asset class.

    Attributes:
        date: The day that was judged; None where nothing could be.
        now: What became known later did not count.
        source: The record it was judged by; None where nothing was judged.
        figures: None without a known outcome in the last seven days.
        conditions: All that was judged, raised or clear.
        opened: Alerts opened, by metric name; likewise the next three.
        distribution_rows: Rows of `feature_distributions` written.
        page: Its report; None without one.
        advice: What is proposed, or was done about it; empty mostly.
        notes: What could not be judged and why, and what went wrong beside the judging.
        failed: Parts of judging and storing that failed, with the reason.
    """

    asset_type: AssetType
    date: date | None = None
    now: datetime | None = None
    source: Source | None = None
    figures: Figures | None = None
    conditions: tuple[Condition, ...] = ()
    opened: tuple[str, ...] = ()
    escalated: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    distribution_rows: int = 0
    page: Path | None = None
    advice: str = ""
    notes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class MonitorReport:
    """One run of monitoring.

    Attributes:
        date: The day asked for; None: each class's today.
        checked_drift: False when only daily performance was brought up to date.
        alert_threshold: Share of the baseline below which 7-day accuracy was a WARNING.
        performance_rows: Rows of `model_performance_daily` written or deleted.
        index: All reports by date; None where none was written.
        sent: Messages delivered.
        undelivered: Messages that failed or wait; they are tried again next time.
        notes: What is not about one class.
        failed: Likewise.
        seconds: Of everything.
    """

    profile: str
    date: date | None
    checked_drift: bool
    alert_threshold: float
    performance_rows: int
    classes: tuple[ClassReport, ...]
    index: Path | None = None
    sent: int = 0
    undelivered: int = 0
    notes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether everything was judged and stored; a report or a channel that failed is told and no more."""
        return not self.failed and not any(one.failed for one in self.classes)

"""What monitoring judges: one condition per measured thing, raised or clear."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from market.assets import AssetType

AlertType = Literal["ACCURACY_DRIFT", "FEATURE_DRIFT", "REGIME_CHANGE", "CONCEPT_DRIFT"]
Severity = Literal["WARNING", "CRITICAL"]


@dataclass(frozen=True)
class Moment:
    """The point in time that monitoring looks from.

    Attributes:
        asset_type: The class.
        date: Its today, or the day that was asked for.
        now: What became known later than this instant (UTC) does not count: neither bars nor labels.
    """

    asset_type: AssetType
    date: date
    now: datetime


@dataclass(frozen=True)
class Condition:
    """One thing that was judged at one moment.

    What could not be judged (too few rows, no baseline) gives no condition: an alert about it stays as it is.

    Attributes:
        asset_type: The class.
        alert_type: What kind of change it looks for.
        metric_name: What was measured; with class and type it names the alert.
        severity: None when it was judged and is clear, which resolves its open alert.
        current_value: The measured value, NULL where it has none.
        threshold_value: The value it was compared with.
        baseline_value: What is normal.
        message: One sentence for a person: what, how bad, compared with what.
        remedy: What to do about it.
        features: Names of the features behind it, most affected first.
    """

    asset_type: AssetType
    alert_type: AlertType
    metric_name: str
    severity: Severity | None
    current_value: float | None
    threshold_value: float | None
    baseline_value: float | None
    message: str
    remedy: str = ""
    features: tuple[str, ...] = ()

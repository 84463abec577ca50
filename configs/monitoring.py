"""Settings of performance monitoring: which record is read, and when accuracy counts as drifted."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SmallestCounts(BaseModel):
    """Predictions that a window holds at least, before each severity is judged; a smaller drop needs more of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warning: int = Field(ge=1)
    critical: int = Field(ge=1)

    @model_validator(mode="after")
    def _warning_needs_more(self) -> SmallestCounts:
        if self.warning < self.critical:
            raise ValueError(f"warning {self.warning} must not be below critical {self.critical}: its drop is smaller")
        return self


class MonitoringSettings(BaseModel):
    """Which performance is read, and the rule about its last seven days.

    The rule compares the accuracy of 7 calendar days with that of the 30 days before them. It is not judged while
    either window holds fewer predictions or fewer days than given here: few predictions fall below any share by chance.

    Attributes:
        min_live_predictions: So many matured live rows of the last 37 days, and `live` replaces `walk_forward`.
        drift_warning_ratio: Accuracy below this share of the baseline is WARNING.
        drift_critical_ratio: Accuracy below this share of it is CRITICAL.
        min_recent_predictions: In the 7 days.
        min_recent_days: Different days with predictions among the 7: the symbols of one day move together.
        min_baseline_predictions: In the 30 days before them.
        min_baseline_days: Different days with predictions among the 30.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_live_predictions: int = Field(ge=1)
    drift_warning_ratio: float = Field(gt=0, lt=1)
    drift_critical_ratio: float = Field(gt=0, lt=1)
    min_recent_predictions: SmallestCounts
    min_recent_days: int = Field(ge=1, le=7)
    min_baseline_predictions: SmallestCounts
    min_baseline_days: int = Field(ge=1, le=30)

    @model_validator(mode="after")
    def _critical_is_below_warning(self) -> MonitoringSettings:
        if self.drift_critical_ratio >= self.drift_warning_ratio:
            raise ValueError(
                f"drift_critical_ratio {self.drift_critical_ratio} must lie below drift_warning_ratio "
                f"{self.drift_warning_ratio}"
            )
        return self

"""Settings of the detectors of decay that stand beside the 7-day rule."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EstimateSettings(_Section):
    """The accuracy estimated before outcomes are known; see `market.performance_estimation.confidence_falls`.

    Attributes:
        deviations: A day's estimate is low so many standard deviations of a day below the baseline's ...
        edge_loss: ... when this share of what the baseline's estimate has above 50% is gone as well.
        level: Coverage of the interval for the accuracy that will be realised.
    """

    deviations: float = Field(gt=0)
    edge_loss: float = Field(gt=0, le=1)
    level: float = Field(gt=0.5, lt=1)


class DetectorSettings(_Section):
    """What the detectors compare, and how rarely they may be wrong.

    Attributes:
        baseline_days: Newest days with predictions of the out-of-sample record before the model's own days.
        min_baseline_days: Below so many nothing is judged.
        min_day_predictions: Nor on fewer predictions a day, on average of the baseline: one symbol is right or wrong.
        min_predictions: Nor is an alarm raised on fewer predictions of the model itself.
        days_between_false_alarms: Of each sequential test, on average, at least; days with predictions.
        critical_edge_loss: CRITICAL when so much of what the baseline has above chance is gone, else WARNING.
        estimate: The estimate without outcomes.
    """

    baseline_days: int = Field(ge=20)
    min_baseline_days: int = Field(ge=20)
    min_day_predictions: float = Field(ge=2)
    min_predictions: int = Field(ge=1)
    days_between_false_alarms: float = Field(ge=100)
    critical_edge_loss: float = Field(gt=0, le=1)
    estimate: EstimateSettings

    @model_validator(mode="after")
    def _enough_is_possible(self) -> DetectorSettings:
        if self.min_baseline_days > self.baseline_days:
            raise ValueError(f"min_baseline_days {self.min_baseline_days} must not be above {self.baseline_days}")
        return self

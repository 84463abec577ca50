"""Settings of calibration, and of the thresholds that make calibrated probabilities into signals."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from market.signals import Thresholds


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CalibrationSettings(_Section):
    """How a fold's probabilities are calibrated on earlier folds' out-of-sample predictions.

    Attributes:
        method: `none` leaves the model's probabilities as they are; the others are `fit_slope`, `fit_platt` and
            `fit_isotonic` of `market.calibration_maps`.
        slope_deviation: How far from 1 the slope is expected before any outcome was seen; method `slope` only.
        min_rows: Out-of-sample rows with a known label, below which a fold stays uncalibrated.
        min_days: Different dates among them, likewise: rows of one date tell little more than one row.
        conformal_level: Promised coverage of the conformal sets of directions.
    """

    method: Literal["none", "slope", "platt", "isotonic"]
    slope_deviation: float = Field(gt=0)
    min_rows: int = Field(ge=10)
    min_days: int = Field(ge=2)
    conformal_level: float = Field(gt=0.5, lt=1)


class ThresholdSettings(_Section):
    """Probabilities that make a signal and its confidence; `high` and `medium` mirror around 1/2."""

    buy: float = Field(gt=0.5, le=1)
    sell: float = Field(ge=0, lt=0.5)
    high: float = Field(gt=0.5, le=1)
    medium: float = Field(gt=0.5, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> ThresholdSettings:
        if self.medium > self.high:
            raise ValueError(f"medium {self.medium} must not be above high {self.high}")
        return self

    def rules(self) -> Thresholds:
        """The four numbers, as the rules of `market.signals` take them."""
        return Thresholds(buy=self.buy, sell=self.sell, high=self.high, medium=self.medium)


class QuantileSettings(_Section):
    """Shares of earlier out-of-sample rows from which thresholds are taken.

    Attributes:
        buy: BUY from this quantile of the probability on, and above 1/2.
        sell: SELL up to this quantile, and below 1/2.
        high: HIGH from this quantile of the distance from 1/2 on.
        medium: MEDIUM likewise, where not HIGH.
    """

    buy: float = Field(gt=0.5, lt=1)
    sell: float = Field(gt=0, lt=0.5)
    high: float = Field(gt=0, lt=1)
    medium: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> QuantileSettings:
        if self.medium > self.high:
            raise ValueError(f"medium {self.medium} must not be above high {self.high}")
        return self


class ThresholdChoice(ThresholdSettings):
    """Fixed probabilities, or quantiles that every training run resolves to numbers in its bundle.

    Attributes:
        mode: `fixed`: the four probabilities. `quantile`: those that `quantiles` give on earlier folds' predictions;
            while there are too few of these, the four probabilities stand in.
        quantiles: Read in mode `quantile` only.
    """

    mode: Literal["fixed", "quantile"]
    quantiles: QuantileSettings

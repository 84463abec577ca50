"""The calibration inside a bundle: plain numbers that JSON carries, and the map they stand for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from market.calibration_maps import Calibrator, Isotonic, Platt
from market.errors import MetricError


class NoCalibration(BaseModel):
    """The model's probabilities as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["none"] = "none"

    def calibrator(self) -> None:
        """Nothing to apply."""


class _Fitted(BaseModel):
    """Facts of a fitted map.

    Attributes:
        rows: Out-of-sample predictions it was fitted on.
        labels_through: Latest `label_known_at` among them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(ge=1)
    labels_through: AwareDatetime


class PlattCalibration(_Fitted):
    """See `market.calibration_maps.Platt`."""

    method: Literal["platt"] = "platt"
    slope: float = Field(ge=0, allow_inf_nan=False)
    intercept: float = Field(allow_inf_nan=False)

    def calibrator(self) -> Platt:
        """The map."""
        return Platt(self.slope, self.intercept)


class IsotonicCalibration(_Fitted):
    """See `market.calibration_maps.Isotonic`."""

    method: Literal["isotonic"] = "isotonic"
    x: tuple[float, ...] = Field(min_length=1)
    y: tuple[float, ...] = Field(min_length=1)

    def calibrator(self) -> Isotonic:
        """The map."""
        return Isotonic(self.x, self.y)

    @model_validator(mode="after")
    def _a_map(self) -> IsotonicCalibration:
        try:
            self.calibrator()
        except MetricError as error:
            raise ValueError(error.message) from error
        return self


BundleCalibration = Annotated[NoCalibration | PlattCalibration | IsotonicCalibration, Field(discriminator="method")]


def bundle_calibration(
    calibrator: Calibrator | None, *, rows: int, labels_through: AwareDatetime | None
) -> NoCalibration | PlattCalibration | IsotonicCalibration:
    """A fitted map as a bundle keeps it; `rows` and `labels_through` say what it was fitted on."""
    if calibrator is None or labels_through is None:
        return NoCalibration()
    if isinstance(calibrator, Platt):
        return PlattCalibration(
            rows=rows, labels_through=labels_through, slope=calibrator.slope, intercept=calibrator.intercept
        )
    return IsotonicCalibration(rows=rows, labels_through=labels_through, x=calibrator.x, y=calibrator.y)

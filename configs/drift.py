"""Settings of drift monitoring."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LeastChange(BaseModel):
    """Differences from training that are too small to matter, however sure they are.

    Attributes:
        distance: Kolmogorov-Smirnov distance, 0-1.
        shift_sd: Displacement in deviations of the feature.
        scale_factor: Change of scale.
        scatter_factor: Change of the spread around what the other features predict.
        relation: Change of the mean product of a feature's normal score and the next direction (+1, -1).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    distance: float = Field(gt=0, lt=1)
    shift_sd: float = Field(gt=0)
    scale_factor: float = Field(gt=1)
    scatter_factor: float = Field(gt=1)
    relation: float = Field(gt=0)


class DriftSettings(BaseModel):
    """How the newest week is compared with the champion's training data.

    Attributes:
        min_rows: Bars of the newest 7 days below which nothing is judged.
        reference_blocks: Blocks of neighbouring weeks, spread over the training data, that tell what is usual.
        block_weeks: Weeks of a block, and recent weeks behind the relation of features and outcomes.
        min_reference_weeks: Fewer weeks of training than that tell too little.
        false_alarm_rate: Chance that a class raises any FEATURE_DRIFT in a week like those of training; the same for
            CONCEPT_DRIFT.
        margin: Limits that weeks of training suggest are raised by this share.
        regime_margin: The furthest week of training may be exceeded by this share before the market counts as another.
        least: Differences too small to matter.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_rows: int = Field(ge=2)
    reference_blocks: int = Field(ge=3)
    block_weeks: int = Field(ge=1)
    min_reference_weeks: int = Field(ge=10)
    false_alarm_rate: float = Field(gt=0, lt=0.5)
    margin: float = Field(ge=0)
    regime_margin: float = Field(ge=0)
    least: LeastChange

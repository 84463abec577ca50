"""Settings of promotion: what evidence makes a challenger the champion."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PromotionSettings(_Section):
    """The rules of `training.gate`; both models are judged on the bars that both predicted out of sample.

    Attributes:
        automatic: A training run promotes its challenger by itself when every rule holds and it knows more than the
            champion or is significantly better; else a person promotes.
        min_rows: Common bars whose outcome is known.
        min_dates: Different dates among them.
        min_common_share: Share of the champion's known bars that the challenger must have predicted too.
        brier_tolerance: By so much the challenger's Brier score may lie above the champion's.
        brier_margin: Non-inferior: so much Brier score, at most, the challenger may lose at the interval's low end.
        accuracy_margin_points: Non-inferior: so many percentage points of accuracy, likewise.
        max_ece: Largest expected calibration error beyond what perfect probabilities show on as many rows by chance ...
        ece_tolerance: ... unless the champion's is no more than this smaller.
        level: Coverage of the paired intervals.
        bootstrap_samples: Samples behind them.
        bootstrap_block_days: Dates in a block.
        seed: Of the bootstrap.
        contribution_rows: Out-of-sample rows whose contributions the model card averages.
    """

    automatic: bool
    min_rows: int = Field(ge=1)
    min_dates: int = Field(ge=2)
    min_common_share: float = Field(gt=0, le=1)
    brier_tolerance: float = Field(ge=0)
    brier_margin: float = Field(ge=0)
    accuracy_margin_points: float = Field(ge=0)
    max_ece: float = Field(gt=0, le=1)
    ece_tolerance: float = Field(ge=0)
    level: float = Field(gt=0.5, lt=1)
    bootstrap_samples: int = Field(ge=100)
    bootstrap_block_days: int = Field(ge=1)
    seed: int
    contribution_rows: int = Field(ge=1)

"""Settings of the audit: how much of the data each check draws, and which differences it warns about."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TooGoodSettings(_Section):
    """What looks too good to be true; all figures in percent or percentage points.

    Attributes:
        edge_points: Accuracy so far above its base rate is remarkable for next-bar directions.
        single_feature_points: So is a single feature that alone is so far above the base rate.
        lag_points: Accuracy lost when every feature is one bar older, above which hindsight is the likely reason.
        sample_rows: Rows of the declared subsample (whole symbols) on which small models are trained.
        trees: Boosting rounds of these models.
    """

    edge_points: float = Field(gt=0)
    single_feature_points: float = Field(gt=0)
    lag_points: float = Field(gt=0)
    sample_rows: int = Field(ge=1000)
    trees: int = Field(ge=1)


class PopulationSettings(_Section):
    """Hints about who is in the data.

    Attributes:
        survivor_years: A class of several symbols over so many years in which none ended is likely one of survivors.
        coverage_drop: Share of symbols by which a date may fall below the usual number before it is named.
        stale_days: Days by which the newest bar may lie behind today's clock.
    """

    survivor_years: float = Field(gt=0)
    coverage_drop: float = Field(gt=0, lt=1)
    stale_days: int = Field(ge=1)


class CanarySettings(_Section):
    """The noise canary: the pipeline trained where nothing can be known, on a declared subsample.

    Attributes:
        test_rows: Out-of-sample rows of each canary; as many older ones train it. The standard error of an accuracy is
            at most 50 / sqrt(test_rows) points where rows are independent.
        days: Newest distinct dates of an asset class from which they are drawn.
        max_trees: Boosting rounds at most.
        level: Chance that any canary of any asset class fails although nothing is wrong.
        seed: Of every draw.
    """

    test_rows: int = Field(ge=200)
    days: int = Field(ge=120)
    max_trees: int = Field(ge=1)
    level: float = Field(gt=0, lt=0.5)
    seed: int


class AuditSettings(_Section):
    """What the integrity gate draws and compares.

    Attributes:
        truncation_symbols: Sampled symbols per asset class whose histories are cut.
        truncation_cuts: Random cuts per symbol, beside one right after an event of each rare flag.
        rescale_factor: Factor by which the scale proof multiplies a symbol's prices.
        too_good: Thresholds of the warnings about results.
        population: Thresholds of the warnings about the data.
        canary: Size and level of the noise canary.
        seed: Of every draw.
    """

    truncation_symbols: int = Field(ge=1)
    truncation_cuts: int = Field(ge=1)
    rescale_factor: float = Field(gt=1)
    too_good: TooGoodSettings
    population: PopulationSettings
    canary: CanarySettings
    seed: int

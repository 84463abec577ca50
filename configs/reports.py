"""Settings of the Evidently reports: the sample they are made of, Evidently's own rules, how long pages are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

NumericMethod = Literal["ks_distance", "wasserstein", "psi", "jensenshannon", "hellinger", "kl_div", "ks"]
CategoryMethod = Literal["ks_distance", "jensenshannon", "psi", "hellinger", "kl_div", "chisquare"]
DISTANCE = "ks_distance"
"""The tables' figure, judged by the limit that weeks of training reached, and by its threshold where none is known."""
P_VALUE_METHODS: frozenset[str] = frozenset({"ks", "chisquare"})
"""Evidently's value of these is a p-value: drift is a value below the threshold. Of the others, distances, above it."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NumericRule(_Section):
    """How Evidently judges a column of numbers."""

    method: NumericMethod
    threshold: float = Field(gt=0)


class CategoryRule(_Section):
    """How Evidently judges a column of a few values."""

    method: CategoryMethod
    threshold: float = Field(gt=0)


class ReportSettings(_Section):
    """Evidently reports, one page a class and day.

    Attributes:
        enabled: False writes no page and no row.
        reference_rows: Sample of the champion's training rows.
        current_rows: Sample of the newest days' bars.
        performance_rows: Sample of predictions with a known outcome, of the newest days and of those before them each.
        min_rows: Below so many rows Evidently is not asked.
        seed: Decides which rows are drawn.
        numbers: Method and threshold for numbers; fixed, because Evidently's own choice changes with the row count.
        categories: Likewise for flags.
        drift_share: Evidently calls the whole data drifted from this share of its columns on.
        keep_days: Pages, and their runs in MLflow, of days further back are deleted; None keeps them for ever.
        mlflow: Log every page as an artifact of a run in the experiment `monitoring`.
    """

    enabled: bool
    reference_rows: int = Field(ge=100)
    current_rows: int = Field(ge=100)
    performance_rows: int = Field(ge=100)
    min_rows: int = Field(ge=10)
    seed: int
    numbers: NumericRule
    categories: CategoryRule
    drift_share: float = Field(gt=0, le=1)
    keep_days: int | None = Field(ge=1)
    mlflow: bool

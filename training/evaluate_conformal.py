"""How often conformal sets of directions held the truth, and how often they decided for one direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from configs.settings import EvaluationSettings
from market.calibration_conformal import conformal_sets
from market.statistics import hit_rate_interval
from training.calibrate import Calibration
from training.evaluate import SPLITS


@dataclass(frozen=True)
class ConformalReport:
    """Conformal sets over one data split; percent.

    Attributes:
        data_split: TRAIN, TEST or VALIDATE.
        rows: Matured rows of folds that had enough earlier predictions.
        promised: Coverage asked for.
        coverage: Share of rows whose set held the direction that came true.
        coverage_ci_95: As the intervals of hit rates; below `promised` the rows are unlike earlier ones.
        decided: Share of rows whose set held one direction only.
        decided_accuracy: Share of those that were right; None when no row was decided.
    """

    data_split: str
    rows: int
    promised: float
    coverage: float
    coverage_ci_95: tuple[float, float]
    decided: float
    decided_accuracy: float | None


def evaluate_conformal(
    predictions: pl.DataFrame, calibration: Calibration, settings: EvaluationSettings, *, level: float
) -> list[ConformalReport]:
    """Report every data split with matured rows in folds that have a conformal limit.

    Args:
        predictions: The calibrated record.
        calibration: Limits by fold, each from earlier folds' predictions.
        settings: Bootstrap samples, block length, seed.
        level: Promised coverage that the limits were made for.
    """
    limits = pl.DataFrame(
        [(index, fit.conformal_limit) for index, fit in calibration.folds.items()],
        schema={"fold": pl.Int64, "limit": pl.Float64},
        orient="row",
    ).drop_nulls()
    rows = predictions.filter(pl.col("target_direction").is_not_null()).join(limits, on="fold", how="inner")
    present = rows["data_split"].unique().to_list()
    return [
        _report(rows.filter(pl.col("data_split") == name), name, settings, level) for name in SPLITS if name in present
    ]


def _report(rows: pl.DataFrame, name: str, settings: EvaluationSettings, level: float) -> ConformalReport:
    sets = conformal_sets(rows["up_probability"].to_numpy(), rows["limit"].to_numpy())
    held, decided = sets.holds(rows["target_direction"].to_numpy()), sets.decided
    interval = hit_rate_interval(
        held,
        rows["datetime"].dt.date().to_numpy(),
        samples=settings.bootstrap_samples,
        block_days=settings.bootstrap_block_days,
        seed=settings.bootstrap_seed,
    )
    return ConformalReport(
        data_split=name,
        rows=rows.height,
        promised=100 * level,
        coverage=100 * float(held.mean()),
        coverage_ci_95=(interval.low, interval.high),
        decided=100 * float(decided.mean()),
        decided_accuracy=100 * float(np.mean(held[decided])) if decided.any() else None,
    )

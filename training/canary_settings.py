"""The configured pipeline on a small sample of an asset class."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from configs.settings import Settings, SplitSettings
from market.assets import AssetType

_YEAR = timedelta(days=365)


def canary_settings(settings: Settings, asset_type: AssetType, dates: pl.Series) -> Settings:
    """Train up to the middle date, test after it in yearly folds, with few trees, on this machine.

    What decides how a model learns (service, booster, early stopping, mode, calibration) is as configured; searches for
    parameters and features are left out, as they end before the first fold begins, and a warm start stands whatever
    exact mode says.

    Args:
        settings: The configured pipeline.
        asset_type: Whose split dates are replaced.
        dates: Stamps of the sample.
    """
    canary, training = settings.audit.canary, settings.training
    distinct = dates.unique().sort()
    middle = distinct[distinct.len() // 2].date()
    splits = SplitSettings(train_end=middle - timedelta(days=1), test_end=middle + _YEAR)
    changes = {
        "retrain": "yearly",
        "burn_in_years": 0,
        "max_trees": min(canary.max_trees, training.max_trees),
        "early_stopping_rounds": min(canary.max_trees, training.early_stopping_rounds),
        "threads": 1,
        "engine": "local",
        "parallel_folds": 1,
        "warm_start": training.warm_start.model_copy(update={"margin": 1.0}),
        "tuning": training.tuning.model_copy(update={"trials": 0}),
        "selection": training.selection.model_copy(update={"method": "none"}),
    }
    return settings.model_copy(
        update={
            "splits": settings.splits.model_copy(update={asset_type: splits}),
            "training": training.model_copy(update=changes),
        }
    )

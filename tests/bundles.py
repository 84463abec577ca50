"""A small bundle for tests: three features, seven trees."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import xgboost as xgb

from configs.settings import ThresholdSettings
from registry.bundle import BundleInfo, FoldParameters

FEATURES = ("rsi", "adx", "momentum_5d")
TREES = 7


def rows(count: int = 400) -> np.ndarray:
    matrix = np.random.default_rng(3).normal(size=(count, len(FEATURES)))
    matrix[::11, 1] = np.nan
    return matrix


def train(features: tuple[str, ...] | None = FEATURES, objective: str = "binary:logistic", trees: int = TREES):
    matrix = rows()
    labels = (matrix[:, 0] > 0).astype(float)
    data = xgb.QuantileDMatrix(matrix, labels, feature_names=None if features is None else list(features))
    return xgb.train({"objective": objective, "seed": 1, "nthread": 1}, data, trees)


def info(**changes: object) -> BundleInfo:
    fields = {
        "asset_type": "stocks",
        "feature_service": "default",
        "features": FEATURES,
        "indicator_variant": "wilder",
        "thresholds": ThresholdSettings(buy=0.6, sell=0.4, high=0.65, medium=0.55),
        "trained_through": datetime(2024, 1, 2, 21, 15, tzinfo=UTC),
        "trained_rows": 400,
        "trees": TREES,
        "folds": FoldParameters(
            retrain="quarterly",
            window="expanding",
            rolling_years=5,
            embargo_days=0,
            burn_in_years=1,
            train_end=date(2022, 12, 31),
            test_end=date(2023, 12, 31),
        ),
        "seed": 1,
        "created_at": datetime(2024, 1, 3, tzinfo=UTC),
        "run_id": "r1",
        "data_hash": "d",
        "feature_sql_hash": "s",
        "git_commit": "unknown",
    }
    return BundleInfo.model_validate({**fields, **changes})

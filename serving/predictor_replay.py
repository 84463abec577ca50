"""Stored predictions replayed: each one's model on the stored features gives its probability again, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from market.assets import AssetType
from registry.bundle import Bundle
from registry.fold_models import fold_model
from registry.models import ModelRegistry
from serving.predictor_check import require_replayed
from serving.predictor_read import REALTIME_TABLE
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import Warehouse

_FOLD = "#fold"
_PREDICTIONS = f"""
SELECT f.*, r.xgb_up_probability, r.model_version
FROM `{REALTIME_TABLE}` AS r
INNER JOIN `{FEATURES_TABLE}` AS f
  ON r.asset_type = f.asset_type AND r.symbol = f.symbol AND r.datetime = f.datetime
WHERE r.asset_type = @asset_type
ORDER BY r.model_version, f.datetime, f.symbol
"""
_CORRECTIONS = """
SELECT symbol, datetime AS corrected_bar, knowledge_at
FROM `tradehits.bar_versions`
WHERE asset_type = @asset_type AND `interval` = '1d' AND NOT is_backfill
"""


@dataclass(frozen=True)
class Replayed:
    """What a full replay found.

    Attributes:
        equal: Predictions whose probability came out again.
        corrected: Predictions left out because a bar behind them was corrected after it closed: they were made on what
            was known before.
    """

    equal: int
    corrected: int


def replay_stored(warehouse: Warehouse, registry: ModelRegistry, asset_type: AssetType) -> Replayed:
    """Score every stored prediction of a class anew.

    Raises:
        SkewError: A probability differs.
        RegistryError: The files of a model that made one are gone.
    """
    with warehouse.read() as read:
        rows = pl.DataFrame(read.query(_PREDICTIONS, {"asset_type": asset_type}))
        corrections = pl.DataFrame(read.query(_CORRECTIONS, {"asset_type": asset_type}))
    touched = (
        rows.select("symbol", "datetime", "bar_known_at")
        .join(corrections, on="symbol")
        .filter((pl.col("corrected_bar") <= pl.col("datetime")) & (pl.col("knowledge_at") > pl.col("bar_known_at")))
        .select("symbol", "datetime")
        .unique()
    )
    kept = rows.join(touched, on=["symbol", "datetime"], how="anti", maintain_order="left")
    equal = 0
    for (model_version,), made in kept.group_by("model_version", maintain_order=True):
        bundle = _model(registry, asset_type, str(model_version), made)
        equal += require_replayed(
            bundle, made, made["xgb_up_probability"].to_numpy().astype(np.float64), what="the stored prediction"
        )
    return Replayed(equal, touched.height)


def _model(registry: ModelRegistry, asset_type: AssetType, name: str, made: pl.DataFrame) -> Bundle:
    version, is_fold, _ = name.partition(_FOLD)
    if not is_fold:
        return registry.load_bundle(asset_type, version)
    fold = fold_model(registry, asset_type, version, made["datetime"][0])
    assert fold is not None  # it made the prediction
    return fold.bundle

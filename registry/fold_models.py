"""The fold models of a registered version: who predicted a bar out of sample before the version itself existed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import xgboost as xgb

from configs.settings import ThresholdSettings
from market.assets import AssetType
from market.errors import RegistryError
from registry.bundle import Bundle
from registry.calibration import IsotonicCalibration, NoCalibration, PlattCalibration
from registry.models import ModelRegistry

FOLDS_ARTIFACT = "folds/folds.json"
FOLD_ARTIFACT = "folds/fold_{:03d}.ubj"


@dataclass(frozen=True)
class FoldModel:
    """One fold of a version's record, as a bundle that scores as the fold did.

    Attributes:
        bundle: The fold's booster, calibration and thresholds; `info.trained_through` is the fold's own.
        fold: Its index.
        test_start: First stamp that it predicted out of sample.
        test_end: End of them (exclusive).
    """

    bundle: Bundle
    fold: int
    test_start: datetime
    test_end: datetime


def fold_model(registry: ModelRegistry, asset_type: AssetType, model_version: str, stamp: datetime) -> FoldModel | None:
    """The fold model whose test window holds a bar; None when the version's record does not reach there.

    Args:
        registry: Has the version and its run.
        asset_type: Of the version.
        model_version: A registered version.
        stamp: The bar's `datetime`.

    Raises:
        RegistryError: The version, its run or the fold's files are gone, or the run kept no numbers of its calibration.
        MixedVariantError: It was trained on another indicator variant than the configured one.
    """
    bundle = registry.load_bundle(asset_type, model_version)
    run_id = bundle.info.run_id
    facts = json.loads(registry.store.artifact(run_id, FOLDS_ARTIFACT).read_text(encoding="utf-8"))
    for fold in facts:
        start, end = (datetime.fromisoformat(fold[name]) for name in ("test_start", "test_end"))
        if start <= stamp < end:
            return FoldModel(_bundle(registry, bundle, fold), fold["fold"], start, end)
    return None


def _bundle(registry: ModelRegistry, final: Bundle, fold: dict[str, Any]) -> Bundle:
    path = registry.store.artifact(final.info.run_id, FOLD_ARTIFACT.format(fold["fold"]))
    booster = xgb.Booster()
    try:
        booster.load_model(path)
    except (xgb.core.XGBoostError, OSError) as error:
        raise RegistryError(
            f"{path} cannot be read as an XGBoost model", remedy="restore the file from a backup, or train again"
        ) from error
    calibration = _calibration(final, fold)
    changes = {
        "trees": booster.num_boosted_rounds(),
        "trained_rows": fold["train_rows"],
        "trained_through": datetime.fromisoformat(fold["trained_through"]),
        "calibration": calibration,
        "thresholds": ThresholdSettings(**fold["calibration"]["thresholds"]),
    }
    return Bundle(booster=booster, info=final.info.model_copy(update=changes), threads=final.threads)


def _calibration(final: Bundle, fold: dict[str, Any]) -> NoCalibration | PlattCalibration | IsotonicCalibration:
    facts = fold["calibration"]
    if facts["method"] == "none":
        return NoCalibration()
    fitted = {name: facts[name] for name in ("rows", "labels_through")}
    if facts["method"] == "platt":
        return PlattCalibration(**fitted, slope=facts["slope"], intercept=facts["intercept"])
    if "x" not in facts:
        raise RegistryError(
            f"run {final.info.run_id} kept how many knots the calibration of fold {fold['fold']} has, not their places",
            remedy="train again: newer runs keep them",
        )
    return IsotonicCalibration(**fitted, x=tuple(facts["x"]), y=tuple(facts["y"]))

"""The model bundle: a booster and everything that must agree with it before it may score a row.

A bundle on disk is a folder with `model.ubj` (XGBoost's own format) and `bundle.json`; nothing is ever pickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xgboost as xgb
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from configs.calibration import ThresholdSettings
from configs.settings import Settings
from market.assets import AssetType
from market.calibration_maps import Calibrator
from market.errors import FeatureError, MixedVariantError, RegistryError
from registry.calibration import BundleCalibration, NoCalibration

MODEL_FILE = "model.ubj"
INFO_FILE = "bundle.json"
OBJECTIVE = "binary:logistic"

IndicatorVariant = Literal["wilder", "vendor"]


class FoldParameters(BaseModel):
    """How the walk-forward record behind a bundle was cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retrain: str
    window: str
    rolling_years: int
    embargo_days: int
    burn_in_years: int
    train_end: date
    test_end: date

    @classmethod
    def of(cls, settings: Settings, asset_type: AssetType) -> FoldParameters:
        """The configured parameters of one asset class."""
        training, split = settings.training, settings.splits.of(asset_type)
        return cls(
            retrain=training.retrain,
            window=training.window,
            rolling_years=training.rolling_years,
            embargo_days=training.embargo_days,
            burn_in_years=training.burn_in_years,
            train_end=split.train_end,
            test_end=split.test_end,
        )


class BundleInfo(BaseModel):
    """What was trained, on what, and what scoring must agree with.

    Attributes:
        features: Column names in the order of the matrix.
        thresholds: Signal and confidence thresholds in force at training; quantiles are resolved to numbers.
        trained_through: Latest `label_known_at` of everything the model saw, its calibration included.
        trained_rows: Rows handed to the final fit.
        trees: Boosting rounds of the final fit.
        calibration: What turns the booster's probabilities into those the bundle gives. A kind that this version does
            not know is refused rather than ignored; bundles from before calibration say null.
        created_at: When the bundle was made.
        run_id: The MLflow run that made it.
        data_hash: Content hash of the training rows.
        feature_sql_hash: Hash of the SQL that computed the features.
        model_version: `walk_forward_<asset_type>/<n>`; None until registered.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    asset_type: AssetType
    feature_service: str
    features: tuple[str, ...] = Field(min_length=1)
    indicator_variant: IndicatorVariant
    thresholds: ThresholdSettings
    trained_through: AwareDatetime
    trained_rows: int = Field(ge=1)
    trees: int = Field(ge=1)
    calibration: BundleCalibration = NoCalibration()
    folds: FoldParameters
    seed: int
    created_at: AwareDatetime
    run_id: str
    data_hash: str
    feature_sql_hash: str
    git_commit: str
    model_version: str | None = None

    @field_validator("calibration", mode="before")
    @classmethod
    def _null_is_none(cls, given: Any) -> Any:
        return {"method": "none"} if given is None else given


@dataclass(frozen=True)
class Bundle:
    """A booster that may be used for scoring.

    The bundle owns its booster: train no further with it.

    Attributes:
        booster: `binary:logistic`, trained with feature names.
        info: What it was trained on; its features are the booster's, in the booster's order.
        threads: Threads of a prediction. Probabilities do not depend on it.

    Raises:
        RegistryError: If booster and info disagree, or the booster gives no probabilities.
    """

    booster: xgb.Booster
    info: BundleInfo
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse a booster that is not what `info` says, before it scores anything."""
        names = tuple(self.booster.feature_names or ())
        if names != self.info.features:
            raise RegistryError(
                f"the booster of {_title(self.info)} expects other columns than its bundle: "
                f"{_difference(names, self.info.features)}",
                remedy="train it again, with feature names, from the feature service that the bundle names",
            )
        if self.booster.num_boosted_rounds() != self.info.trees:
            raise RegistryError(
                f"the booster of {_title(self.info)} has {self.booster.num_boosted_rounds()} trees, "
                f"its bundle says {self.info.trees}",
                remedy="model and bundle.json come from different runs: register the bundle again",
            )
        objective = json.loads(self.booster.save_config())["learner"]["objective"]["name"]
        if objective != OBJECTIVE:
            raise RegistryError(
                f"the booster of {_title(self.info)} was trained for '{objective}' and gives no probabilities",
                remedy=f"train it with objective '{OBJECTIVE}'",
            )
        self.booster.set_param({"nthread": self.threads})

    @cached_property
    def _calibrator(self) -> Calibrator | None:
        return self.info.calibration.calibrator()

    def predict(self, matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Probability that the next bar closes higher, calibrated as `info.calibration` says.

        Args:
            matrix: Shape (rows, features) in the order of `info.features`; NaN is a missing value.

        Returns:
            Shape (rows,), float64 in [0, 1]. Safe to call from several threads.

        Raises:
            FeatureError: As `predict_raw`.
        """
        raw = self.predict_raw(matrix)
        return raw if self._calibrator is None else self._calibrator.apply(raw)

    def predict_raw(self, matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """The booster's own probability, before calibration.

        Args:
            matrix: As for `predict`.

        Returns:
            Shape (rows,), float64 in [0, 1]. Safe to call from several threads.

        Raises:
            FeatureError: For another shape, for values that are no floats, or for an infinite value (column named).
        """
        features = self.info.features
        if matrix.ndim != 2 or matrix.shape[1] != len(features):
            raise FeatureError(
                f"{_title(self.info)} scores a matrix of shape (rows, {len(features)}), got {matrix.shape}",
                remedy=f"columns in this order: {', '.join(features)}",
            )
        if not np.issubdtype(matrix.dtype, np.floating):
            raise FeatureError(
                f"{_title(self.info)} scores a matrix of floats, got {matrix.dtype}",
                remedy="cast every column to float64, with NaN where a value is missing",
            )
        infinite = np.isinf(matrix).any(axis=0)
        if infinite.any():
            raise FeatureError(
                f"infinite values in column '{features[int(np.argmax(infinite))]}'",
                remedy="an undefined feature is NaN; see where the division by zero comes from",
            )
        if len(matrix) == 0:
            return np.empty(0, dtype=np.float64)
        return np.asarray(self.booster.inplace_predict(matrix), dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write `model.ubj` and `bundle.json` into a folder, which is made when missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self.booster.save_model(folder / MODEL_FILE)
        write_info(self.info, folder)

    def with_model_version(self, model_version: str) -> Bundle:
        """The same bundle under its registered name."""
        return replace(self, info=self.info.model_copy(update={"model_version": model_version}))

    @classmethod
    def load(cls, folder: Path, *, variant: IndicatorVariant, threads: int = 1) -> Bundle:
        """Read a bundle.

        Args:
            folder: Where `save` or MLflow put it.
            variant: Indicator variant of the features that will be scored.
            threads: Threads of a prediction.

        Raises:
            RegistryError: If a file is missing or unreadable, or booster and info disagree.
            MixedVariantError: If the bundle was trained on the other indicator variant.
        """
        info = read_info(folder)
        if info.indicator_variant != variant:
            raise MixedVariantError(
                f"{_title(info)} was trained on '{info.indicator_variant}' indicators, the features are '{variant}'",
                remedy=f"set indicators.variant to '{info.indicator_variant}', or train on '{variant}'",
            )
        booster = xgb.Booster()
        try:
            booster.load_model(folder / MODEL_FILE)
        except (xgb.core.XGBoostError, ValueError, OSError) as error:
            first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RegistryError(
                f"{folder / MODEL_FILE} cannot be read as an XGBoost model: {first_line}",
                remedy="restore the folder from a backup or train again",
            ) from error
        return cls(booster=booster, info=info, threads=threads)


def write_info(info: BundleInfo, folder: Path) -> None:
    """Write `bundle.json`."""
    (folder / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_info(folder: Path) -> BundleInfo:
    """Read `bundle.json`.

    Raises:
        RegistryError: If it is missing, or a key is missing, unknown or of another type.
    """
    path = folder / INFO_FILE
    try:
        return BundleInfo.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RegistryError(
            f"no bundle at {folder}: {INFO_FILE} is missing", remedy="restore the folder from a backup or train again"
        ) from error
    except ValidationError as error:
        keys = ", ".join(sorted({".".join(map(str, e["loc"])) or "the file" for e in error.errors()}))
        raise RegistryError(
            f"{path} is not a bundle of this version: {keys}", remedy="train again, or use the version that wrote it"
        ) from error


def _title(info: BundleInfo) -> str:
    return info.model_version or f"the {info.asset_type} bundle of run {info.run_id}"


def _difference(booster: tuple[str, ...], bundle: tuple[str, ...]) -> str:
    if not booster:
        return "the booster has no feature names"
    missing = [name for name in bundle if name not in booster]
    extra = [name for name in booster if name not in bundle]
    if missing or extra:
        return f"missing {', '.join(missing) or 'none'}; unknown {', '.join(extra) or 'none'}"
    position = next(i for i, pair in enumerate(zip(booster, bundle, strict=True)) if pair[0] != pair[1])
    return f"same columns in another order, first at {position}: '{booster[position]}' is '{bundle[position]}' there"

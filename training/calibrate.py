"""Calibration of a walk-forward record: every fold by what earlier folds predicted and had turn out before it began.

The first folds have nothing before them and stay as they are; the burn-in inside TRAIN is there to give TEST its
material. Whatever a fold's probabilities owe to earlier outcomes counts into its `trained_through`, computed from the
rows that were handed to the calibrator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from configs.calibration import CalibrationSettings
from configs.settings import Settings
from market.assets import AssetType
from market.calibration_conformal import conformal_limit
from market.calibration_maps import Calibrator, fit_isotonic, fit_platt, fit_slope
from market.signals import Thresholds
from market.splits import Fold, train_rows
from market.threshold_quantiles import quantile_thresholds
from training.dataset import Dataset, as_utc
from training.walk_forward import WalkForward

RAW = "raw_up_probability"


@dataclass(frozen=True)
class CalibrationFit:
    """What was learned from out-of-sample predictions whose outcome was known.

    Attributes:
        calibrator: None leaves probabilities as they are.
        rows: Predictions that the calibrator, or relative thresholds, were taken from; 0 when neither was.
        labels_through: Latest `label_known_at` among them; None without rows.
        thresholds: In force for what it calibrates.
        conformal_limit: Lowest probability of a direction that stays in a conformal set, for reports; None without
            enough rows.
        note: Why nothing was calibrated; empty when something was.
    """

    calibrator: Calibrator | None
    rows: int
    labels_through: np.datetime64 | None
    thresholds: Thresholds
    conformal_limit: float | None
    note: str = ""

    @property
    def method(self) -> str:
        """none, platt or isotonic."""
        return "none" if self.calibrator is None else type(self.calibrator).__name__.lower()


@dataclass(frozen=True)
class Calibration:
    """Calibration of one training run.

    Attributes:
        folds: By index of the fold it was applied to.
        final: From every prediction with a known outcome, for the bundle.
    """

    folds: Mapping[int, CalibrationFit]
    final: CalibrationFit

    @property
    def thresholds(self) -> dict[int, Thresholds]:
        """Thresholds in force in each fold."""
        return {index: fit.thresholds for index, fit in self.folds.items()}

    def trained_through(self, model: np.datetime64) -> np.datetime64:
        """Latest label that the bundle knows: its model's newest, or its calibration's."""
        seen = self.final.labels_through
        return model if seen is None else max(model, seen)


def calibrate_walk_forward(
    dataset: Dataset, walk_forward: WalkForward, settings: Settings
) -> tuple[WalkForward, Calibration]:
    """Calibrate a record fold by fold, and fit what the bundle will use.

    Args:
        dataset: What the record was predicted on; names the asset class.
        walk_forward: Folds and raw predictions.
        settings: Sections `calibration` and `thresholds`.

    Returns:
        The same walk-forward with calibrated `up_probability`, the model's own as `raw_up_probability`, and
        `trained_through` counting the labels the calibration saw; and the calibration.
    """
    material = Material.of(walk_forward.predictions)
    calibrated, through = material.raw.copy(), material.trained_through.copy()
    fits: dict[int, CalibrationFit] = {}
    for result in walk_forward.folds:
        used = earlier_rows(material, result.fold)
        fit = _fit(material, used, settings, dataset.asset_type)
        own = np.flatnonzero(material.fold == result.fold.index)
        if fit.calibrator is not None:
            calibrated[own] = fit.calibrator.apply(material.raw[own])
        if fit.labels_through is not None:
            through[own] = np.maximum(through[own], fit.labels_through)
        fits[result.fold.index] = fit
    predictions = walk_forward.predictions.with_columns(
        pl.Series(RAW, material.raw),
        pl.Series("up_probability", calibrated),
        pl.Series("trained_through", through).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
    )
    known = np.flatnonzero(~np.isnan(material.label))
    final = _fit(material, known, settings, dataset.asset_type)
    return replace(walk_forward, predictions=predictions), Calibration(fits, final)


def earlier_rows(material: Material, fold: Fold) -> NDArray[np.intp]:
    """Predictions whose outcome was known before the fold's training ended, all of them of earlier folds."""
    return np.flatnonzero(train_rows(fold, material.datetime, material.label_known_at))


def calibration_facts(fit: CalibrationFit) -> dict[str, Any]:
    """A fit as plain fields; times are UTC."""
    calibrator = fit.calibrator
    knots = len(getattr(calibrator, "x", ()))
    numbers = {"knots": knots} if knots else {} if calibrator is None else vars(calibrator)
    return {
        "method": fit.method,
        "rows": fit.rows,
        "labels_through": None if fit.labels_through is None else as_utc(fit.labels_through).isoformat(),
        **numbers,
        "thresholds": vars(fit.thresholds),
        "conformal_limit": fit.conformal_limit,
        "note": fit.note,
    }


@dataclass(frozen=True)
class Material:
    """The raw record as arrays of one length, in time order.

    Attributes:
        fold: Index of the fold that predicted the row.
        datetime: Stamp, datetime64[us].
        label: 1 up, 0 down, NaN while unknown.
        label_known_at: NaT while unknown.
        raw: The fold model's probability.
        trained_through: Latest label that the fold's model saw.
    """

    fold: NDArray[np.int64]
    datetime: NDArray[np.datetime64]
    label: NDArray[np.float64]
    label_known_at: NDArray[np.datetime64]
    raw: NDArray[np.float64]
    trained_through: NDArray[np.datetime64]

    @classmethod
    def of(cls, record: pl.DataFrame) -> Material:
        """Read the columns of a record; it is sorted by (datetime, symbol)."""

        def instants(name: str) -> NDArray[np.datetime64]:
            return record[name].dt.replace_time_zone(None).cast(pl.Datetime("us")).to_numpy()

        return cls(
            fold=record["fold"].to_numpy(),
            datetime=instants("datetime"),
            label=record["target_direction"].cast(pl.Float64).fill_null(float("nan")).to_numpy(),
            label_known_at=instants("label_known_at"),
            raw=record["up_probability"].to_numpy(),
            trained_through=instants("trained_through"),
        )


def _fit(material: Material, rows: NDArray[np.intp], settings: Settings, asset_type: AssetType) -> CalibrationFit:
    """Learn from the rows given, and say from them, not from a plan, what was seen."""
    choice = settings.thresholds.of(asset_type)
    fixed = choice.rules()
    note = _too_little(material, rows, settings)
    if note:
        return CalibrationFit(None, 0, None, fixed, None, note)
    calibrator = _calibrator(material, rows, settings.calibration)
    label, raw = material.label[rows], material.raw[rows]
    probability = raw if calibrator is None else calibrator.apply(raw)
    relative = choice.mode == "quantile"
    learned = relative or calibrator is not None
    return CalibrationFit(
        calibrator=calibrator,
        rows=len(rows) if learned else 0,
        labels_through=material.label_known_at[rows].max() if learned else None,
        thresholds=quantile_thresholds(probability, **choice.quantiles.model_dump()) if relative else fixed,
        conformal_limit=conformal_limit(label, probability, level=settings.calibration.conformal_level),
        note="calibration.method is none" if calibrator is None else "",
    )


def _calibrator(material: Material, rows: NDArray[np.intp], settings: CalibrationSettings) -> Calibrator | None:
    label, raw = material.label[rows], material.raw[rows]
    match settings.method:
        case "none":
            return None
        case "slope":
            return fit_slope(label, raw, days=_days(material, rows), deviation=settings.slope_deviation)
        case "platt":
            return fit_platt(label, raw)
        case "isotonic":
            return fit_isotonic(label, raw)


def _too_little(material: Material, rows: NDArray[np.intp], settings: Settings) -> str:
    """Why these rows cannot be learned from; empty when they can."""
    wanted = settings.calibration
    days = _days(material, rows)
    if len(rows) < wanted.min_rows or days < wanted.min_days:
        return (
            f"{len(rows)} earlier predictions on {days} dates with a known outcome, "
            f"{wanted.min_rows} on {wanted.min_days} are needed"
        )
    label = material.label[rows]
    return "" if label.min() < label.max() else "earlier outcomes are all of one direction"


def _days(material: Material, rows: NDArray[np.intp]) -> int:
    """Distinct dates of rows in time order."""
    dates = material.datetime[rows].astype("datetime64[D]")
    return min(1, len(dates)) + int(np.count_nonzero(dates[1:] != dates[:-1]))

"""From real folds to the bundle: what is calibrated, what is remembered, and what the run's facts say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from configs.settings import Settings, load_settings
from market.calibration_maps import Platt
from market.signals import signal
from registry.bundle import Bundle
from tests.training_rows import training_set
from training.calibrate import RAW, Calibration, calibrate_walk_forward
from training.evaluate import evaluate_splits
from training.model import predict
from training.tracking import fold_facts, make_bundle, run_parameters
from training.walk_forward import WalkForward, run_walk_forward

DATASET = training_set()


@pytest.fixture(scope="module")
def settings() -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS__TRAINING__RETRAIN", "quarterly")
        patch.setenv("TRADEHITS__THRESHOLDS__CRYPTO__MODE", "quantile")
        return load_settings("test")


@pytest.fixture(scope="module")
def raw(settings: Settings) -> WalkForward:
    return run_walk_forward(DATASET, settings)


@pytest.fixture(scope="module")
def calibrated(raw: WalkForward, settings: Settings) -> tuple[WalkForward, Calibration]:
    return calibrate_walk_forward(DATASET, raw, settings)


@pytest.fixture(scope="module")
def bundle(calibrated: tuple[WalkForward, Calibration], settings: Settings) -> Bundle:
    return make_bundle(settings, "run", DATASET, *calibrated)


def test_every_row_still_proves_its_honesty(raw: WalkForward, calibrated: tuple[WalkForward, Calibration]) -> None:
    record = calibrated[0].predictions
    assert (record["trained_through"] <= record["fold_start"]).all()
    assert (record["trained_through"] >= raw.predictions["trained_through"]).all()
    assert_array_equal(record[RAW], raw.predictions["up_probability"])
    changed = record.filter(pl.col("up_probability") != pl.col(RAW))["fold"].unique().sort().to_list()
    assert changed == [fold.fold.index for fold in raw.folds[2:]], "two quarters of three symbols make 500 rows"


def test_the_bundle_says_what_its_calibration_saw(bundle: Bundle, calibrated: tuple[WalkForward, Calibration]) -> None:
    known = calibrated[0].predictions.drop_nulls("target_direction")
    stored = bundle.info.calibration
    assert stored.method == "platt"
    assert (stored.rows, stored.labels_through) == (known.height, known["label_known_at"].max())
    assert bundle.info.trained_through == known["label_known_at"].max()


def test_the_bundle_scores_with_its_own_calibration_and_thresholds(
    bundle: Bundle, calibrated: tuple[WalkForward, Calibration]
) -> None:
    walk_forward, calibration = calibrated
    rows = DATASET.matrix[-300:]
    assert_array_equal(bundle.predict_raw(rows), predict(walk_forward.final.booster, rows))
    assert isinstance(calibration.final.calibrator, Platt)
    assert_allclose(bundle.predict(rows), calibration.final.calibrator.apply(bundle.predict_raw(rows)), atol=1e-15)
    assert bundle.info.thresholds.model_dump() == vars(calibration.final.thresholds)
    past = calibrated[0].predictions.drop_nulls("target_direction")[RAW].to_numpy()
    signals = signal(calibration.final.calibrator.apply(past), calibration.final.thresholds)
    assert 0.03 < (signals == "BUY").mean() <= 0.05 and 0.03 < (signals == "SELL").mean() <= 0.05


def test_the_runs_facts_name_each_folds_calibration(
    raw: WalkForward, calibrated: tuple[WalkForward, Calibration], settings: Settings
) -> None:
    first, *_, last = (fold_facts(result, calibrated[1]) for result in raw.folds)
    assert (first["calibrated"], last["calibrated"]) == (False, True)
    assert first["calibration"]["note"].startswith("0 earlier predictions")
    assert last["trained_through"] >= last["model_trained_through"]
    assert last["calibration"]["thresholds"] != first["calibration"]["thresholds"]
    parameters = run_parameters(settings, DATASET)
    assert (parameters["calibration.method"], parameters["thresholds.mode"]) == ("slope", "quantile")


def test_relative_thresholds_signal_where_fixed_ones_are_silent(
    calibrated: tuple[WalkForward, Calibration], settings: Settings
) -> None:
    walk_forward, calibration = calibrated
    reports = evaluate_splits(walk_forward.predictions, calibration.thresholds, settings.evaluation)
    validate = next(report for report in reports if report.data_split == "VALIDATE")
    share = (validate.signals["BUY"] + validate.signals["SELL"]) / validate.rows
    assert 0.04 < share < 0.2


def test_later_bars_change_no_earlier_calibrated_probability(
    settings: Settings, raw: WalkForward, calibrated: tuple[WalkForward, Calibration]
) -> None:
    """Every bar from the sixth fold on turned upside down: models, calibrations and probabilities before it stay."""
    end = raw.folds[5].fold.test_start
    boundary = np.datetime64(end.replace(tzinfo=None), "us")
    label = np.where(DATASET.label_known_at >= boundary, 1 - DATASET.label, DATASET.label)
    later = DATASET.datetime >= boundary
    other = replace(
        DATASET,
        matrix=np.where(later[:, None], -3 * DATASET.matrix, DATASET.matrix),
        label=label,
        keys=DATASET.keys.with_columns(target_direction=pl.Series(label).fill_nan(None).cast(pl.Int64)),
    )
    turned, calibration = calibrate_walk_forward(other, run_walk_forward(other, settings), settings)
    before = pl.col("datetime") < end
    columns = ("up_probability", RAW, "trained_through")
    one, two = (walk.predictions.filter(before).select(columns) for walk in (calibrated[0], turned))
    assert one.equals(two)
    for result in raw.folds[:6]:
        assert calibration.folds[result.fold.index] == calibrated[1].folds[result.fold.index]
    assert calibration.final != calibrated[1].final

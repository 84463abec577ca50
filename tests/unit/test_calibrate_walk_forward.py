"""Calibration of a record: earlier folds only, known outcomes only, and the proof in every row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import xgboost as xgb
from numpy.testing import assert_array_equal
from scipy.special import expit, logit

from configs.settings import Settings, load_settings
from market.calibration import expected_calibration_error
from market.calibration_maps import fit_isotonic, fit_platt, fit_slope
from market.signals import Thresholds, signal
from market.splits import Fold
from training.calibrate import RAW, calibrate_walk_forward, calibration_facts
from training.dataset import Dataset
from training.evaluate_conformal import evaluate_conformal
from training.model import FittedModel
from training.walk_forward import FoldResult, WalkForward

FIRST = datetime(2022, 1, 1, tzinfo=UTC)
SYMBOLS = 6
FOLDS = 6
DAYS = 90


def settings_of(monkeypatch: pytest.MonkeyPatch, method: str = "platt", **changes: str) -> Settings:
    monkeypatch.setenv("TRADEHITS__CALIBRATION__METHOD", method)
    monkeypatch.setenv("TRADEHITS__CALIBRATION__MIN_ROWS", "400")
    monkeypatch.setenv("TRADEHITS__CALIBRATION__MIN_DAYS", "60")
    for name, value in changes.items():
        monkeypatch.setenv(f"TRADEHITS__{name}", value)
    return load_settings("test")


def walk_forward(seed: int = 1, embargo_days: int = 0) -> WalkForward:
    """Six folds of 90 days by a model that is twice too sure; a label is known two days after its bar's stamp."""
    generator = np.random.default_rng(seed)
    count = FOLDS * DAYS * SYMBOLS
    stamps = [FIRST + timedelta(days=day) for day in range(FOLDS * DAYS)]
    claimed = expit(generator.normal(0, 0.8, count))
    truth = generator.random(count) < expit(0.5 * logit(claimed))
    folds = []
    for index in range(FOLDS):
        start = FIRST + timedelta(days=index * DAYS)
        fold = Fold(index, None, start - timedelta(days=embargo_days), start, start + timedelta(days=DAYS))
        seen = np.datetime64(start.replace(tzinfo=None), "us") - np.timedelta64(5, "D")
        folds.append(FoldResult(fold, FittedModel(xgb.Booster(), 1, 100, seen), DAYS * SYMBOLS))
    last = np.arange(count) >= count - SYMBOLS
    record = pl.DataFrame(
        {
            "asset_type": ["crypto"] * count,
            "symbol": [f"S{i}" for _ in stamps for i in range(SYMBOLS)],
            "datetime": [stamp for stamp in stamps for _ in range(SYMBOLS)],
            "target_direction": np.where(last, -1, truth.astype(int)),
            "fold": np.repeat(np.arange(FOLDS), DAYS * SYMBOLS),
            "up_probability": claimed,
        }
    ).with_columns(
        target_direction=pl.when(pl.Series(last)).then(None).otherwise("target_direction"),
        data_split=pl.when(pl.col("fold") < 2).then(pl.lit("TRAIN")).otherwise(pl.lit("TEST")),
    )
    record = record.with_columns(
        bar_known_at=pl.col("datetime") + pl.duration(days=1),
        label_known_at=pl.when(pl.Series(last)).then(None).otherwise(pl.col("datetime") + pl.duration(days=2)),
        fold_start=pl.col("fold").replace_strict({r.fold.index: r.fold.test_start for r in folds}),
        trained_through=pl.col("fold").replace_strict(
            {r.fold.index: r.model.trained_through.item().replace(tzinfo=UTC) for r in folds}
        ),
    )
    return WalkForward(folds, record, folds[-1].model, [])


def dataset_of(record: pl.DataFrame) -> Dataset:
    nothing = np.empty(0, dtype="datetime64[us]")
    return Dataset(
        "crypto", ("a",), np.empty((0, 1), np.float32), np.empty(0, np.float32), nothing, nothing, nothing, record, "h"
    )


def calibrated(walk: WalkForward, settings: Settings):
    return calibrate_walk_forward(dataset_of(walk.predictions), walk, settings)


def test_a_fold_is_calibrated_by_earlier_folds_whose_outcome_was_known_when_it_began(monkeypatch) -> None:
    walk = walk_forward()
    after, calibration = calibrated(walk, settings_of(monkeypatch))
    record = walk.predictions
    for index in range(1, FOLDS):
        start = FIRST + timedelta(days=index * DAYS)
        used = record.filter((pl.col("fold") < index) & (pl.col("label_known_at") < start))
        expected = fit_platt(used["target_direction"].to_numpy(), used["up_probability"].to_numpy())
        fit = calibration.folds[index]
        assert fit.calibrator == expected
        assert fit.rows == used.height == (index * DAYS - 2) * SYMBOLS
        own = record.filter(pl.col("fold") == index)["up_probability"].to_numpy()
        assert_array_equal(
            after.predictions.filter(pl.col("fold") == index)["up_probability"].to_numpy(), expected.apply(own)
        )


def test_the_first_fold_stays_as_it_is_and_says_why(monkeypatch) -> None:
    walk = walk_forward()
    after, calibration = calibrated(walk, settings_of(monkeypatch))
    first = after.predictions.filter(pl.col("fold") == 0)
    assert_array_equal(first["up_probability"].to_numpy(), first[RAW].to_numpy())
    facts = calibration_facts(calibration.folds[0])
    assert (facts["method"], facts["rows"], facts["labels_through"]) == ("none", 0, None)
    assert facts["note"] == "0 earlier predictions on 0 dates with a known outcome, 400 on 60 are needed"


@pytest.mark.parametrize("change", ["MIN_ROWS", "MIN_DAYS"])
def test_too_few_rows_or_too_few_dates_leave_a_fold_uncalibrated(monkeypatch, change: str) -> None:
    wanted = {"MIN_ROWS": "1000", "MIN_DAYS": "170"}[change]
    _, calibration = calibrated(walk_forward(), settings_of(monkeypatch, **{f"CALIBRATION__{change}": wanted}))
    assert [fit.method for fit in calibration.folds.values()] == ["none", "none", *["platt"] * 4]


def test_trained_through_counts_the_labels_that_the_calibration_saw(monkeypatch) -> None:
    walk = walk_forward()
    after, calibration = calibrated(walk, settings_of(monkeypatch))
    before, record = walk.predictions, after.predictions
    assert (record["trained_through"] <= record["fold_start"]).all()
    # newest label known strictly before the fold: of the bar stamped three days before, known one day before
    later = record.filter(pl.col("fold") >= 1)
    assert (later["fold_start"] - later["trained_through"]).unique().to_list() == [timedelta(days=1)]
    first = pl.col("fold") == 0
    assert_array_equal(record.filter(first)["trained_through"], before.filter(first)["trained_through"])
    assert record.schema["trained_through"] == before.schema["trained_through"]
    newest = np.datetime64("2022-01-01", "us") + np.timedelta64(FOLDS * DAYS - 2 + 2, "D")
    assert calibration.trained_through(np.datetime64("2022-02-01", "us")) == newest
    assert calibration.trained_through(np.datetime64("2030-02-01", "us")) == np.datetime64("2030-02-01", "us")


def test_an_embargo_holds_for_the_calibration_too(monkeypatch) -> None:
    after, _ = calibrated(walk_forward(embargo_days=10), settings_of(monkeypatch))
    later = after.predictions.filter(pl.col("fold") >= 1)
    assert (later["fold_start"] - later["trained_through"]).min() == timedelta(days=5), "the model's own, not 1 day"


def test_the_future_has_no_say_in_an_earlier_folds_probabilities(monkeypatch) -> None:
    """Every probability and outcome from fold 3 on turned upside down leaves folds 0 to 3's calibration as it was."""
    walk, settings = walk_forward(), settings_of(monkeypatch)
    later = pl.col("fold") >= 3
    turned = walk.predictions.with_columns(
        up_probability=pl.when(later).then(1 - pl.col("up_probability")).otherwise("up_probability"),
        target_direction=pl.when(later).then(1 - pl.col("target_direction")).otherwise("target_direction"),
    )
    one, first = calibrated(walk, settings)
    two, second = calibrated(replace(walk, predictions=turned), settings)
    earlier = pl.col("fold") < 3
    assert_array_equal(
        one.predictions.filter(earlier)["up_probability"], two.predictions.filter(earlier)["up_probability"]
    )
    for index in range(4):
        assert first.folds[index] == second.folds[index]
    assert first.folds[5] != second.folds[5]


def test_removing_later_folds_changes_nothing_before_them(monkeypatch) -> None:
    walk, settings = walk_forward(), settings_of(monkeypatch, "isotonic")
    shorter = replace(walk, folds=walk.folds[:3], predictions=walk.predictions.filter(pl.col("fold") < 3))
    whole, part = calibrated(walk, settings)[0], calibrated(shorter, settings)[0]
    assert part.predictions.equals(whole.predictions.filter(pl.col("fold") < 3))


@pytest.mark.parametrize("method", ["slope", "platt", "isotonic"])
def test_a_too_sure_model_means_afterwards_what_it_says(monkeypatch, method: str) -> None:
    after, _ = calibrated(walk_forward(), settings_of(monkeypatch, method))
    rows = after.predictions.filter((pl.col("fold") >= 2) & pl.col("target_direction").is_not_null())
    actual = rows["target_direction"].to_numpy()
    before, now = (expected_calibration_error(actual, rows[name].to_numpy()) for name in (RAW, "up_probability"))
    assert before > 0.06
    assert now < 0.045


@pytest.mark.parametrize("method", ["slope", "platt", "isotonic"])
def test_within_a_fold_the_order_of_predictions_stays(monkeypatch, method: str) -> None:
    after, _ = calibrated(walk_forward(seed=4), settings_of(monkeypatch, method))
    for fold in range(FOLDS):
        rows = after.predictions.filter(pl.col("fold") == fold).sort(RAW)
        assert (np.diff(rows["up_probability"].to_numpy()) >= 0).all()
        assert rows["up_probability"].is_between(0, 1).all()


def test_without_a_method_nothing_changes_but_the_raw_column(monkeypatch) -> None:
    walk = walk_forward()
    after, calibration = calibrated(walk, settings_of(monkeypatch, "none"))
    assert after.predictions.drop(RAW).equals(walk.predictions)
    assert_array_equal(after.predictions[RAW], walk.predictions["up_probability"])
    assert {fit.method for fit in calibration.folds.values()} == {"none"}
    assert calibration.final.labels_through is None


def test_the_slope_counts_the_dates_behind_the_rows(monkeypatch) -> None:
    walk = walk_forward()
    _, calibration = calibrated(walk, settings_of(monkeypatch, "slope", CALIBRATION__SLOPE_DEVIATION="0.3"))
    used = walk.predictions.filter((pl.col("fold") < 2) & (pl.col("label_known_at") < FIRST + timedelta(2 * DAYS)))
    label, raw = used["target_direction"].to_numpy(), used["up_probability"].to_numpy()
    assert calibration.folds[2].calibrator == fit_slope(label, raw, days=2 * DAYS - 2, deviation=0.3)
    assert calibration.folds[2].method == "platt", "what the bundle keeps is a line on the log-odds"


def test_the_bundles_calibration_learns_from_every_known_outcome(monkeypatch) -> None:
    walk = walk_forward()
    _, calibration = calibrated(walk, settings_of(monkeypatch, "isotonic"))
    known = walk.predictions.drop_nulls("target_direction")
    assert calibration.final.rows == known.height == (FOLDS * DAYS - 1) * SYMBOLS
    expected = fit_isotonic(known["target_direction"].to_numpy(), known["up_probability"].to_numpy())
    assert calibration.final.calibrator == expected


def test_relative_thresholds_come_from_earlier_folds_calibrated_probabilities(monkeypatch) -> None:
    settings = settings_of(monkeypatch, THRESHOLDS__CRYPTO__MODE="quantile")
    walk = walk_forward()
    after, calibration = calibrated(walk, settings)
    fixed = settings.thresholds.crypto.rules()
    assert calibration.thresholds[0] == fixed, "nothing before the first fold: the fixed ones stand in"
    third, fit = calibration.thresholds[3], calibration.folds[3]
    earlier = walk.predictions.filter(
        (pl.col("fold") < 3) & (pl.col("label_known_at") < pl.lit(FIRST + timedelta(270)))
    )
    assert fit.calibrator is not None
    known = fit.calibrator.apply(earlier["up_probability"].to_numpy())
    assert (signal(known, third) == "BUY").mean() == pytest.approx(0.05, abs=0.001)
    assert (signal(known, third) == "SELL").mean() == pytest.approx(0.05, abs=0.001)
    own = after.predictions.filter(pl.col("fold") == 3)["up_probability"].to_numpy()
    assert 0.01 < (signal(own, third) == "BUY").mean() < 0.12
    assert isinstance(third, Thresholds) and third != calibration.thresholds[4]


def test_relative_thresholds_alone_count_as_knowledge_too(monkeypatch) -> None:
    settings = settings_of(monkeypatch, "none", THRESHOLDS__CRYPTO__MODE="quantile")
    after, _ = calibrated(walk_forward(), settings)
    later = after.predictions.filter(pl.col("fold") >= 1)
    assert (later["fold_start"] - later["trained_through"]).unique().to_list() == [timedelta(days=1)]


def test_conformal_sets_cover_what_they_promise(monkeypatch) -> None:
    settings = settings_of(monkeypatch)
    after, calibration = calibrated(walk_forward(), settings)
    train, test = evaluate_conformal(after.predictions, calibration, settings.evaluation, level=0.8)
    assert (train.data_split, test.data_split, test.promised) == ("TRAIN", "TEST", 80.0)
    assert train.rows == DAYS * SYMBOLS, "fold 0 has nothing before it"
    assert test.coverage == pytest.approx(80, abs=3)
    assert test.coverage_ci_95[0] < 80 < test.coverage_ci_95[1]
    assert test.decided_accuracy is not None and 55 < test.decided_accuracy < 80

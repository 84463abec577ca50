"""A bundle scores only what it was trained for, and says what is wrong otherwise."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb
from numpy.testing import assert_array_equal

from configs.settings import load_settings
from market.errors import FeatureError, MixedVariantError, RegistryError
from registry.bundle import Bundle, FoldParameters
from tests.bundles import FEATURES, info, rows, train


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle(train(), info())


def test_a_bundle_gives_the_probabilities_of_its_booster_as_float64(bundle: Bundle) -> None:
    expected = bundle.booster.predict(xgb.DMatrix(rows(), feature_names=list(FEATURES)))
    predicted = bundle.predict(rows())
    assert predicted.dtype == np.float64
    assert predicted.shape == (400,)
    assert_array_equal(predicted, expected.astype(np.float64))
    assert ((predicted > 0) & (predicted < 1)).all()


def test_saved_and_loaded_it_predicts_the_same_bits_and_says_the_same_about_itself(bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path / "b")
    loaded = Bundle.load(tmp_path / "b", variant="wilder", threads=2)
    assert_array_equal(loaded.predict(rows()), bundle.predict(rows()))
    assert loaded.info == bundle.info
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["bundle.json", "model.ubj"]


def test_the_number_of_threads_does_not_change_a_bit(bundle: Bundle) -> None:
    assert_array_equal(Bundle(train(), info(), threads=2).predict(rows()), bundle.predict(rows()))


def test_float32_and_fortran_ordered_rows_score_alike(bundle: Bundle) -> None:
    matrix = rows().astype(np.float32)
    expected = bundle.predict(matrix)
    assert_array_equal(bundle.predict(matrix.astype(np.float64)), expected)
    assert_array_equal(bundle.predict(np.asfortranarray(matrix)), expected)


def test_no_rows_give_no_probabilities_and_one_row_gives_one(bundle: Bundle) -> None:
    assert bundle.predict(np.empty((0, 3))).shape == (0,)
    assert_array_equal(bundle.predict(rows()[:1]), bundle.predict(rows())[:1])


@pytest.mark.parametrize("shape", [(3,), (5, 2), (5, 4), (2, 5, 3)])
def test_another_shape_is_refused_with_the_columns_expected(bundle: Bundle, shape: tuple[int, ...]) -> None:
    with pytest.raises(FeatureError, match=r"\(rows, 3\), got") as caught:
        bundle.predict(np.zeros(shape))
    assert caught.value.remedy == "columns in this order: rsi, adx, momentum_5d"


def test_an_infinite_value_is_refused_with_its_column(bundle: Bundle) -> None:
    matrix = rows()
    matrix[17, 2] = -np.inf
    with pytest.raises(FeatureError, match="infinite values in column 'momentum_5d'"):
        bundle.predict(matrix)


def test_integers_and_objects_are_refused_because_they_cannot_hold_a_missing_value(bundle: Bundle) -> None:
    with pytest.raises(FeatureError, match="a matrix of floats, got int64"):
        bundle.predict(np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(FeatureError, match="a matrix of floats, got object"):
        bundle.predict(np.array([[None, 1.0, 2.0]], dtype=object))


@pytest.mark.parametrize(
    ("booster_features", "message"),
    [
        (("adx", "rsi", "momentum_5d"), "another order, first at 0: 'adx' is 'rsi' there"),
        (("rsi", "adx", "roc"), "missing momentum_5d; unknown roc"),
        (None, "the booster has no feature names"),
    ],
)
def test_a_booster_with_other_columns_is_no_part_of_the_bundle(booster_features, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        Bundle(train(booster_features), info())


def test_a_booster_with_another_number_of_trees_is_of_another_run() -> None:
    with pytest.raises(RegistryError, match=r"the stocks bundle of run r1 has 8 trees, its bundle says 7"):
        Bundle(train(trees=8), info())


def test_a_regression_gives_no_probabilities() -> None:
    with pytest.raises(RegistryError, match="trained for 'reg:squarederror' and gives no probabilities"):
        Bundle(train(objective="reg:squarederror"), info())


def test_the_other_indicator_variant_is_refused_on_loading(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path)
    with pytest.raises(MixedVariantError, match="trained on 'wilder' indicators, the features are 'vendor'"):
        Bundle.load(tmp_path, variant="vendor")


def test_a_missing_or_damaged_model_file_is_named(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"no bundle at .*: bundle.json is missing"):
        Bundle.load(tmp_path / "nowhere", variant="wilder")
    bundle.save(tmp_path)
    whole = (tmp_path / "model.ubj").read_bytes()
    (tmp_path / "model.ubj").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RegistryError, match=r"model.ubj cannot be read as an XGBoost model"):
        Bundle.load(tmp_path, variant="wilder")
    (tmp_path / "model.ubj").unlink()
    with pytest.raises(RegistryError, match=r"model.ubj cannot be read as an XGBoost model"):
        Bundle.load(tmp_path, variant="wilder")


@pytest.mark.parametrize(
    ("key", "value"),
    [("calibration", {"method": "beta", "a": 1}), ("added_later", 1), ("trained_through", "2024-01-02T21:15:00")],
)
def test_a_bundle_of_a_version_that_means_more_is_refused_rather_than_half_understood(
    bundle: Bundle, tmp_path: Path, key: str, value: object
) -> None:
    bundle.save(tmp_path)
    written = json.loads((tmp_path / "bundle.json").read_text())
    (tmp_path / "bundle.json").write_text(json.dumps({**written, key: value}))
    with pytest.raises(RegistryError, match=f"is not a bundle of this version: {key}"):
        Bundle.load(tmp_path, variant="wilder")


def test_the_registered_name_is_added_without_touching_the_original(bundle: Bundle) -> None:
    named = bundle.with_model_version("walk_forward_stocks/3")
    assert named.info.model_version == "walk_forward_stocks/3"
    assert bundle.info.model_version is None
    with pytest.raises(FeatureError, match=r"^walk_forward_stocks/3 scores"):
        named.predict(np.zeros((1, 1)))


def test_fold_parameters_come_from_the_settings_of_the_asset_class() -> None:
    sample = load_settings("sample")
    assert FoldParameters.of(sample, "stocks").train_end == date(2010, 12, 31)
    assert FoldParameters.of(sample, "crypto").train_end == date(2022, 12, 31)
    assert FoldParameters.of(sample, "etf").retrain == "quarterly"

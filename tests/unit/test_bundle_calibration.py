"""A bundle gives calibrated probabilities and remembers the booster's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit

from market.calibration_maps import Isotonic, Platt
from market.errors import RegistryError
from registry.bundle import Bundle, read_info
from registry.calibration import IsotonicCalibration, NoCalibration, PlattCalibration, bundle_calibration
from tests.bundles import info, rows, train

SEEN = {"rows": 1200, "labels_through": datetime(2024, 1, 1, 21, 15, tzinfo=UTC)}
PLATT = PlattCalibration(slope=0.5, intercept=0.1, **SEEN)
ISOTONIC = IsotonicCalibration(x=(0.2, 0.4, 0.9), y=(0.45, 0.5, 0.6), **SEEN)


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    return Bundle(train(), info()).predict(rows())


def test_without_calibration_both_probabilities_are_the_boosters() -> None:
    bundle = Bundle(train(), info())
    assert bundle.info.calibration == NoCalibration()
    assert_array_equal(bundle.predict(rows()), bundle.predict_raw(rows()))


def test_platts_line_is_applied_to_the_log_odds(raw: np.ndarray) -> None:
    bundle = Bundle(train(), info(calibration=PLATT))
    assert_array_equal(bundle.predict_raw(rows()), raw)
    assert_allclose(bundle.predict(rows()), expit(0.5 * logit(raw) + 0.1), atol=1e-12)


def test_the_isotonic_map_goes_through_its_knots(raw: np.ndarray) -> None:
    bundle = Bundle(train(), info(calibration=ISOTONIC))
    assert_allclose(bundle.predict(rows()), np.interp(raw, [0.2, 0.4, 0.9], [0.45, 0.5, 0.6]), atol=1e-15)
    assert bundle.predict(np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize("calibration", [PLATT, ISOTONIC, NoCalibration()])
def test_saved_and_loaded_it_gives_the_same_bits_and_holds_plain_numbers(calibration, tmp_path: Path) -> None:
    bundle = Bundle(train(), info(calibration=calibration))
    bundle.save(tmp_path)
    loaded = Bundle.load(tmp_path, variant="wilder")
    assert loaded.info == bundle.info
    assert_array_equal(loaded.predict(rows()), bundle.predict(rows()))
    assert json.loads((tmp_path / "bundle.json").read_text())["calibration"]["method"] == calibration.method


def test_a_bundle_from_before_calibration_loads_as_uncalibrated(tmp_path: Path) -> None:
    bundle = Bundle(train(), info())
    bundle.save(tmp_path)
    written = json.loads((tmp_path / "bundle.json").read_text())
    (tmp_path / "bundle.json").write_text(json.dumps({**written, "calibration": None}))
    assert read_info(tmp_path).calibration == NoCalibration()


@pytest.mark.parametrize(
    "damaged",
    [
        {"method": "platt", "slope": -1.0, "intercept": 0.0},
        {"method": "platt", "slope": 1.0, "intercept": None},
        {"method": "isotonic", "x": [0.1, 0.2], "y": [0.5, 0.4]},
        {"method": "isotonic", "x": [0.1], "y": [0.5, 0.4]},
        {"method": "isotonic", "x": [], "y": []},
        {"method": "none", "slope": 1.0},
        {"slope": 1.0},
    ],
)
def test_a_damaged_calibration_is_refused_rather_than_applied(damaged: dict[str, object], tmp_path: Path) -> None:
    Bundle(train(), info()).save(tmp_path)
    written = json.loads((tmp_path / "bundle.json").read_text())
    seen = {} if damaged.get("method") == "none" else {"rows": 10, "labels_through": "2024-01-01T00:00:00Z"}
    (tmp_path / "bundle.json").write_text(json.dumps({**written, "calibration": damaged | seen}))
    with pytest.raises(RegistryError, match="not a bundle of this version: calibration"):
        read_info(tmp_path)


def test_a_fitted_map_becomes_what_the_bundle_keeps() -> None:
    assert bundle_calibration(Platt(0.5, 0.1), **SEEN) == PLATT
    assert bundle_calibration(Isotonic((0.2, 0.4, 0.9), (0.45, 0.5, 0.6)), **SEEN) == ISOTONIC
    assert bundle_calibration(None, rows=0, labels_through=None) == NoCalibration()

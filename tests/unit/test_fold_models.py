"""A fold of a version's record, loaded as a bundle: its booster, its calibration with every number, its thresholds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.settings import load_settings
from market.calibration_maps import Isotonic, Platt
from market.errors import RegistryError
from registry.bundle import Bundle
from registry.fold_models import fold_model
from registry.models import ModelRegistry
from registry.store import RunStore
from tests.bundles import info, rows, train

VERSION = "walk_forward_stocks/1"
THRESHOLDS = {"buy": 0.57, "sell": 0.44, "high": 0.6, "medium": 0.52}
FITTED = {"rows": 900, "labels_through": "2023-12-29T21:15:00+00:00", "thresholds": THRESHOLDS, "note": ""}


def fold(index: int, year: int, calibration: dict[str, Any]) -> dict[str, Any]:
    return {
        "fold": index,
        "test_start": f"{year}-01-01T00:00:00+00:00",
        "test_end": f"{year + 1}-01-01T00:00:00+00:00",
        "trained_through": f"{year - 1}-12-29T21:15:00+00:00",
        "train_rows": 300,
        "calibration": calibration,
    }


FOLDS = [
    fold(0, 2022, {"method": "none", "thresholds": THRESHOLDS}),
    fold(1, 2023, {"method": "platt", **FITTED, "slope": 0.7, "intercept": 0.01}),
    fold(2, 2024, {"method": "isotonic", **FITTED, "knots": 2, "x": [0.4, 0.6], "y": [0.45, 0.52]}),
    fold(3, 2025, {"method": "isotonic", **FITTED, "knots": 2}),
]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    home: Path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        store = RunStore(load_settings("test"))
    made = ModelRegistry(store)
    with store.start_run("stocks") as run_id:
        bundle = Bundle(train(), info(run_id=run_id))
        store.log_json(run_id, FOLDS, "folds/folds.json")
        for one in FOLDS:
            booster = bytes(train(trees=2 + one["fold"]).save_raw("ubj"))
            store.log_bytes(run_id, booster, f"folds/fold_{one['fold']:03d}.ubj")
        made.register(bundle, made.log_bundle(run_id, bundle))
    return made


def of(registry: ModelRegistry, stamp: datetime) -> Any:
    return fold_model(registry, "stocks", VERSION, stamp)


@pytest.mark.parametrize(
    ("stamp", "index", "calibrator"),
    [
        (datetime(2022, 1, 1, tzinfo=UTC), 0, None),
        (datetime(2023, 12, 31, tzinfo=UTC), 1, Platt(0.7, 0.01)),
        (datetime(2024, 1, 1, tzinfo=UTC), 2, Isotonic((0.4, 0.6), (0.45, 0.52))),
    ],
)
def test_the_fold_whose_window_holds_the_bar_answers_as_it_did(
    registry: ModelRegistry, stamp: datetime, index: int, calibrator: Platt | Isotonic | None
) -> None:
    found = of(registry, stamp)
    assert (found.fold, found.bundle.info.trees) == (index, 2 + index)
    assert found.bundle.info.trained_through == datetime(2021 + index, 12, 29, 21, 15, tzinfo=UTC)
    assert found.bundle.info.thresholds.model_dump() == THRESHOLDS
    raw = np.asarray(train(trees=2 + index).inplace_predict(rows()), dtype=np.float64)
    expected = raw if calibrator is None else calibrator.apply(raw)
    assert np.array_equal(found.bundle.predict(rows()), expected)


def test_no_fold_holds_a_bar_before_the_first_window_or_after_the_last(registry: ModelRegistry) -> None:
    assert of(registry, datetime(2021, 12, 31, tzinfo=UTC)) is None
    assert of(registry, datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_a_calibration_whose_knots_were_not_kept_is_refused(registry: ModelRegistry) -> None:
    with pytest.raises(RegistryError, match="the calibration of fold 3 has, not their places"):
        of(registry, datetime(2025, 5, 5, tzinfo=UTC))

"""The noise canary on a small market: silent where nothing is wrong, loud where the pipeline knows what it cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from configs.settings import Settings, load_settings
from configs.training import TrainingSettings
from market.simulate import simulate_market
from tests.planted_faults.features import lead_pivots
from tests.planted_faults.fits import bins_of_all_rows, random_split, stopping_on_the_test_fold
from tests.planted_faults.seams import replaced
from training.canary import canary_checks, shuffled_sample, skill_of
from training.canary_folds import fold_check
from training.dataset import Dataset, as_dataset, stored_training_set
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import build_features
from warehouse.ingest import ingest_asset_type

NAMES = ["crypto matched random walk", "crypto time-shuffled labels", "crypto simulated noise symbols"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("TRADEHITS__AUDIT__CANARY__TEST_ROWS", "4000")
        patch.setenv("TRADEHITS__AUDIT__CANARY__MAX_TREES", "20")
        return load_settings("test")


@pytest.fixture(scope="module")
def stored(settings: Settings) -> tuple[DuckDBWarehouse, Dataset]:
    bars = simulate_market(
        "crypto", seed=8, start=date(2021, 1, 1), end=date(2023, 6, 30), planted_symbols=3, noise_symbols=1
    ).bars
    warehouse = DuckDBWarehouse.scratch(settings.warehouse)
    ingest_asset_type(warehouse, settings, bars, source="simulated")
    build_features(warehouse, settings, ["crypto"])
    return warehouse, as_dataset(settings, "crypto", stored_training_set(warehouse, settings, "crypto"))


def test_an_honest_pipeline_predicts_no_coin(stored: tuple[DuckDBWarehouse, Dataset], settings: Settings) -> None:
    results = canary_checks(*_with(stored, settings), family=9)
    assert [result.subject for result in results] == [*NAMES, "crypto predictions"]
    assert [result.status for result in results] == ["passed"] * 4
    for result in results[:3]:
        for words in ("accuracy", "base rate", "standard error", "level 0.0011", "seed 5"):
            assert words in result.detail


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures(stored: tuple[DuckDBWarehouse, Dataset], settings: Settings) -> None:
    warehouse, dataset = stored
    one, two = (canary_checks(warehouse, settings, dataset, family=9) for _ in range(2))
    assert one == two


def test_look_ahead_pivots_are_heard_on_both_markets(
    stored: tuple[DuckDBWarehouse, Dataset], settings: Settings
) -> None:
    with lead_pivots():
        results = canary_checks(*_with(stored, settings), family=9)
    by_subject = {result.subject: result for result in results}
    told = [by_subject[name].detail for name in NAMES]
    assert [by_subject[name].status for name in NAMES] == ["failed", "passed", "failed"], told
    assert "see the future" in by_subject[NAMES[0]].remedy


def test_a_model_that_learned_its_test_labels_is_heard_on_shuffled_ones(
    stored: tuple[DuckDBWarehouse, Dataset], settings: Settings
) -> None:
    import training.walk_forward as walk_forward

    original = walk_forward.fit

    def seen_everything(dataset: Dataset, rows: object, training: TrainingSettings) -> object:
        eager = {"learning_rate": 0.5, "max_depth": 8, "min_child_weight": 1.0}
        changes = {"early_stopping_share": 0.0, "xgboost": training.xgboost.model_copy(update=eager)}
        return original(dataset, np.flatnonzero(~np.isnan(dataset.label)), training.model_copy(update=changes))

    sample = shuffled_sample(settings, stored[1], seed=1)
    assert skill_of(sample, settings, by_symbol=True).p_value > 0.0011
    with replaced(original, seen_everything):
        assert skill_of(sample, settings, by_symbol=True).p_value < 1e-6


@pytest.mark.parametrize("plant", [random_split, stopping_on_the_test_fold, bins_of_all_rows])
def test_predictions_that_depend_on_the_future_are_found_bit_by_bit(
    stored: tuple[DuckDBWarehouse, Dataset], settings: Settings, plant: object
) -> None:
    dataset = stored[1]
    assert fold_check(settings, dataset, seed=1).status == "passed"
    with plant():  # type: ignore[operator]
        found = fold_check(settings, dataset, seed=1)
    assert (found.status, found.check, found.subject) == ("failed", "truncation", "crypto predictions")
    assert "predictions change when labels unknown" in found.detail


def test_too_little_data_is_said_and_stops_nothing(stored: tuple[DuckDBWarehouse, Dataset], settings: Settings) -> None:
    warehouse, dataset = stored
    few = dataset.keys["datetime"].unique().sort()[:80].to_list()
    rows = np.flatnonzero(dataset.keys["datetime"].is_in(few).to_numpy())
    short = replace(
        dataset, matrix=dataset.matrix[rows], label=dataset.label[rows], datetime=dataset.datetime[rows],
        known_at=dataset.known_at[rows], label_known_at=dataset.label_known_at[rows],
        keys=dataset.keys.filter(pl.col("datetime").is_in(few)),
    )  # fmt: skip
    results = canary_checks(warehouse, settings, short, family=9)
    assert {result.status for result in results} == {"warning"}
    assert "could not run: 80 dates, at least 120 are needed" in results[0].detail


def _with(stored: tuple[DuckDBWarehouse, Dataset], settings: Settings) -> tuple[DuckDBWarehouse, Settings, Dataset]:
    warehouse, dataset = stored
    return warehouse, settings, dataset

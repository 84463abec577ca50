"""Warnings about results: hindsight is remarkable, honest noise is not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from configs.settings import Settings
from tests.audited import audit_settings, drawn_dataset, noise_dataset
from training.audit_labels import only_rows
from training.audit_population import population_check
from training.audit_record import record_of
from training.audit_too_good import too_good_check
from training.checks import CheckResult
from training.dataset import Dataset
from training.walk_forward import run_walk_forward

SYMBOLS = 4


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return audit_settings(str(tmp_path_factory.mktemp("home")))


def leaning(share: float, *, remembered: bool) -> Dataset:
    """Labels that follow the sign of the first feature with this probability; remembered: it changes slowly."""
    random = np.random.default_rng(8)
    days = 1300
    drawn = random.normal(size=(days, SYMBOLS))
    if remembered:
        for day in range(1, days):
            drawn[day] = 0.98 * drawn[day - 1] + 0.2 * drawn[day]
    first = drawn.ravel()
    matrix = np.column_stack([first, random.normal(size=(days * SYMBOLS, 3))])
    follows = random.random(days * SYMBOLS) < share
    return drawn_dataset(matrix, np.where(follows, first > 0, first <= 0).astype(float), symbols=SYMBOLS)


def by_subject(results: list[CheckResult]) -> dict[str, CheckResult]:
    assert {result.check for result in results} == {"too_good"}
    assert "failed" not in {result.status for result in results}, "these are warnings"
    return {result.subject: result for result in results}


def test_noise_is_unremarkable(settings: Settings) -> None:
    dataset = noise_dataset()
    record = record_of(run_walk_forward(dataset, settings), dataset.content_hash)
    found = by_subject(too_good_check(dataset, settings, record))
    assert {result.status for result in found.values()} == {"passed"}
    assert set(found) == {"accuracy against base rate", "single features", "features one bar older"}


def test_a_feature_that_knows_the_next_bar_is_named_three_times_over(settings: Settings) -> None:
    dataset = leaning(0.75, remembered=False)
    record = record_of(run_walk_forward(dataset, settings), dataset.content_hash)
    found = by_subject(too_good_check(dataset, settings, record))
    assert {result.status for result in found.values()} == {"warning"}
    assert "against a base rate of 5" in found["accuracy against base rate"].detail
    assert "f0 7" in found["single feature f0"].detail
    assert found["single feature f0"].remedy.startswith("see where f0 gets its knowledge")
    assert "alone f0 falls from 7" in found["features one bar older"].detail


def test_an_edge_that_lasts_does_not_collapse_with_a_lag(settings: Settings) -> None:
    found = by_subject(too_good_check(leaning(0.65, remembered=True), settings, None))
    assert found["single feature f0"].status == "warning"
    assert found["features one bar older"].status == "passed"


def test_too_few_rows_are_said_and_not_judged(settings: Settings) -> None:
    (result,) = too_good_check(noise_dataset(days=400), settings, None)
    assert (result.status, result.detail) == ("passed", "too few rows before or after TRAIN for small models")


def test_a_class_of_survivors_is_a_hint_and_one_that_lost_a_symbol_is_not(tmp_path: Path) -> None:
    settings = audit_settings(str(tmp_path), audit__population__survivor_years="3")
    survivors = {result.subject: result for result in population(settings, noise_dataset())}["survivors"]
    assert survivors.status == "warning"
    assert survivors.detail.startswith("0 of 4 symbols ended in 3.6 years")
    whole = noise_dataset()
    keep = ~((whole.keys["symbol"] == "S03/USDT") & (whole.keys["datetime"] > whole.keys["datetime"][2000])).to_numpy()
    ended = {result.subject: result for result in population(settings, rows_of(whole, keep))}["survivors"]
    assert (ended.status, ended.detail) == ("passed", "1 of 4 symbols ended in 3.6 years")


def test_a_thin_date_is_named(settings: Settings) -> None:
    whole = noise_dataset()
    day = whole.keys["datetime"][1000]
    keep = ~((whole.keys["datetime"] == day) & (whole.keys["symbol"] != "S00/USDT")).to_numpy()
    coverage = {result.subject: result for result in population(settings, rows_of(whole, keep))}["coverage by date"]
    assert coverage.status == "warning"
    assert coverage.detail == f"1 of 1300 dates, 1 to 4 symbols a date; thin ones: {day:%Y-%m-%d} 1 of 4"


def test_an_old_newest_bar_is_told_by_the_clock_of_its_class(tmp_path: Path) -> None:
    dataset = noise_dataset()
    newest = dataset.keys["bar_known_at"].max()
    for days, status in ((7, "passed"), (8, "warning")):
        now = (newest + timedelta(days=days)).isoformat()
        settings = audit_settings(str(tmp_path), clock__crypto=now)
        found = {result.subject: result for result in population(settings, dataset)}["newest bar"]
        assert found.status == status
        assert f", {days} days before today's clock" in found.detail


def population(settings: Settings, dataset: Dataset) -> list[CheckResult]:
    from warehouse.duckdb import DuckDBWarehouse

    warehouse = DuckDBWarehouse.scratch(settings.warehouse)
    warehouse.ensure_schema()
    return population_check(warehouse, settings, dataset)


def rows_of(dataset: Dataset, keep: np.ndarray) -> Dataset:
    return only_rows(dataset, np.flatnonzero(keep))

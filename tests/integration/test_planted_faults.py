"""Every fault planted behind the feature table is caught and named rightly; without one nothing is accused."""

from __future__ import annotations

import pytest

from configs.settings import Settings
from tests.planted_faults.fits import FIT_FAULTS
from tests.planted_faults.library import FAULTS, parameters
from tests.planted_faults.road import SMALL, audited, built, settings_with, told
from tests.planted_faults.rows import ROW_FAULTS
from warehouse.duckdb import DuckDBWarehouse


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_with(tmp_path_factory.mktemp("home"), SMALL)


@pytest.fixture(scope="module")
def warehouse(settings: Settings) -> DuckDBWarehouse:
    """These faults change nothing that is stored."""
    return built(settings)


def test_nothing_is_accused_where_nothing_is_wrong(settings: Settings, warehouse: DuckDBWarehouse) -> None:
    results = audited(settings, warehouse)
    assert [result for result in results if result.status == "failed"] == []
    assert {"identity", "time", "labels", "truncation", "scale", "canary"} <= {result.check for result in results}


def test_the_library_holds_at_least_sixteen_different_faults() -> None:
    assert len([fault for fault in FAULTS.values() if not fault.is_variant]) >= 16


@pytest.mark.parametrize("name", parameters((*ROW_FAULTS, *FIT_FAULTS)))
def test_a_planted_fault_is_caught_and_named(settings: Settings, warehouse: DuckDBWarehouse, name: str) -> None:
    fault = FAULTS[name]
    with fault.plant():
        results = audited(settings, warehouse)
    assert fault.namings(results), f"{fault.what}: not named\n{told(results)}"
    assert fault.wrong(results) == [], f"{fault.what}: something else is accused\n{told(results)}"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_leaves_no_trace_after_its_block(name: str) -> None:
    """The seams are what they were, or later tests would run faulty code."""
    import training.audit
    import warehouse.features

    before = (dict(vars(training.audit)), warehouse.features.FEATURES_SQL)
    with FAULTS[name].plant():
        pass
    assert (dict(vars(training.audit)), warehouse.features.FEATURES_SQL) == before

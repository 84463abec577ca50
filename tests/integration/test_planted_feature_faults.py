"""Every fault planted in indicators or the feature query is caught by the audit and named rightly."""

from __future__ import annotations

import pytest

from configs.settings import Settings
from tests.planted_faults.features import FEATURE_FAULTS
from tests.planted_faults.library import FAULTS, parameters
from tests.planted_faults.road import SMALL, audited, built, settings_with, told


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_with(tmp_path_factory.mktemp("home"), SMALL)


@pytest.mark.parametrize("name", parameters(FEATURE_FAULTS))
def test_a_planted_fault_is_caught_and_named(settings: Settings, name: str) -> None:
    fault = FAULTS[name]
    with fault.plant():
        results = audited(settings, built(settings))
    assert fault.namings(results), f"{fault.what}: not named\n{told(results)}"
    assert fault.wrong(results) == [], f"{fault.what}: something else is accused\n{told(results)}"

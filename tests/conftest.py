"""Every test gets a home of its own and an environment without the user's settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

import feature_repo  # noqa: F401  (before tests import Feast, as in our own processes)

if TYPE_CHECKING:
    from tests.system.emulator import Emulator

# The quick suite draws the same examples each time, so that it judges the change and not the day's luck;
# `make test-all` searches with new ones. Neither measures how long an example takes.
settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("searching"), derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.upper().startswith(("TRADEHITS", "PREFECT_API", "GEMINI_", "GOOGLE_API_KEY")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A BigQuery emulator for the whole run; tests keep apart by project names of their own."""
    from tests.system.emulator import running_emulator

    with running_emulator(tmp_path_factory.mktemp("emulator")) as started:
        yield started

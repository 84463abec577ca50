"""Every test gets a home of its own and an environment without the user's settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.upper().startswith(("TRADEHITS", "PREFECT_API")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")

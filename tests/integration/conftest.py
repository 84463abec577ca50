"""What several integration test files start from, made once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def champion_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three registered stock models; the first is champion with its record published, the third is the challenger."""
    from tests.integration.champion_world import prepare_home

    return prepare_home(tmp_path_factory.mktemp("champions"))

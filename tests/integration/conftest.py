"""What several integration test files start from, made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock


@pytest.fixture(scope="session")
def champion_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three registered stock models; the first is champion with its record published, the third is the challenger."""
    from tests.integration.champion_world import prepare_home

    return prepare_home(tmp_path_factory.mktemp("champions"))


@pytest.fixture(scope="session")
def inference_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated market with champions and no prediction; made once for all workers of a run, to be copied."""
    own = tmp_path_factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    home, done = root / "inference", root / "inference.done"
    with FileLock(root / "inference.lock"):
        if not done.exists():
            from tests.integration.inference_world import prepared_home

            prepared_home(home)
            done.touch()
    return home

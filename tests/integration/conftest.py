"""What several integration test files start from, made once for all workers of a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder of the whole run: the first worker makes it, the others wait for it."""
    own = tmp_path_factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    home, done = root / name, root / f"{name}.done"
    with FileLock(root / f"{name}.lock"):
        if not done.exists():
            make(home)
            done.touch()
    return home


@pytest.fixture(scope="session")
def champion_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three registered stock models; the first is champion with its record published, the third is the challenger."""
    from tests.integration.champion_world import prepare_home

    return made_once(tmp_path_factory, "champions", prepare_home)


@pytest.fixture(scope="session")
def inference_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated market with champions and no prediction, to be copied."""
    from tests.integration.inference_world import prepared_home

    return made_once(tmp_path_factory, "inference", prepared_home)

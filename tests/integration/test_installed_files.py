"""What an installed copy needs and no import shows: data files, and the module that clients import."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs.settings import REPO_DIR

SOURCES = ("pyproject.toml", "README.md", "gemini_ensemble_integration.py")
BUILD = "from setuptools import setup; setup()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Files of a build from a copy, as a wheel would hold them; nothing is downloaded."""
    pytest.importorskip("setuptools", minversion="61")
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("out")
    packages = [path.parent for path in REPO_DIR.glob("*/__init__.py") if path.parent.name not in ("tests", "bench")]
    for package in packages:
        shutil.copytree(package, copy / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(REPO_DIR / name, copy / name)
    arguments = [sys.executable, "-W", "ignore", "-c", BUILD, "-q", "build_py", "--build-lib", str(out)]
    done = subprocess.run(arguments, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {str(path.relative_to(out)) for path in Path(out).rglob("*") if path.is_file()}


def test_the_prompt_and_the_clients_module_are_installed(installed: set[str]) -> None:
    needed = {"gemini_ensemble_integration.py", "serving/prompts/market_opinion_v1.txt", "serving/ensemble.py"}

    assert needed <= installed


def test_configuration_and_sql_are_installed_and_nothing_of_ours_alone(installed: set[str]) -> None:
    assert {"configs/base.yaml", "warehouse/sql/tables/tradehits.gemini_calls.sql"} <= installed
    assert sum(name.startswith("warehouse/sql/") for name in installed) >= 40
    assert not [name for name in installed if name.startswith(("tests/", "bench/", "mlruns/"))]

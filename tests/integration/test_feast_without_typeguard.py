"""Feast is imported without being compiled a second time, and our definitions stand up to the checks left out."""

from __future__ import annotations

import subprocess
import sys

import pytest

SAY_WHETHER_CHECKED = """
{first}
import feature_repo.services, feature_repo.views
from feast import Entity, FeatureView, Field
print([
    any("check_argument_types" in str(name) for name in one.__init__.__code__.co_names)
    for one in (Entity, FeatureView, Field)
])
"""


def said(first: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SAY_WHETHER_CHECKED.format(first=first)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_our_processes_import_feast_as_it_is_written() -> None:
    assert said("") == "[False, False, False]"


@pytest.mark.slow
def test_our_definitions_pass_the_checks_of_a_feast_that_was_imported_first() -> None:
    assert said("import feast") == "[True, True, True]"

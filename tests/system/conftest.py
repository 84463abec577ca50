"""One emulator per file: it looks through the tables of all its projects for every statement."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.emulator import Emulator, running_emulator


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A BigQuery emulator for the tests of one file."""
    with running_emulator(tmp_path_factory.mktemp("emulator")) as started:
        yield started

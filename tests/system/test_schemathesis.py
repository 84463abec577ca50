"""Schemathesis over the service's own OpenAPI document: examples, edge values, random, negative and linked requests."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.service_world import service_world

pytestmark = pytest.mark.system

AT_LEAST = 5_000
EXAMPLES = 420
CONFIG = Path(__file__).with_name("schemathesis.toml")


def test_no_generated_request_finds_a_server_error_or_breaks_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = service_world(tmp_path)
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path))
    with world.serve() as base:
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"),
                *(f"{base}/openapi.json", "--max-examples", str(EXAMPLES), "--seed", "20240628"),
                *("--phases", "examples,coverage,fuzzing,stateful", "--mode", "all", "--continue-on-failure"),
            ],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "NO_COLOR": "1", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=1100,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert re.search(rf"✅  ?{phase}", done.stdout), done.stdout[-3000:]
    answered = access_log(world.settings.paths.cache / "compat-service.log")
    told = re.search(r"([\d,]+) generated", done.stdout)
    assert told is not None
    generated = int(told[1].replace(",", ""))
    assert min(generated, sum(answered.values())) >= AT_LEAST
    assert [status for status in answered if status >= 500] == []
    assert answered[200] > 1_000, "valid requests were among them"
    assert answered[422] > 1_000, "and invalid ones"


def access_log(file: Path) -> Counter[int]:
    """How many requests the service itself says it answered, by status."""
    lines = (line for line in file.read_text().splitlines() if line.startswith('{"at"'))
    return Counter(json.loads(line)["status"] for line in lines)

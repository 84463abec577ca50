"""`tradehits compat` as a user runs it: it starts a service, asks what users ask, stops it, and says what came back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.service_world import service_world

pytestmark = pytest.mark.system


def test_every_example_works_and_nothing_keeps_running(tmp_path: Path) -> None:
    service_world(tmp_path)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("tradehits")), "compat", "--profile", "test", "--format", "json"],
        env=os.environ | {"TRADEHITS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {outcome["name"]: outcome for outcome in json.loads(done.stdout)}
    assert {name: outcome["verdict"] for name, outcome in outcomes.items()} == {
        "pipeline status": "ok",
        "yesterday's strongest predictions": "empty",
        "best performers": "empty",
        "open alerts": "empty",
        "high-confidence crypto buys": "ok",
        "one symbol": "ok",
    }
    assert outcomes["yesterday's strongest predictions"]["detail"] == (
        "no rows: the newest bar is of 2024-06-28; the highest VALIDATE probability on any day is 0.7"
    )
    assert outcomes["one symbol"]["asked"].endswith("/api/ml/symbol-prediction/NVDA?asset_type=stocks")
    left = [process for process in psutil.process_iter(["environ"]) if belongs(process, str(tmp_path))]
    assert left == []


def belongs(process: psutil.Process, home: str) -> bool:
    """Whether a process was started with this home."""
    environment = process.info["environ"] or {}
    return bool(environment.get("TRADEHITS_HOME") == home)

"""Memory of the service over many requests of every kind."""

from __future__ import annotations

import http.client
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.load import Asked, under_load
from tests.service_world import service_world

pytestmark = pytest.mark.system

REQUESTS = int(os.environ.get("MEMORY_REQUESTS", "200000"))
WARM_UP_SHARE = 0.25
ALLOWED_GROWTH_BYTES = 12 * 1024 * 1024
TARGETS = [
    *(Asked("GET", f"/api/ml/predictions?limit={n}") for n in range(1, 40)),
    Asked("GET", "/api/ml/symbol-prediction/BTC/USDT?asset_type=crypto"),
    Asked("GET", "/api/ml/walk-forward-summary"),
    Asked("GET", "/nowhere"),
    Asked("GET", "/api/ml/predictions?limit=x"),
    Asked("GET", "/api/ml/symbol-prediction/NOPE"),
    Asked("POST", "/predict", b'{"asset_type": "etf", "rows": [[1, 2, 3]]}'),
    Asked("POST", "/predict", b'{"asset_type": "etf", "rows": [[1'),
    Asked("GET", "/metrics"),
]


def test_memory_does_not_grow_with_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = service_world(tmp_path)
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path))

    def judge(asked: Asked, status: int, headers: http.client.HTTPMessage, body: bytes) -> tuple[Any, str | None]:
        return status, None if status in (200, 404, 422) else f"{asked.target}: {status}"

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with world.serve() as base:
        family = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
        with under_load(base, TARGETS, judge, clients=6) as load:
            while load.answered < REQUESTS * WARM_UP_SHARE and not load.faults:
                time.sleep(0.05)
            warm = resident(family)
            while load.answered < REQUESTS and not load.faults:
                time.sleep(0.05)
            grown = resident(family) - warm
    assert load.faults == []
    assert load.seen == {200, 404, 422}
    assert grown < ALLOWED_GROWTH_BYTES, f"{grown / 2**20:.1f} MiB over {load.answered:,} requests"


def resident(family: list[psutil.Process]) -> int:
    """Bytes of all processes of the service."""
    return sum(process.memory_info().rss for process in family if process.is_running())

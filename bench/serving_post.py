"""Benchmark `serving_post`: one row scored by our service, by `mlflow models serve` and by a bare FastAPI route."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Comparison, Measure
from bench.serving_world import FEATURES, Server, bare, free_port, make_home, ours, requests_per_second, serving

NAME = "serving_post"
SECONDS = {"small": 3.0, "full": 15.0}
ROW = [0.1 * number for number in range(len(FEATURES))]
OURS = {"asset_type": "stocks", "rows": [ROW]}
MLFLOW = {"dataframe_split": {"columns": list(FEATURES), "data": [ROW]}}


def run(size: str) -> Iterator[Comparison]:
    """Throughput of one row a request, one process each."""
    seconds = SECONDS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        home = Path(root)
        bundle = make_home(home, 50)
        with serving(*ours(free_port())) as service:
            with serving(*bare(free_port())) as peer:
                mine = requests_per_second(service.url + "/predict", seconds, body=OURS)
                theirs = requests_per_second(peer.url + "/predict", seconds, body=OURS)
                yield _compared(size, "bare FastAPI + uvicorn", (mine, service), (theirs, peer))
            _save_for_mlflow(bundle, home / "mlflow")
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it looks for uvicorn there
            with serving(*_mlflow(home / "mlflow", free_port()), PATH=path) as peer:
                mine = requests_per_second(service.url + "/predict", seconds, body=OURS)
                theirs = requests_per_second(peer.url + "/invocations", seconds, body=MLFLOW)
                yield _compared(size, "mlflow models serve", (mine, service), (theirs, peer))


def _compared(size: str, peer: str, ours: tuple[float, Server], theirs: tuple[float, Server]) -> Comparison:
    measures = [Measure(1000 / rate, server.memory_mib) for rate, server in (ours, theirs)]
    note = f"seconds for 1,000 requests; {ours[0]:,.0f} and {theirs[0]:,.0f} requests/s, load {os.getloadavg()[0]:.1f}"
    return Comparison(NAME, f"{size}: one row", measures[0], peer, measures[1], 0.0, note)


def _save_for_mlflow(bundle: object, folder: Path) -> None:
    from registry.bundle import Bundle
    from registry.flavour import save_bundle
    from registry.mlflow_api import Model

    assert isinstance(bundle, Bundle)
    save_bundle(bundle, folder, None, Model())


def _mlflow(folder: Path, port: int) -> tuple[list[str], int, str]:
    """MLflow's own server in this environment, one worker."""
    command = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "-m", str(folder), "--port", str(port)]
    return [*command, "--env-manager", "local", "--workers", "1"], port, "/ping"

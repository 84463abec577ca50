"""What the service benchmarks serve: one booster, a snapshot of many symbols, servers of ours and others, and load."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import xgboost as xgb

from configs.settings import load_settings
from registry.bundle import Bundle, BundleInfo, FoldParameters
from serving.snapshot import REALTIME, WALK_FORWARD, model_member
from serving.snapshot_file import write_snapshot
from serving.snapshot_rows import RealtimeRow, WalkForwardRow

FEATURES = tuple(f"feature_{number:02d}" for number in range(30))
VERSION = "walk_forward_stocks/1"
NOW = datetime(2025, 6, 30, 20, 15, tzinfo=UTC)
PYTHON = sys.executable


def make_bundle() -> Bundle:
    """120 trees of depth 4 on 30 features: the size of a champion on daily bars."""
    random = np.random.default_rng(1)
    matrix = random.normal(size=(20_000, len(FEATURES)))
    label = (matrix[:, 0] + random.normal(size=20_000) > 0).astype(float)
    data = xgb.QuantileDMatrix(matrix, label, feature_names=list(FEATURES))
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 4, "eta": 0.05, "nthread": 1}, data, 120)
    info = BundleInfo(
        asset_type="stocks",
        feature_service="default",
        features=FEATURES,
        indicator_variant="wilder",
        thresholds={"buy": 0.6, "sell": 0.4, "high": 0.65, "medium": 0.55},
        trained_through=NOW - timedelta(days=90),
        trained_rows=20_000,
        trees=120,
        folds=FoldParameters(
            retrain="quarterly", window="expanding", rolling_years=5, embargo_days=0, burn_in_years=1,
            train_end=date(2022, 12, 31), test_end=date(2023, 12, 31),
        ),
        seed=1, created_at=NOW, run_id="bench", data_hash="d", feature_sql_hash="s", git_commit="unknown",
        model_version=VERSION,
    )  # fmt: skip
    return Bundle(booster, info)


def make_home(home: Path, symbols: int, days: int = 276) -> Bundle:
    """A home of profile `test` with a published snapshot of stocks."""
    bundle = make_bundle()
    os.environ["TRADEHITS_HOME"] = str(home)
    path = load_settings("test").paths.snapshot_file
    rows = _rows(symbols, days)
    folder = home / "bundle"
    bundle.save(folder)
    record = {"asset_type": "stocks", "data_split": None, "total_predictions": 100, "correct": 52, "accuracy": 52.0,
              "base_rate": 51.0, "accuracy_ci_95": [42.0, 62.0]}  # fmt: skip
    champion = {
        "asset_type": "stocks", "model_version": VERSION, "run_id": "bench", "feature_service": "default",
        "features": list(FEATURES), "indicator_variant": "wilder",
        "trained_through": bundle.info.trained_through.isoformat(),
        "thresholds": {"buy": 0.6, "sell": 0.4, "high": 0.65, "medium": 0.55},
        "today": NOW.isoformat(), "as_of": NOW.isoformat(), "high_record": record,
    }  # fmt: skip
    facts = {
        "profile": "test",
        "created_at": NOW.isoformat(),
        "champions": {"stocks": champion},
        "summary": [{**record, "data_split": "TEST"}],
        "methodology": {"training": "t", "testing": "t", "validation": "t"},
    }
    members = {
        WALK_FORWARD: _parquet(rows),
        REALTIME: _parquet(pl.DataFrame(schema=dict.fromkeys(RealtimeRow.__dataclass_fields__, pl.String))),
        **{model_member("stocks", file.name): file.read_bytes() for file in folder.iterdir()},
    }
    write_snapshot(path, facts, members)
    return bundle


def _rows(symbols: int, days: int) -> pl.DataFrame:
    random = np.random.default_rng(2)
    stamps = [NOW.replace(hour=0, minute=0) - timedelta(days=day) for day in range(days)]
    count = symbols * days
    frame = pl.DataFrame(
        {
            "symbol": [f"SYM{number:05d}" for number in range(symbols)] * days,
            "datetime": [stamp for stamp in stamps for _ in range(symbols)],
            "price": random.uniform(5, 500, count),
            "up_probability": random.normal(0.5, 0.03, count).clip(0.01, 0.99),
            "rsi": random.uniform(20, 80, count),
        },
        schema_overrides={"datetime": pl.Datetime("us", "UTC")},
    )
    flags = ("in_rise_cycle", "rise_cycle_start", "pivot_high_flag", "pivot_low_flag", "golden_cross")
    return frame.with_columns(
        asset_type=pl.lit("stocks"), bar_known_at=pl.col("datetime") + pl.duration(hours=20, minutes=15),
        label_known_at=pl.lit(None, pl.Datetime("us", "UTC")), atr=pl.col("price") / 50, percent_change=pl.lit(0.4),
        predicted_direction=(pl.col("up_probability") >= 0.5).cast(pl.Int64), actual_direction=pl.lit(1),
        confidence_level=pl.lit("LOW"), signal=pl.lit("HOLD"), macd_histogram=pl.lit(0.31), adx=pl.lit(22.5),
        growth_score=pl.lit(50), trend_regime=pl.lit("WEAK_UPTREND"), data_split=pl.lit("VALIDATE"),
        model_version=pl.lit(VERSION), **{name: pl.lit(0) for name in flags},
    ).select(WalkForwardRow.__dataclass_fields__.keys())  # fmt: skip


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


@dataclass(frozen=True)
class Server:
    """A running server of this benchmark."""

    url: str
    pid: int

    @property
    def memory_mib(self) -> float:
        """Resident memory of the process that answers: the largest of its tree."""
        process = psutil.Process(self.pid)
        return max(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 2**20


@contextmanager
def serving(command: Sequence[str], port: int, path: str, **variables: str) -> Iterator[Server]:
    """Start a server, wait until it answers, and end it."""
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **variables}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url + path, process)
        yield Server(url, process.pid)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def ours(port: int) -> tuple[list[str], int, str]:
    """Our service as `tradehits serve` starts it."""
    command = [str(Path(PYTHON).with_name("tradehits")), "serve", "--profile", "test", "--port", str(port)]
    return command, port, "/readyz"


def bare(port: int) -> tuple[list[str], int, str]:
    """FastAPI on uvicorn, nothing around it."""
    return ([PYTHON, "-m", "uvicorn", "bench.serving_bare:app", "--port", str(port), "--no-access-log"], port, "/livez")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with code {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=2).read()
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
        else:
            return
    raise RuntimeError(f"{url} did not answer within 120 s")


def requests_per_second(
    url: str, seconds: float, *, connections: int = 16, body: dict | None = None, script: Path | None = None
) -> float:
    """Closed-loop throughput by wrk; every answer must be of status 200."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    if body is not None:
        script = Path(os.environ["TRADEHITS_HOME"]) / "post.lua"
        header = "wrk.headers['Content-Type'] = 'application/json'"
        script.write_text(f"wrk.method = 'POST'\n{header}\nwrk.body = [=[{json.dumps(body)}]=]\n")
    if script is not None:
        command += ["-s", str(script)]
    output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"{url}: {output}")
    return float(found.group(1))

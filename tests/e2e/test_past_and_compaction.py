"""Training sets of the past and the warehouse's upkeep, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

pytestmark = pytest.mark.timeout(600)
TRADEHITS = Path(sys.executable).parent / "tradehits"
Cli = Callable[..., subprocess.CompletedProcess[str]]
SMALL = {
    "TRADEHITS__AUDIT__CANARY__TEST_ROWS": "400",
    "TRADEHITS__AUDIT__CANARY__DAYS": "200",
}
"""Canaries have tests of their own."""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    home = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRADEHITS", "PREFECT"))}
    environment |= {"TRADEHITS_HOME": str(home), "TRADEHITS_PROFILE": "test", "COLUMNS": "150"} | SMALL

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(TRADEHITS), *arguments],
            env=environment
            | {"TRADEHITS_HOME": str(home), "TRADEHITS_PROFILE": "test", "COLUMNS": "150"}
            | SMALL
            | variables,
            capture_output=True,
            text=True,
            timeout=580,
            check=False,
        )

    call.home = home  # type: ignore[attr-defined]
    return call


@pytest.fixture(scope="module")
def trained(cli: Cli) -> dict[str, str]:
    """Tags of a training on all bars of crypto."""
    for command in ("ingest", "features", "train"):
        done = cli(command, *(() if command == "features" else ("--asset-type", "crypto")))
        assert done.returncode == 0, done.stderr[-3000:]
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{cli.home / 'test' / 'state' / 'mlruns' / 'mlflow.db'}")  # type: ignore[attr-defined]
    experiments = [one.experiment_id for one in client.search_experiments()]
    [run] = client.search_runs(experiments, "tags.asset_type = 'crypto'")
    return dict(run.data.tags)


@pytest.fixture(scope="module")
def bars(cli: Cli, trained: dict[str, str]) -> int:
    done = cli("sql", "--format", "json", "SELECT COUNT(*) AS n FROM tradehits.bar_versions")
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)[0]["n"])


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def test_the_set_as_of_now_has_the_hash_that_training_logged(cli: Cli, trained: dict[str, str], bars: int) -> None:
    output = cli.home / "past" / "now.parquet"  # type: ignore[attr-defined]
    done = cli("features", "--as-of", now(), "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert f"crypto: sha256 {trained['data_hash']}" in done.stdout
    rows = pl.read_parquet(output)
    assert rows.height == bars
    assert {"symbol", "bar_known_at", "rsi", "adx_trend_interaction", "target_direction"} <= set(rows.columns)


@pytest.mark.slow
def test_a_run_as_of_the_past_is_a_study_that_moves_no_alias_and_publishes_nothing(
    cli: Cli, trained: dict[str, str]
) -> None:
    count = "SELECT model_version, COUNT(*) AS n FROM ml_models.walk_forward_predictions_v2 GROUP BY 1"
    before = cli("sql", "--format", "json", count).stdout
    done = cli("train", "--asset-type", "crypto", "--as-of", "2024-03-01T00:00:00Z")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "crypto: none (as of 2024-03-01T00:00:00Z: logged, not registered)" in done.stdout
    [told] = re.findall(r"trained through 2024-03-01, .*", done.stdout)
    assert "of 35 checks passed" in told
    assert "failed" not in told
    assert cli("sql", "--format", "json", count).stdout == before
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{cli.home / 'test' / 'state' / 'mlruns' / 'mlflow.db'}")  # type: ignore[attr-defined]
    experiments = [one.experiment_id for one in client.search_experiments()]
    studies = client.search_runs(experiments, "tags.status = 'study'")
    assert [(run.data.tags["as_of"], run.data.tags["model_version"]) for run in studies] == [
        ("2024-03-01T00:00:00Z", "none")
    ]
    assert studies[0].data.tags["data_hash"] != trained["data_hash"]
    [model] = client.search_registered_models()
    assert {name: int(version) for name, version in model.aliases.items()} == {"champion": 1, "challenger": 1}


def test_compaction_and_statistics_say_what_they_found(cli: Cli, bars: int) -> None:
    done = cli("warehouse", "compact")
    assert done.returncode == 0, done.stderr
    assert re.search(r"warehouse\.duckdb: [\d.]+ MiB before, [\d.]+ MiB after \(\d+% less\)", done.stdout)
    assert re.search(r"\d+ tables, [\d,]+ rows, equal in both files", done.stdout)
    told = cli("warehouse", "statistics")
    assert told.returncode == 0, told.stderr
    assert re.search(rf"tradehits\.bar_versions\s+{bars:,}\s", told.stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["features", "--as-of", "2024-06-01"], 2, "write it as 2024-01-31T00:00:00Z"),
        (["features", "--as-of", "1999-01-01T00:00:00+02:00"], 1, "no daily bar of crypto was known"),
        (["features", "--output", "x.parquet"], 2, "go with --as-of"),
        (["warehouse", "compact", "--versions"], 2, "every version is kept"),
        (["warehouse", "statistics", "--profile", "local"], 1, "there is no warehouse yet"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(
    cli: Cli, trained: dict[str, str], arguments: list[str], code: int, words: str
) -> None:
    done = cli(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_versions_are_dropped_where_a_retention_is_configured(cli: Cli, trained: dict[str, str]) -> None:
    done = cli("warehouse", "compact", "--versions", TRADEHITS__VERSIONS__KEEP_DAYS="30")
    assert done.returncode == 0, done.stderr
    assert "no version of a bar was superseded long enough ago" in done.stdout

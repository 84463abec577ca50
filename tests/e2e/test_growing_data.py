"""Weeks go by: new bars arrive, the class is trained again, and the newcomer takes over by itself, on evidence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # two trainings and ten starts of the command line: 90 CPU-seconds

TRADEHITS = Path(sys.executable).parent / "tradehits"
Cli = Callable[..., str]

FIRST_END, LATER_END = "2024-03-28", "2024-06-28"
ENOUGH_EVIDENCE_WITH_SIX_SYMBOLS = {
    "TRADEHITS__PROMOTION__BRIER_MARGIN": "0.01",
    "TRADEHITS__PROMOTION__BRIER_TOLERANCE": "0.01",
    "TRADEHITS__PROMOTION__ACCURACY_MARGIN_POINTS": "5",
}


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    home = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRADEHITS", "PREFECT"))}
    ours = {"TRADEHITS_HOME": str(home), "TRADEHITS_PROFILE": "test", **ENOUGH_EVIDENCE_WITH_SIX_SYMBOLS}

    def call(*arguments: str, end: str = LATER_END) -> str:
        done = subprocess.run(
            [str(TRADEHITS), *arguments],
            env=environment | ours | {"TRADEHITS__SIMULATION__END": end},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout

    return call


@pytest.fixture(scope="module")
def before(cli: Cli) -> list[dict[str, Any]]:
    """The published record of the first training."""
    cli("ingest", "--asset-type", "crypto", end=FIRST_END)
    cli("features", end=FIRST_END)
    cli("train", "--asset-type", "crypto", end=FIRST_END)
    return record(cli)


@pytest.fixture(scope="module")
def after(cli: Cli, before: object) -> list[dict[str, Any]]:
    """And of the second, three months of bars later."""
    cli("ingest", "--asset-type", "crypto")
    cli("features")
    cli("train", "--asset-type", "crypto")
    return record(cli)


def record(cli: Cli) -> list[dict[str, Any]]:
    return json.loads(
        cli(
            "sql",
            "--format",
            "json",
            "SELECT symbol, datetime, model_version, trained_through, bar_known_at, actual_direction"
            " FROM ml_models.walk_forward_predictions_v2 WHERE asset_type = 'crypto' ORDER BY symbol, datetime",
        )
    )


def test_the_first_version_is_promoted_because_there_is_no_other(before: list[dict[str, Any]]) -> None:
    assert {row["model_version"] for row in before} == {"walk_forward_crypto/1"}


def test_a_version_that_knows_three_months_more_takes_over_by_itself(cli: Cli, after: list[dict[str, Any]]) -> None:
    assert {row["model_version"] for row in after} == {"walk_forward_crypto/2"}
    listed = {model["model_version"]: model for model in json.loads(cli("models", "list", "--format", "json"))}
    assert listed["walk_forward_crypto/2"]["status"] == "champion"
    assert listed["walk_forward_crypto/1"]["status"] == "former"


def test_its_record_holds_every_bar_once_the_new_ones_included(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    keys = [(row["symbol"], row["datetime"]) for row in after]
    assert len(set(keys)) == len(keys)
    assert set(keys) > {(row["symbol"], row["datetime"]) for row in before}
    assert max(row["datetime"] for row in after)[:10] == LATER_END


def test_no_row_was_scored_by_a_model_that_had_seen_its_bar(after: list[dict[str, Any]]) -> None:
    assert all(row["trained_through"] <= row["bar_known_at"] for row in after)


def test_who_promoted_it_and_why_is_written_down(cli: Cli, after: object) -> None:
    logged = json.loads(
        cli("sql", "--format", "json", "SELECT * FROM ml_models.deployment_log WHERE component = 'MODEL'")
    )
    why = {row["version"]: (row["deployed_by"], row["details"]) for row in logged}
    assert why["walk_forward_crypto/1"][0] == "ml_pipeline"
    assert "first model that passed the checks" in why["walk_forward_crypto/1"][1]
    assert "every rule of promotion holds" in why["walk_forward_crypto/2"][1]

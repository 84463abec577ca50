"""`tradehits audit` on a trained profile: what it prints, how it ends, and what a waiver changes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import Result
from typer.testing import CliRunner

from flows.cli import app
from market.errors import ConfigError, RegistryError, TrainingError

Cli = Callable[..., Result]
SMALL = {"TRADEHITS__AUDIT__CANARY__TEST_ROWS": "400", "TRADEHITS__AUDIT__CANARY__DAYS": "200"}
"""Canaries have tests of their own."""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    home = tmp_path_factory.mktemp("home")
    runner = CliRunner()

    def call(*arguments: str) -> Result:
        environment = {"TRADEHITS_HOME": str(home), "TRADEHITS_PROFILE": "test", **SMALL}
        return runner.invoke(app, list(arguments), env=environment)

    call.home = home  # type: ignore[attr-defined]
    return call


@pytest.fixture(scope="module")
def prepared(cli: Cli) -> Result:
    """Bars and features of one class, nothing trained."""
    for command in (["ingest", "--asset-type", "crypto"], ["features"]):
        done = cli(*command)
        assert done.exit_code == 0, done.output
    return cli("audit", "--format", "json")


@pytest.fixture(scope="module")
def trained(cli: Cli, prepared: Result) -> Result:
    done = cli("train")
    assert done.exit_code == 0, f"{done.output} {done.exception}"
    return done


@pytest.fixture(scope="module")
def audited(cli: Cli, trained: Result) -> list[dict[str, Any]]:
    done = cli("audit", "--format", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_without_bars_there_is_nothing_to_audit(tmp_path: Path) -> None:
    environment = {"TRADEHITS_HOME": str(tmp_path), "TRADEHITS_PROFILE": "test"}
    done = CliRunner().invoke(app, ["audit"], env=environment)
    assert isinstance(done.exception, TrainingError)
    assert "tradehits ingest" in done.exception.remedy


def test_without_a_run_data_and_features_are_checked_and_the_missing_record_is_said(prepared: Result) -> None:
    results = json.loads(prepared.stdout)
    assert prepared.exit_code == 0
    (record,) = [result for result in results if result["check"] == "record"]
    assert (record["status"], record["subject"]) == ("warning", "crypto: newest training run")
    assert {"identity", "labels", "truncation", "scale", "canary"} <= {result["check"] for result in results}
    assert not {"time", "purge", "refit"} & {result["check"] for result in results}


def test_json_has_the_promised_fields_and_every_check(audited: list[dict[str, Any]]) -> None:
    assert {tuple(result) for result in audited} == {("check", "status", "subject", "detail", "remedy")}
    assert {result["status"] for result in audited} <= {"passed", "warning"}
    assert all(result["subject"].startswith("crypto") for result in audited)
    assert {result["check"] for result in audited} == {
        "identity", "overlap", "time", "purge", "labels", "truncation", "scale", "refit", "too_good", "population",
        "canary",
    }  # fmt: skip


def test_the_stored_record_is_refitted_to_the_bit(audited: list[dict[str, Any]]) -> None:
    (refit,) = [result for result in audited if result["check"] == "refit"]
    assert refit["status"] == "passed"
    assert "predictions are the same bits" in refit["detail"]


def test_the_run_keeps_its_audit_in_mlflow(cli: Cli, trained: Result) -> None:
    store = next(cli.home.glob("test/state/mlruns"))  # type: ignore[attr-defined]
    (checks,) = store.glob("artifacts/*/artifacts/audit/checks.json")
    assert {"base_rate", "canary", "truncation"} <= {result["check"] for result in json.loads(checks.read_text())}
    assert "<title>Audit of crypto</title>" in (checks.parent / "report.html").read_text()
    with sqlite3.connect(store / "mlflow.db") as database:
        metrics = dict(database.execute("SELECT key, value FROM metrics WHERE key LIKE 'audit%'").fetchall())
        tags = dict(database.execute("SELECT key, value FROM tags WHERE key LIKE 'audit%'").fetchall())
    assert metrics["audit_failed"] == 0
    assert metrics["audit_passed"] > 30
    assert metrics["audit_seconds"] >= metrics["audit_seconds_canary"] > 0
    assert tags["audit"] == "passed"


def test_a_failure_ends_with_one_until_somebody_waives_it_by_name(cli: Cli, trained: Result) -> None:
    """A stored feature is changed behind the platform's back: the truncation proof names it."""
    file = next(cli.home.glob("test/state/warehouse.duckdb"))  # type: ignore[attr-defined]
    with duckdb.connect(str(file)) as raw:
        raw.execute("UPDATE ml_models.walk_forward_features_v2 SET momentum_5d = momentum_5d + 1")
    failed = cli("audit", "--format", "json")
    assert failed.exit_code == 1
    named = [result for result in json.loads(failed.stdout) if result["status"] == "failed"]
    assert [result["subject"] for result in named] == ["crypto: feature momentum_5d"]

    who = ["--by", "Ada", "--why", "changed by hand for a test"]
    given = cli("audit", "waive", "--check", "truncation", "--subject", named[0]["subject"], *who)
    assert given.exit_code == 0, given.output
    waived = cli("audit", "--asset-type", "crypto")
    assert waived.exit_code == 0
    words = " ".join(waived.stdout.split())
    assert "feature momentum_5d changes on" in words
    assert "[waived by Ada" in words
    assert "changed by hand for a test]" in words
    assert "crypto: 1 passed. A fold fitted again on what was known at its start" in words
    assert words.endswith(" 0 failed, 1 waived.")

    listed = cli("audit", "waive", "--list")
    assert "in force" in listed.stdout
    assert cli("audit", "waive", "--withdraw", given.stdout.split()[0], *who).exit_code == 0
    assert "withdrawn" in cli("audit", "waive", "--list").stdout


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["waive", "--check", "scale", "--subject", "x"], ConfigError, "--by and --why"),
        (["--run", "nothing"], RegistryError, "no run nothing"),
        (["--asset-type", "etf"], TrainingError, "no bars of etf"),
    ],
)
def test_bad_usage_is_refused_by_name(cli: Cli, trained: Result, arguments: list[str], error: type, words: str) -> None:
    done = cli("audit", *arguments)
    assert isinstance(done.exception, error)
    assert words in str(done.exception)

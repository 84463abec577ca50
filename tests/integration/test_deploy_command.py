"""`tradehits deploy` puts things in place, looks for each, and logs each; `status` prints the health view."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.deploy import deploy
from flows.deploy_component import Deployed
from flows.deploy_gcloud import emit_gcloud
from market.errors import ConfigError
from tests.integration.inference_world import World, world_at
from warehouse.schema import load_schema

LOG = "SELECT * FROM `ml_models.deployment_log` WHERE component <> 'MODEL' ORDER BY component, component_name"
SCHEDULES = ["ml-backtest-daily", "ml-daily-inference", "ml-model-monitoring", "ml-weekly-retrain"]


@pytest.fixture(scope="module")
def world(inference_home: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Champions, no snapshot; no Prefect server answers at its port."""
    opened = world_at(tmp_path_factory.mktemp("deployed") / "home", inference_home)
    up = opened.settings.up.model_copy(update={"prefect_port": 9})
    return world_at(opened.settings.paths.home.parent, up=up)


@pytest.fixture(scope="module")
def deployed(world: World) -> list[Deployed]:
    return deploy(world.context)


def named(deployed: list[Deployed], component: str) -> dict[str, Deployed]:
    return {one.name: one for one in deployed if one.component == component}


def test_every_table_and_view_is_found_with_its_columns(deployed: list[Deployed]) -> None:
    schema = load_schema()
    assert set(named(deployed, "TABLE")) == set(schema.tables)
    assert set(named(deployed, "VIEW")) == set(schema.views)
    assert {one.status for one in deployed if one.component in ("TABLE", "VIEW")} == {"SUCCESS"}
    table = schema.table("ml_models.deployment_log")
    assert named(deployed, "TABLE")[table.name].details.startswith(f"{len(table.columns)} columns, ")


def test_feast_holds_the_feature_services(deployed: list[Deployed]) -> None:
    assert named(deployed, "PIPELINE")["feast"].details == "feature services default, reference, validated_16"


def test_schedules_without_a_server_wait_and_say_for_what(deployed: list[Deployed]) -> None:
    schedules = named(deployed, "SCHEDULER")
    assert set(SCHEDULES) <= set(schedules)
    assert {one.status for one in schedules.values()} == {"PENDING"}
    assert "`tradehits up` starts one" in schedules["ml-weekly-retrain"].details
    flows = named(deployed, "FLOW")
    assert {one.status for one in flows.values()} == {"SUCCESS"}
    assert '"confidence_threshold": 0.55' in flows["daily-inference"].details


def test_the_service_waits_for_a_snapshot(deployed: list[Deployed]) -> None:
    assert named(deployed, "API")["tradehits"].status == "PENDING"


def test_the_log_has_one_row_a_component_and_says_the_same(world: World, deployed: list[Deployed]) -> None:
    rows = world.ask(LOG)
    told = {(one.component, one.name): (one.version, one.status, one.details) for one in deployed}
    logged = {(row["component"], row["component_name"]): row for row in rows.iter_rows(named=True)}
    assert rows.height == len(deployed) == len(logged)
    for key, (version, status, details) in told.items():
        assert (logged[key]["version"], logged[key]["status"], logged[key]["details"]) == (version, status, details)
    assert rows["deployed_by"].unique().to_list() == ["ml_pipeline"]
    assert rows["deployment_id"].n_unique() == rows.height


def test_a_view_that_cannot_be_read_is_failed_and_the_others_are_tried(inference_home: Path, tmp_path: Path) -> None:
    world = world_at(tmp_path / "own", inference_home)
    import duckdb

    with duckdb.connect(str(world.settings.paths.warehouse_file)) as connection:
        connection.execute("ALTER TABLE ml_models.feature_distributions RENAME COLUMN psi TO other")
    done = deploy(world.context)
    failed = [one for one in done if one.status == "FAILED"]
    assert [(one.component, one.name) for one in failed] == [("TABLE", "ml_models.feature_distributions")]
    assert "has no column psi" in failed[0].details
    assert world.ask(LOG).filter(pl.col("status") == "FAILED")["component_name"].to_list() == [failed[0].name]


def test_cloud_scheduler_commands_name_the_four_jobs_at_new_yorks_time(tmp_path: Path) -> None:
    script = tmp_path / "jobs.sh"
    assert emit_gcloud(script) == 4
    text = script.read_text()
    subprocess.run(["bash", "-n", str(script)], check=True)
    for name, cron in zip(SCHEDULES, ("0 7 * * *", "30 1 * * *", "0 6 * * *", "0 2 * * 0"), strict=True):
        part = text[text.index(f"http {name} ") :]
        assert part.index(f"--schedule '{cron}'") < part.index("--attempt-deadline")
    assert text.count("--time-zone America/New_York") == 4
    with pytest.raises(ConfigError, match="cannot be written"):
        emit_gcloud(tmp_path / "missing" / "jobs.sh")


def test_the_generated_script_calls_gcloud_with_these_arguments(tmp_path: Path) -> None:
    emit_gcloud(tmp_path / "jobs.sh")
    stub = tmp_path / "bin" / "gcloud"
    stub.parent.mkdir()
    stub.write_text('#!/bin/bash\nprintf "%s\\n" "$@" ===\n')
    stub.chmod(0o755)
    environment = {"PATH": f"{stub.parent}:/usr/bin:/bin", "PROJECT": "p", "REGION": "r", "SERVICE_ACCOUNT": "a@b"}
    done = subprocess.run([tmp_path / "jobs.sh"], env=environment, capture_output=True, text=True, check=True)
    first = done.stdout.split("===")[0].strip().splitlines()
    assert first[:7] == ["scheduler", "jobs", "create", "http", "ml-daily-inference", "--project", "p"]
    assert first[first.index("--uri") + 1] == "https://run.googleapis.com/v2/projects/p/locations/r/jobs/tradehits:run"
    body = json.loads(first[first.index("--message-body") + 1])
    assert body["overrides"]["containerOverrides"][0]["args"] == [
        "-c",
        "tradehits ingest && tradehits predict --catch-up",
    ]
    without = subprocess.run([tmp_path / "jobs.sh"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=False)
    assert without.returncode != 0 and b"PROJECT" in without.stderr


def test_status_is_the_health_view(world: World, deployed: list[Deployed], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS_HOME", str(world.settings.paths.home.parent))
    run = CliRunner().invoke(app, ["status", "--profile", "test", "--format", "json"])
    rows = {row["asset_type"]: row for row in json.loads(run.output)}
    assert set(rows) == {"stocks", "etf", "crypto"}
    assert rows["etf"]["pipeline_health"] == "NO_DATA"
    assert rows["stocks"]["champion_version"] == "walk_forward_stocks/1"
    table = CliRunner().invoke(app, ["status", "--profile", "test"]).output
    assert table.splitlines()[1].startswith("pipeline_health") and "NO_DATA" in table


def test_status_without_a_warehouse_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path))
    run = CliRunner().invoke(app, ["status", "--profile", "test"])
    assert run.exit_code == 1
    assert "fill it with `tradehits run`" in str(run.exception)

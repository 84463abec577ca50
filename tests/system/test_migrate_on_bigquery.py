"""`tradehits migrate`: what was in BigQuery before is adopted, shadowed or left, and comes back as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from google.cloud import bigquery

from configs.settings import Settings, load_settings
from flows.migrate import run_migrate
from market.errors import SchemaError
from tests.system.emulator import PROJECT, Emulator, load, run, running_emulator
from warehouse.bigquery import BigQueryWarehouse
from warehouse.schema import load_schema

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

SCHEMA = load_schema()
THEIR_FEATURES = """CREATE TABLE `ml_models.walk_forward_features_v2` AS
SELECT 'stocks' AS asset_type, symbol, TIMESTAMP '2024-01-02 00:00:00+00' AS datetime, 1.5 AS close, '70' AS rsi,
  TRUE AS pivot_high_flag, 'x' AS my_note
FROM UNNEST(['A', 'A', 'A', 'B', 'B', 'B']) AS symbol"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def client(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[bigquery.Client]:
    """An empty project, and settings that point to it."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator.host)
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path))
    client = emulator.client()
    yield client
    for dataset in list(client.list_datasets()):
        client.delete_dataset(dataset.reference, delete_contents=True, not_found_ok=True)


@pytest.fixture
def old_system(client: bigquery.Client) -> bigquery.Client:
    """Tables and views of the system they had."""
    client.create_dataset("ml_models", exists_ok=True)
    run(client, THEIR_FEATURES)
    run(client, "CREATE VIEW `ml_models.v_pipeline_status` AS SELECT 'fine' AS pipeline_health")
    run(client, "CREATE TABLE `ml_models.my_notes` AS SELECT 1 AS a")
    run(client, SCHEMA.tables["ml_models.deployment_log"].read_text())
    return client


@pytest.fixture
def fitting_log(client: bigquery.Client) -> bigquery.Client:
    """A log of theirs that is what the platform's own would be."""
    client.create_dataset("ml_models", exists_ok=True)
    run(client, SCHEMA.tables["ml_models.deployment_log"].read_text())
    rows = pa.table({"deployment_id": ["1"], "component": ["MODEL"], "component_name": ["old"], "status": ["SUCCESS"]})
    deployed_at = pa.array([0], pa.timestamp("us", "UTC"))
    load(client, "ml_models.deployment_log", rows.append_column("deployed_at", deployed_at))
    return client


def settings() -> Settings:
    return load_settings("bigquery")


def proposals(dataset: str | None = None) -> dict[str, dict[str, object]]:
    planned = json.loads(run_migrate(settings(), "plan", "json", dataset))
    return {one["path"].removeprefix(f"{PROJECT}."): one for one in planned}


def bring_up(tmp_path: Path) -> None:
    BigQueryWarehouse(settings().warehouse, staging=tmp_path / "staging").ensure_schema()


def everything(client: bigquery.Client, dataset: str) -> Callable[[], dict[str, object]]:
    """Names, kinds, schemas, labels and rows of a dataset."""

    def look() -> dict[str, object]:
        found: dict[str, object] = {}
        for item in client.list_tables(dataset):
            table = client.get_table(item.reference)
            fields = [(field.name, field.field_type, field.mode) for field in table.schema]
            rows = run(client, f"SELECT * FROM `{dataset}.{item.table_id}`")
            found[item.table_id] = (table.table_type, fields, dict(table.labels), sorted(map(str, rows)))
        return found

    return look


def test_an_empty_project_needs_no_decision(client: bigquery.Client) -> None:
    assert {one["action"] for one in proposals().values()} == {"create"}


def test_a_plan_says_why_each_table_cannot_stay_and_changes_nothing(old_system: bigquery.Client) -> None:
    look = everything(old_system, "ml_models")
    before, planned = look(), proposals()
    assert look() == before
    assert "tradehits" not in {dataset.dataset_id for dataset in old_system.list_datasets()}
    features = planned["ml_models.walk_forward_features_v2"]
    told = "; ".join(features["reasons"])  # type: ignore[arg-type]
    assert features["action"] == "shadow"
    assert "missing adx, atr, atr_pct, awesome_osc, bar_known_at" in told
    assert "rsi is STRING, not FLOAT64" in told
    assert "pivot_high_flag is BOOL, not INT64 NOT NULL" in told
    assert "unknown to the contract: my_note" in told
    assert "4 of 6 rows repeat a key" in told
    assert "not partitioned, so every query reads all of it (the contract: datetime, MONTH)" in told
    assert planned["ml_models.v_pipeline_status"]["reasons"] == ["it is a view of yours"]
    assert planned["ml_models.my_notes"]["action"] == "leave"
    log = planned["ml_models.deployment_log"]
    assert (log["action"], log["reasons"]) == (
        "shadow",
        ["it fits, but others of its dataset must be shadowed, and the platform's tables of a dataset stand together"],
    )
    assert planned["ml_models.realtime_predictions"]["action"] == "create"


def test_a_plan_for_people_says_what_the_configuration_needs(old_system: bigquery.Client) -> None:
    text = run_migrate(settings(), "plan", "table", "ml_models")
    assert "      ml_models: ml_models_tradehits" in text
    assert "Nothing was changed." in text


def test_nothing_is_written_beside_their_tables_before_a_decision(old_system: bigquery.Client, tmp_path: Path) -> None:
    look = everything(old_system, "ml_models")
    before = look()
    with pytest.raises(SchemaError, match="was not made by this platform") as refusal:
        bring_up(tmp_path)
    assert "tradehits migrate --plan" in refusal.value.remedy
    assert look() == before


def test_shadowing_leaves_theirs_alone_and_can_be_taken_back(
    old_system: bigquery.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = everything(old_system, "ml_models")
    before = look()
    said = run_migrate(settings(), "apply", "table")
    assert "      ml_models: ml_models_tradehits" in said
    assert look() == before

    monkeypatch.setenv("TRADEHITS__WAREHOUSE__DATASETS__ML_MODELS", "ml_models_tradehits")
    bring_up(tmp_path)
    planned = proposals()
    assert planned["ml_models.walk_forward_features_v2"]["action"] == "leave"
    assert planned["ml_models_tradehits.walk_forward_features_v2"]["action"] == "keep"
    assert run_migrate(settings(), "apply", "table") == "every table and view of the platform is in place"
    [entry] = run(old_system, "SELECT status, details FROM `ml_models_tradehits.deployment_log`")
    assert entry == {"status": "SUCCESS", "details": "made the platform's tables of ml_models in ml_models_tradehits"}

    undone = run_migrate(settings(), "undo", "table")
    assert "it holds 1 rows: DROP TABLE" in undone
    left = [item.table_id for item in old_system.list_tables("ml_models_tradehits")]
    assert left == ["deployment_log"], "it holds a row"
    assert look() == before
    assert run_migrate(settings(), "undo", "table") == "nothing was applied, so nothing is taken back"


def test_a_table_that_fits_is_adopted_with_a_snapshot_and_given_back(
    fitting_log: bigquery.Client, tmp_path: Path
) -> None:
    before = everything(fitting_log, "ml_models")()
    assert proposals()["ml_models.deployment_log"]["action"] == "adopt"
    said = run_migrate(settings(), "apply", "table")
    assert said.startswith("adopted aialgotradehits.ml_models.deployment_log; its rows as they were: aialgotradehits.")
    table = fitting_log.get_table("ml_models.deployment_log")
    assert dict(table.labels) == {"app": "tradehits"}
    bring_up(tmp_path)
    assert proposals()["ml_models.deployment_log"]["action"] == "keep"
    assert [
        row["component_name"] for row in run(fitting_log, "SELECT * FROM `ml_models.deployment_log` ORDER BY 2")
    ] == [
        "old",
        "migrate",
    ]

    undone = run_migrate(settings(), "undo", "table")
    assert "aialgotradehits.ml_models.deployment_log is yours alone again" in undone
    [restore] = [line.split(": ", 1)[1] for line in undone.splitlines() if "CREATE OR REPLACE TABLE" in line]
    assert dict(fitting_log.get_table("ml_models.deployment_log").labels) == {}
    run(fitting_log, restore)
    assert everything(fitting_log, "ml_models")()["deployment_log"][3] == before["deployment_log"][3]  # type: ignore[index]


def test_on_the_embedded_engine_there_is_nothing_to_migrate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path))
    for step in ("plan", "apply", "undo"):
        assert run_migrate(load_settings("local"), step, "table").startswith("There is nothing to migrate")

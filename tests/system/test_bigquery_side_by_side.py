"""The project's own tables and views on the emulator beside the embedded engine."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from configs.settings import Settings, load_settings
from market.assets import ASSET_TYPES
from tests.contract.table_rows import FILLERS, rows_of, scratch_warehouse, select, table
from tests.contract.warehouse_engines import (
    bigquery_settings,
)
from tests.system.emulator import Emulator
from tests.system.test_bigquery_emulator import SCHEMA, assert_same_rows, example_rows, without_sizes
from warehouse.bigquery import BigQueryWarehouse
from warehouse.bigquery_check import check_bigquery
from warehouse.bigquery_client import BigQuery
from warehouse.warehouse import Warehouse, Write

pytestmark = pytest.mark.system

PROJECT = "side-by-side"


@dataclass(frozen=True)
class Pair:
    """Both engines with the project's own schema."""

    production: BigQueryWarehouse
    embedded: Warehouse
    settings: Settings


@pytest.fixture(scope="module")
def pair(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    settings = load_settings("test")
    configured = bigquery_settings(emulator, PROJECT)
    production = BigQueryWarehouse(configured, staging=tmp_path_factory.mktemp("staging"))
    production.ensure_schema()
    return Pair(production, scratch_warehouse(), settings.model_copy(update={"warehouse": configured}))


@pytest.fixture(scope="module")
def filled(pair: Pair) -> Pair:
    """What the views' examples need; every other table is empty."""
    for engine in (pair.production, pair.embedded):
        engine.write([Write(name, rows=rows_of(name, rows)) for name, rows in example_rows().items()])
    return pair


@pytest.mark.parametrize("pinned", [False, True], ids=["as it stands", "as of one instant"])
@pytest.mark.parametrize("view", sorted(SCHEMA.views))
def test_a_view_gives_the_same_rows(filled: Pair, view: str, pinned: bool) -> None:
    query = f"SELECT * FROM `{view}`"
    expected = select(filled.embedded, query)
    if pinned:
        with filled.production.read() as read:
            found = read.query(query).to_pylist()
    else:
        found = select(filled.production, query)
    assert expected, "a comparison of nothing"
    assert_same_rows(without_sizes(found), without_sizes(expected))


def test_classes_without_bars_have_their_line_in_the_pipelines_status(filled: Pair) -> None:
    status = select(filled.production, "SELECT asset_type, pipeline_health FROM `ml_models.v_pipeline_status`")
    assert sorted(row["asset_type"] for row in status) == sorted(ASSET_TYPES)
    assert {row["asset_type"]: row["pipeline_health"] for row in status}["crypto"] == "NO_DATA"


def _random_rows(name: str, count: int) -> pa.Table:
    """Rows with every column filled by its type, NULLs among them, keys apart."""
    rng = random.Random(name)
    values = {
        "STRING": lambda i: f"{rng.choice(['é', '', 'x'])}{i}",
        "INT64": lambda i: rng.randint(-(2**60), 2**60) + i,
        "FLOAT64": lambda i: rng.choice([-0.0, 1e-300, 1 / 3, 1e300]) + i,
        "BOOL": lambda i: bool(i % 2),
        "DATE": lambda i: date(2020, 1, 1) + timedelta(days=i),
        "TIMESTAMP": lambda i: FILLERS["TIMESTAMP"] + timedelta(days=31 * i, microseconds=i),
    }
    rows = [
        {
            column.name: None if column.nullable and rng.random() < 0.3 else values[column.type](i)
            for column in table(name).columns
        }
        for i in range(count)
    ]
    return rows_of(name, rows)


TABLES = sorted(set(SCHEMA.tables) - {"tradehits.table_writes"})


@pytest.fixture(scope="module")
def written(pair: Pair) -> Pair:
    """Every table written in one transaction, and half the rows of every fourth merged again in another."""
    rows = {name: _random_rows(name, 12) for name in TABLES}
    examples = example_rows()
    calls = [
        [Write(name, rows=rows[name], mode="replace" if name in examples else "append") for name in TABLES],
        [Write(name, rows=rows[name].slice(6), mode="merge") for name in TABLES[::4]],
    ]
    assert [pair.production.write(writes) for writes in calls] == [pair.embedded.write(writes) for writes in calls]
    return pair


@pytest.mark.parametrize("name", TABLES)
def test_every_table_gives_back_what_was_written_as_the_embedded_engine_does(written: Pair, name: str) -> None:
    sql = f"SELECT * FROM `{name}` ORDER BY {', '.join(f'`{column}`' for column in table(name).key)}"
    found, expected = written.production.query(sql), written.embedded.query(sql)
    assert found.num_rows == 12
    assert [(field.name, str(field.type)) for field in found.schema] == [
        (field.name, str(field.type)) for field in expected.schema
    ]
    assert found.to_pylist() == expected.to_pylist()


def test_the_doctor_finds_nothing_missing_where_everything_is_there(pair: Pair) -> None:
    findings = check_bigquery(pair.production.bigquery.settings)
    assert {(finding.severity, finding.check) for finding in findings} == {("info", "cost_cap")}


def test_the_doctor_stops_at_a_server_that_refuses(emulator: Emulator, pair: Pair) -> None:
    settings = pair.production.bigquery.settings
    closed = {"emulator_host": "http://127.0.0.1:1", "retry_seconds": 0.2}
    unreachable = settings.model_copy(update={"bigquery": settings.bigquery.model_copy(update=closed)})
    findings = check_bigquery(unreachable, BigQuery(unreachable))
    assert [(one.severity, one.check) for one in findings] == [("info", "cost_cap"), ("error", "jobs")]
    assert "cannot be reached" in findings[1].message


def test_labels_reach_every_job(pair: Pair, tmp_path: Path) -> None:
    labelled = BigQueryWarehouse(
        pair.production.bigquery.settings, staging=tmp_path, labels={"profile": "test", "command": "run"}
    )
    labelled.query("SELECT 41 + 1 AS answer")
    job = next(iter(labelled.bigquery.client.list_jobs(max_results=1)))
    assert job.labels == {"app": "tradehits", "profile": "test", "command": "run"}

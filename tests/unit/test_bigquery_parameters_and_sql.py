"""What BigQuery is sent: typed parameters, configured names, one instant for every table, and only SELECTs."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest
from sqlglot import exp, parse_one

from configs.settings import load_settings
from market.errors import NotReadOnlyError, QueryError, UnsupportedSqlError
from warehouse.bigquery_client import label
from warehouse.bigquery_ddl import create_statement
from warehouse.bigquery_parameters import bound
from warehouse.bigquery_sql import as_of, to_bigquery
from warehouse.dialect import TableNames
from warehouse.schema import load_schema

SCHEMA = load_schema()
INSTANT = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


@pytest.fixture(scope="module")
def names():
    settings = load_settings("test").warehouse
    datasets = settings.datasets.model_copy(update={"ml_models": "ml_dev"})
    return TableNames.of(settings.model_copy(update={"project": "my-project", "datasets": datasets}), SCHEMA)


def test_parameters_carry_their_type():
    given = {
        "b": True,
        "i": 7,
        "f": 0.5,
        "s": "x",
        "at": datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        "d": date(2024, 1, 1),
        "m": Decimal("1.5"),
        "n": np.int64(3),
        "none": None,
    }
    found = {one.name: (one.type_, one.value) for one in bound(given)}
    assert found == {
        "b": ("BOOL", True),
        "i": ("INT64", 7),
        "f": ("FLOAT64", 0.5),
        "s": ("STRING", "x"),
        "at": ("TIMESTAMP", datetime(2024, 1, 1, 10, tzinfo=UTC)),
        "d": ("DATE", date(2024, 1, 1)),
        "m": ("NUMERIC", Decimal("1.5")),
        "n": ("INT64", 3),
        "none": ("STRING", None),
    }


def test_lists_are_arrays_of_one_type():
    found = {one.name: (one.array_type, one.values) for one in bound({"s": ["a", "b"], "x": [1, 2.5], "e": ()})}
    assert found == {"s": ("STRING", ["a", "b"]), "x": ("FLOAT64", [1, 2.5]), "e": ("STRING", [])}
    with pytest.raises(QueryError, match="@mixed mixes INT64, STRING"):
        bound({"mixed": [1, "a"]})


def test_a_column_gives_its_type_to_a_value_that_shows_none():
    [none] = bound({"scope_close": None}, {"scope_close": "FLOAT64"})
    assert (none.type_, none.value) == ("FLOAT64", None)


def test_a_time_without_zone_and_a_value_of_another_kind_are_no_parameters():
    with pytest.raises(QueryError, match="@at is a time without zone"):
        bound({"at": datetime(2024, 1, 1)})  # noqa: DTZ001
    with pytest.raises(QueryError, match="@o is a object"):
        bound({"o": object()})


def test_names_become_the_configured_ones_in_every_spelling(names):
    for table in ("`p.ml_models.deployment_log`", "ml_models.deployment_log", "`ml_dev`.deployment_log"):
        [found] = parse_one(to_bigquery(f"SELECT d.version FROM {table} AS d", names), read="bigquery").find_all(
            exp.Table
        )
        assert (found.catalog, found.db, found.name, found.alias) == ("my-project", "ml_dev", "deployment_log", "d")
    assert to_bigquery("SELECT row_count FROM ml_models.__TABLES__", names) == (
        "SELECT row_count FROM `my-project`.`ml_dev`.__TABLES__"
    )
    found = to_bigquery("SELECT table_name FROM `p.ml_models.INFORMATION_SCHEMA.TABLES`", names)
    assert found == "SELECT table_name FROM `my-project.ml_dev.INFORMATION_SCHEMA.TABLES`"


def test_a_name_inside_a_text_is_left_alone(names):
    sql = "SELECT 'ml_models.deployment_log' AS t, @ml_models AS p"
    assert to_bigquery(sql, names) == sql


def test_every_table_is_read_as_of_one_instant_and_views_are_their_own_selects(names):
    sql = as_of(
        "SELECT * FROM ml_models.v_latest_predictions AS v JOIN ml_models.deployment_log ON TRUE", names, INSTANT
    )
    moment = "FOR SYSTEM_TIME AS OF CAST('2024-05-06T07:08:09.123456+00:00' AS TIMESTAMP)"
    assert "v_latest_predictions`" not in sql
    assert sql.count(moment) == 2
    assert {f"{table.catalog}.{table.db}" for table in parse_one(sql, read="bigquery").find_all(exp.Table)} == {
        "my-project.ml_dev",
        ".",  # the view's own WITH
    }


@pytest.mark.parametrize("view", sorted(SCHEMA.views))
def test_no_view_is_left_in_a_statement_about_the_past(names, view):
    tables = list(parse_one(as_of(f"SELECT * FROM `{view}`", names, INSTANT), read="bigquery").find_all(exp.Table))
    read = [table for table in tables if table.db and table.name != "__TABLES__"]
    assert read
    assert all(table.args.get("version") for table in read)
    assert not {table.name for table in read} & {name.split(".")[1] for name in SCHEMA.views}


def test_metadata_and_ctes_have_no_past(names):
    sql = "WITH deployment_log AS (SELECT 1 AS a) SELECT * FROM deployment_log, ml_models.__TABLES__"
    assert "SYSTEM_TIME" not in as_of(sql, names, INSTANT)


@pytest.mark.parametrize("sql", ["DROP TABLE ml_models.deployment_log", "SELECT 1; SELECT 2", "BEGIN TRANSACTION", ""])
def test_only_one_select_is_sent(names, sql):
    with pytest.raises(NotReadOnlyError):
        to_bigquery(sql, names)


@pytest.mark.parametrize(
    "source", ["EXTERNAL_QUERY('c', 'SELECT 1')", "ML.PREDICT(MODEL ml_models.m, TABLE ml_models.deployment_log)"]
)
def test_what_reads_from_elsewhere_is_refused(names, source):
    with pytest.raises(UnsupportedSqlError, match="in FROM"):
        to_bigquery(f"SELECT * FROM {source}", names)


def test_unknown_tables_and_repeated_columns_are_refused_before_anything_is_sent(names):
    with pytest.raises(QueryError, match="no table deployment_lag in dataset ml_models") as refusal:
        to_bigquery("SELECT * FROM ml_models.deployment_lag", names)
    assert "deployment_log" in refusal.value.remedy
    with pytest.raises(QueryError, match="duplicate column names in the result: a"):
        to_bigquery("SELECT 1 AS a, 2 AS A", names)


@pytest.mark.parametrize("name", sorted(SCHEMA.tables))
def test_a_created_table_keeps_partition_cluster_and_key_and_is_marked_as_ours(names, name):
    table = SCHEMA.table(name)
    sql = create_statement(table, SCHEMA.tables[name].read_text(), names)
    dataset, local = names.local_table(name)
    assert sql.startswith(f"CREATE TABLE IF NOT EXISTS `my-project`.`{dataset}`.`{local}` (")
    assert "OPTIONS (labels=[('app', 'tradehits')])" in sql
    assert "NOT ENFORCED" in sql
    assert f"PARTITION BY {table.partition_by}" in sql or not table.partition_by
    clustered = f"CLUSTER BY {', '.join(table.cluster_by)} OPTIONS"
    assert clustered in sql.replace("`interval`", "interval") or not table.cluster_by


def test_labels_are_what_bigquery_allows():
    assert label("Warehouse Compact!") == "warehouse-compact-"
    assert label("x" * 80) == "x" * 63

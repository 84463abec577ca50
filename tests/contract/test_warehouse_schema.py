"""The schema comes from GoogleSQL files, and the project's own comes up whole."""

import pytest

from configs.settings import load_settings
from market.errors import SchemaError
from tests.contract.warehouse_engines import write_schema
from warehouse.bigquery import BigQueryWarehouse
from warehouse.duckdb import DuckDBWarehouse
from warehouse.engines import open_warehouse
from warehouse.schema import SQL_FOLDER, load_schema

ROW = ("stocks", "A", 1, 1.0)
EXAMPLES = [
    "SELECT * FROM `aialgotradehits.ml_models.v_pipeline_status`",
    """SELECT symbol, ROUND(up_probability * 100, 1) as up_pct, growth_score, trend_regime
FROM `aialgotradehits.ml_models.walk_forward_predictions_v2`
WHERE data_split = 'VALIDATE' AND up_probability >= 0.65
  AND DATE(datetime) = DATE_SUB(CURRENT_DATE(), INTERVAL 1 DAY)
ORDER BY up_probability DESC LIMIT 20""",
    """SELECT * FROM `aialgotradehits.ml_models.v_best_performers`
WHERE rank_in_class <= 10 ORDER BY asset_type, rank_in_class""",
    """SELECT * FROM `aialgotradehits.ml_models.model_drift_alerts`
WHERE NOT is_resolved ORDER BY alert_time DESC""",
]


def test_a_table_file_is_read_whole(tmp_path):
    table = load_schema(write_schema(tmp_path)).table("ml_models.bars")
    assert table.grain == "Grain: one row per (asset_type, symbol, datetime)."
    assert table.key == ("asset_type", "symbol", "datetime")
    assert table.cluster_by == ("asset_type", "symbol")
    assert [(c.name, c.type, c.nullable) for c in table.columns][:4] == [
        ("asset_type", "STRING", False),
        ("symbol", "STRING", False),
        ("datetime", "TIMESTAMP", False),
        ("close", "FLOAT64", True),
    ]
    assert table.column("close").description == "dollars"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CREATE TABLE `ml_models.other` (a STRING, PRIMARY KEY (a) NOT ENFORCED)", "creates ml_models.other"),
        ("CREATE TABLE `ml_models.t` (a STRING)", "no key"),
        ("CREATE TABLE `ml_models.t` (a STRING, PRIMARY KEY (b) NOT ENFORCED)", "unknown key columns b"),
        ("SELECT 1", "one CREATE TABLE"),
        ("CREATE TABLE `ml_models.t` (a STRING,", "ml_models.t.sql"),
    ],
)
def test_a_bad_table_file_is_named(tmp_path, text, message):
    file = write_schema(tmp_path) / "tables" / "ml_models.t.sql"
    file.write_text(f"-- Grain: one row per (a).\n{text}\n")
    with pytest.raises(SchemaError, match=message):
        load_schema(tmp_path).table("ml_models.t")


def test_a_file_name_without_dataset_is_refused(tmp_path):
    (write_schema(tmp_path) / "views" / "nowhere.sql").write_text("SELECT 1 AS a")
    with pytest.raises(SchemaError, match=r"nowhere\.sql"):
        load_schema(tmp_path)


def test_the_projects_own_schema_comes_up_and_every_view_answers():
    warehouse = DuckDBWarehouse.scratch(load_settings("test").warehouse)
    schema = load_schema()
    assert len(schema.tables) > 15
    assert len(schema.views) >= 7
    for name in sorted(schema.names):
        assert warehouse.query(f"SELECT * FROM `any-project.{name}` LIMIT 1").num_columns > 0
    assert {one.table for one in warehouse.statistics()} == set(schema.tables)
    assert schema.folder == SQL_FOLDER


@pytest.mark.parametrize("sql", EXAMPLES)
def test_the_documented_example_queries_run_as_they_stand(sql):
    warehouse = DuckDBWarehouse.scratch(load_settings("test").warehouse)
    assert warehouse.query(sql).num_columns >= 4


def test_the_engine_is_the_configured_one():
    configured = load_settings("test")
    assert isinstance(open_warehouse(configured), DuckDBWarehouse)
    assert isinstance(open_warehouse(load_settings("bigquery")), BigQueryWarehouse)

"""The schema comes from GoogleSQL files, is brought up once, and never changes under existing rows."""

import pytest

from configs.settings import load_settings
from market.errors import ConfigError, SchemaError
from tests.contract.warehouse_engines import TABLES, bars, file_engine, settings, stored, write_schema
from warehouse.duckdb import DuckDBWarehouse
from warehouse.engines import open_warehouse
from warehouse.schema import SQL_FOLDER, load_schema
from warehouse.warehouse import Write

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


def test_bringing_the_schema_up_again_changes_nothing(tmp_path):
    warehouse = file_engine(tmp_path)
    warehouse.write([Write("ml_models.bars", rows=bars(ROW))])
    before = warehouse.statistics()
    for engine in (warehouse, file_engine(tmp_path)):
        engine.ensure_schema()
    assert warehouse.statistics() == before
    assert stored(warehouse) == [ROW]


def test_a_changed_view_is_refreshed_and_a_new_one_created(tmp_path):
    file_engine(tmp_path).ensure_schema()
    views = tmp_path / "sql" / "views"
    changed = DuckDBWarehouse(
        tmp_path / "state" / "warehouse.duckdb",
        settings=settings(),
        staging=tmp_path / "s",
        sql_folder=tmp_path / "sql",
    )
    (views / "ml_models.b_newest.sql").write_text("-- Grain: one row.\nSELECT 'X' AS symbol, CURRENT_DATE() AS newest")
    changed.ensure_schema()
    assert changed.query("SELECT symbol FROM ml_models.a_reads_b").to_pylist() == [{"symbol": "X"}]


def test_a_table_that_holds_rows_and_changed_is_refused_with_its_column(tmp_path):
    warehouse = file_engine(tmp_path)
    warehouse.write([Write("ml_models.bars", rows=bars(ROW))])
    file = tmp_path / "sql" / "tables" / "ml_models.bars.sql"
    for old, new, message in [
        ("flag INT64", "flag STRING", r"column 'flag' is INT64 in the warehouse \(1 rows\), STRING in its file"),
        ("flag INT64,", "", "column 'flag' is INT64 .* missing in its file"),
        ("is_warm BOOL", "is_warm BOOL, open FLOAT64", "column 'open' is missing in the warehouse"),
        ("flag INT64", "flag INT64 NOT NULL", "column 'flag' is INT64 .* INT64 NOT NULL in its file"),
    ]:
        file.write_text(TABLES["ml_models.bars"].replace(old, new))
        again = DuckDBWarehouse(
            tmp_path / "state" / "warehouse.duckdb",
            settings=settings(),
            staging=tmp_path / "staging",
            sql_folder=tmp_path / "sql",
        )
        with pytest.raises(SchemaError, match=message):
            again.ensure_schema()
    file.write_text(TABLES["ml_models.bars"])
    assert stored(file_engine(tmp_path)) == [ROW]


def test_an_empty_table_follows_its_file(tmp_path):
    file_engine(tmp_path).ensure_schema()
    file = tmp_path / "sql" / "tables" / "ml_models.bars.sql"
    file.write_text(TABLES["ml_models.bars"].replace("flag INT64", "flag STRING"))
    again = DuckDBWarehouse(
        tmp_path / "state" / "warehouse.duckdb",
        settings=settings(),
        staging=tmp_path / "staging",
        sql_folder=tmp_path / "sql",
    )
    again.ensure_schema()
    assert again.query("SELECT flag FROM ml_models.bars").schema.field("flag").type == "string"


def test_views_in_a_circle_are_named(tmp_path):
    folder = write_schema(tmp_path / "sql")
    (folder / "views" / "ml_models.b_newest.sql").write_text("SELECT * FROM ml_models.a_reads_b")
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb", settings=settings(), staging=tmp_path / "s", sql_folder=folder)
    with pytest.raises(SchemaError, match=r"ml_models\.a_reads_b, ml_models\.b_newest"):
        warehouse.ensure_schema()


def test_a_broken_view_leaves_the_whole_schema_as_it_was(tmp_path):
    file_engine(tmp_path).ensure_schema()
    (tmp_path / "sql" / "views" / "ml_models.c.sql").write_text("SELECT no_such_column FROM ml_models.bars")
    again = DuckDBWarehouse(
        tmp_path / "state" / "warehouse.duckdb",
        settings=settings(),
        staging=tmp_path / "s",
        sql_folder=tmp_path / "sql",
    )
    with pytest.raises(SchemaError, match=r"view ml_models\.c"):
        again.ensure_schema()
    assert file_engine(tmp_path).query("SELECT COUNT(*) AS n FROM ml_models.a_reads_b").to_pylist() == [{"n": 0}]


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
    with pytest.raises(ConfigError, match="'bigquery' is not built yet"):
        open_warehouse(load_settings("bigquery"))

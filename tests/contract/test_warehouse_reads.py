"""Reading: one view of the tables per connection, names of any project, metadata, streams and exports."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market.errors import QueryError, WarehouseError
from tests.contract.warehouse_engines import (
    ENGINES,
    KEPT_ENGINES,
    bars,
    file_engine,
    open_engine,
    scratch_engine,
)
from warehouse.warehouse import Write

ROWS = [("stocks", "A", 1, 1.0), ("stocks", "A", 2, 2.0), ("etf", "B", 1, None)]


@pytest.fixture(params=ENGINES, scope="module")
def warehouse(request, tmp_path_factory):
    engine = open_engine(request.param, request, tmp_path_factory.mktemp("reads"))
    engine.write([Write("ml_models.bars", rows=bars(*ROWS))])
    return engine


@pytest.mark.parametrize(
    "name",
    [
        "`aialgotradehits.ml_models.bars`",
        "`other-project.ml_models.bars`",
        "`other-project`.ml_models.bars",
        "`other-project`.`ml_models`.`bars`",
        "`ml_models.bars`",
        "`ml_models`.bars",
        "ml_models.bars",
        "aialgotradehits.ml_models.bars",
    ],
)
def test_a_table_is_found_under_any_spelling_of_its_name(warehouse, name):
    assert warehouse.query(f"SELECT COUNT(*) AS n FROM {name} AS b WHERE b.symbol = 'A'").to_pylist() == [{"n": 2}]


def test_unknown_names_are_refused_with_near_ones(warehouse):
    with pytest.raises(QueryError, match="no table baars in dataset ml_models") as refusal:
        warehouse.query("SELECT * FROM `p.ml_models.baars`")
    assert "bars" in refusal.value.remedy
    with pytest.raises(QueryError, match="no dataset ml_model") as refusal:
        warehouse.query("SELECT * FROM `ml_model.bars`")
    assert "ml_models" in refusal.value.remedy
    with pytest.raises(QueryError, match="must be qualified with a dataset"):
        warehouse.query("SELECT * FROM bars")


def test_a_cte_may_carry_a_tables_name(warehouse):
    sql = "WITH bars AS (SELECT symbol FROM `ml_models.bars` WHERE symbol = 'B') SELECT * FROM bars"
    assert warehouse.query(sql).to_pylist() == [{"symbol": "B"}]


@pytest.mark.parametrize("name", KEPT_ENGINES)
def test_configured_dataset_names_hold_in_both_spellings(name, request, tmp_path):
    names = {"crypto_trading_data": "c", "ml_models": "ml_dev", "tradehits": "internal"}
    from configs.settings import DatasetNames

    engine = open_engine(name, request, tmp_path, datasets=DatasetNames(**names))
    engine.write([Write("ml_models.bars", rows=bars(*ROWS))])
    for table in ("`p.ml_models.bars`", "`p.ml_dev.bars`", "ml_models.a_reads_b", "ml_dev.b_newest"):
        assert engine.query(f"SELECT COUNT(*) > 0 AS there FROM {table}").to_pylist() == [{"there": True}]
    assert engine.query("SELECT table_id FROM ml_dev.__TABLES__ WHERE row_count = 3").to_pylist() == [
        {"table_id": "bars"}
    ]


def test_views_read_views_whatever_their_names_order(warehouse):
    newest = warehouse.query(
        "SELECT symbol, DATE(newest) AS day FROM `ml_models.a_reads_b` ORDER BY symbol"
    ).to_pylist()
    assert [(row["symbol"], str(row["day"])) for row in newest] == [("A", "2024-01-03"), ("B", "2024-01-02")]


def test_tables_metadata_speaks_bigquerys_language(warehouse):
    tables = warehouse.query("SELECT * FROM `ml_models.__TABLES__` WHERE table_id = 'bars'").to_pylist()[0]
    assert (tables["dataset_id"], tables["row_count"], tables["type"]) == ("ml_models", 3, 1)
    assert tables["size_bytes"] > 0
    assert tables["last_modified_time"] > 1_600_000_000_000
    named = warehouse.query(
        "SELECT table_name, table_type FROM `p.ml_models.INFORMATION_SCHEMA.TABLES` ORDER BY table_name"
    ).to_pylist()
    assert [(row["table_name"], row["table_type"]) for row in named] == [
        ("a_reads_b", "VIEW"),
        ("b_newest", "VIEW"),
        ("bars", "BASE TABLE"),
    ]
    columns = warehouse.query(
        "SELECT column_name, data_type, is_nullable FROM ml_models.INFORMATION_SCHEMA.COLUMNS "
        "WHERE table_name = 'bars' ORDER BY ordinal_position"
    ).to_pylist()
    assert [tuple(row.values()) for row in columns] == [
        ("asset_type", "STRING", "NO"),
        ("symbol", "STRING", "NO"),
        ("datetime", "TIMESTAMP", "NO"),
        ("close", "FLOAT64", "YES"),
        ("flag", "INT64", "YES"),
        ("is_warm", "BOOL", "YES"),
        ("session", "DATE", "YES"),
        ("parameters", "JSON", "YES"),
    ]


def test_columns_of_types_that_bigquery_does_not_compare_are_refused(warehouse):
    for sql in (
        "SELECT * FROM `ml_models.bars` WHERE datetime >= DATE_SUB(CURRENT_DATE(), INTERVAL 5 DAY)",
        "SELECT * FROM `ml_models.bars` AS b WHERE b.flag = 'UP'",
        "SELECT * FROM `ml_models.bars` WHERE symbol = 1",
        "SELECT * FROM `ml_models.bars` WHERE is_warm = 1",
        "SELECT * FROM `ml_models.bars` WHERE session IN (1, 2)",
    ):
        with pytest.raises(QueryError, match="No matching signature for operator"):
            warehouse.query(sql)
    assert warehouse.query("SELECT symbol FROM `ml_models.bars` WHERE datetime >= '2024-01-03'").num_rows == 1


def test_a_stream_gives_all_rows_in_batches_while_other_queries_run(warehouse):
    with warehouse.read() as connection:
        reader = connection.stream("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 10000)) AS x ORDER BY x", batch_rows=2048)
        first = reader.read_next_batch()
        assert connection.query("SELECT COUNT(*) AS n FROM `ml_models.bars`").to_pylist() == [{"n": 3}]
        rest = reader.read_all()
    assert first.num_rows < 10_000
    assert first.column("x").to_pylist() + rest.column("x").to_pylist() == list(range(1, 10_001))


def test_a_stream_ends_with_its_connection(warehouse):
    with warehouse.read() as connection:
        reader = connection.stream("SELECT x FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS x", batch_rows=2048)
    with pytest.raises(WarehouseError, match="closed"):
        reader.read_all()
    with pytest.raises(WarehouseError, match="closed"):
        connection.query("SELECT 1 AS a")


def test_an_export_is_one_parquet_file_with_the_rows(warehouse, tmp_path):
    target = tmp_path / "out" / "bars.parquet"
    with warehouse.read() as connection:
        rows = connection.export_parquet(
            "SELECT symbol, datetime, close, 1 AS one FROM `ml_models.bars` WHERE symbol = @s", target, {"s": "A"}
        )
    table = pq.read_table(target)
    assert rows == table.num_rows == 2
    assert table.schema.field("one").type == pa.int64()
    assert table.schema.field("datetime").type == pa.timestamp("us", "UTC")
    assert [path.name for path in target.parent.iterdir()] == ["bars.parquet"]


def test_a_failed_export_leaves_the_old_file(warehouse, tmp_path):
    target = tmp_path / "bars.parquet"
    target.write_text("old")
    with warehouse.read() as connection, pytest.raises(QueryError):
        connection.export_parquet("SELECT 1 / x AS y FROM UNNEST([0]) AS x", target)
    assert target.read_text() == "old"


def test_reading_a_warehouse_that_is_not_there_says_how_to_fill_it(tmp_path):
    with pytest.raises(WarehouseError, match="there is no warehouse yet") as refusal:
        file_engine(tmp_path).query("SELECT 1 AS a")
    assert "tradehits ingest" in refusal.value.remedy
    assert not (tmp_path / "state").exists()


def test_a_scratch_warehouse_is_private(tmp_path):
    one, other = scratch_engine(tmp_path), scratch_engine(tmp_path)
    one.write([Write("ml_models.bars", rows=bars(*ROWS))])
    assert other.query("SELECT COUNT(*) AS n FROM ml_models.bars").to_pylist() == [{"n": 0}]

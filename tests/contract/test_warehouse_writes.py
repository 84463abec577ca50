"""Every engine writes the same way: keyed, whole or not at all, and nothing that does not fit its table."""

import json
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from market.errors import DuplicateKeyError, SchemaError, WarehouseError
from tests.contract.warehouse_engines import (
    ENGINES,
    START,
    bars,
    empty_engine,
    file_engine,
    open_engine,
    stored,
    untouched,
)
from warehouse.warehouse import Write, WriteResult

A1, A2, B1 = ("stocks", "A", 1, 1.0), ("stocks", "A", 2, 2.0), ("etf", "B", 1, 3.0)


@pytest.fixture(params=ENGINES)
def warehouse(request, tmp_path):
    return empty_engine(request.param, request, tmp_path)


def _write(warehouse, *rows, **how):
    return warehouse.write([Write("ml_models.bars", rows=bars(*rows), **how)])[0]


def test_merge_inserts_new_keys_and_replaces_known_ones(warehouse):
    assert _write(warehouse, A1, B1) == WriteResult("ml_models.bars", inserted=2, updated=0, deleted=0, skipped=0)
    changed = ("stocks", "A", 1, 9.0)
    assert _write(warehouse, changed, A2) == WriteResult("ml_models.bars", inserted=1, updated=1, deleted=0, skipped=0)
    assert stored(warehouse) == [B1, changed, A2]


def test_append_refuses_a_known_key_and_names_it(warehouse):
    _write(warehouse, A1)
    with untouched(warehouse), pytest.raises(DuplicateKeyError) as refusal:
        _write(warehouse, A2, ("stocks", "A", 1, 5.0), mode="append")
    assert "ml_models.bars" in str(refusal.value)
    assert "asset_type=stocks, symbol=A, datetime=2024-01-02 00:00:00+00:00" in str(refusal.value)


def test_append_can_skip_known_keys(warehouse):
    _write(warehouse, A1)
    result = _write(warehouse, ("stocks", "A", 1, 5.0), A2, mode="append", skip_existing=True)
    assert result == WriteResult("ml_models.bars", inserted=1, updated=0, deleted=0, skipped=1)
    assert stored(warehouse) == [A1, A2]


def test_replace_deletes_its_scope_and_nothing_else(warehouse):
    _write(warehouse, A1, A2, B1)
    result = _write(warehouse, ("stocks", "A", 7, 7.0), mode="replace", where={"asset_type": "stocks"})
    assert result == WriteResult("ml_models.bars", inserted=1, updated=0, deleted=2, skipped=0)
    assert stored(warehouse) == [B1, ("stocks", "A", 7, 7.0)]


def test_replace_without_scope_replaces_the_table(warehouse):
    _write(warehouse, A1, A2, B1)
    assert _write(warehouse, A2, mode="replace").deleted == 3
    assert stored(warehouse) == [A2]


def test_replace_refuses_a_row_outside_its_scope(warehouse):
    _write(warehouse, A1, B1)
    with untouched(warehouse), pytest.raises(SchemaError, match=r"outside the replaced scope.*symbol=B"):
        _write(warehouse, A2, ("etf", "B", 2, 1.0), mode="replace", where={"asset_type": "stocks"})


def test_replace_by_a_column_outside_the_key_cannot_double_a_key(warehouse):
    _write(warehouse, A1, A2)
    with untouched(warehouse), pytest.raises(DuplicateKeyError, match="symbol=A"):
        _write(warehouse, ("stocks", "A", 1, 2.0), mode="replace", where={"close": 2.0})


def test_an_unknown_scope_column_is_named(warehouse):
    with untouched(warehouse), pytest.raises(SchemaError, match="'colour'"):
        _write(warehouse, A1, mode="replace", where={"colour": "red"})


def test_two_rows_of_one_key_in_a_batch_are_refused_in_every_mode(warehouse):
    for how in ({}, {"mode": "append"}, {"mode": "append", "skip_existing": True}, {"mode": "replace"}):
        with untouched(warehouse), pytest.raises(DuplicateKeyError, match=r"2 of the rows to write.*symbol=A"):
            _write(warehouse, A1, ("stocks", "A", 1, 2.0), **how)


def test_several_tables_change_together_or_not_at_all(warehouse):
    counters = pa.table({"name": ["runs"], "value": [1]})
    results = warehouse.write([Write("ml_models.bars", rows=bars(A1)), Write("tradehits.counters", rows=counters)])
    assert [result.inserted for result in results] == [1, 1]
    with untouched(warehouse), pytest.raises(DuplicateKeyError):
        warehouse.write(
            [
                Write("ml_models.bars", rows=bars(A2)),
                Write("tradehits.counters", rows=counters, mode="append"),
            ]
        )


def test_writes_of_one_call_see_each_other_in_order(warehouse):
    with untouched(warehouse), pytest.raises(DuplicateKeyError):
        warehouse.write([Write("ml_models.bars", rows=bars(A1), mode="append")] * 2)
    warehouse.write([Write("ml_models.bars", rows=bars(A1)), Write("ml_models.bars", rows=bars(A2), mode="replace")])
    assert stored(warehouse) == [A2]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_never_enter_a_table(warehouse, bad):
    with untouched(warehouse), pytest.raises(SchemaError) as refusal:
        _write(warehouse, A1, ("stocks", "A", 2, None), ("stocks", "A", 3, bad))
    assert "column 'close' holds NaN or infinity" in str(refusal.value)
    assert "row 3 (asset_type=stocks, symbol=A, datetime=2024-01-04" in str(refusal.value)


def test_null_in_a_key_column_is_refused(warehouse):
    with untouched(warehouse), pytest.raises(SchemaError, match=r"column 'symbol' holds NULL.*row 2"):
        _write(warehouse, A1, ("stocks", None, 2, 1.0))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("colour", pa.array(["red"]), "unknown column colour"),
        ("close", pa.array(["1.5"]), "column 'close' is FLOAT64, the rows have STRING"),
        ("flag", pa.array([1.5]), "column 'flag' is INT64 and holds 1.5"),
        ("flag", pa.array([2**64 - 1], pa.uint64()), "ml_models.bars"),
        ("is_warm", pa.array([1]), "column 'is_warm' is BOOL, the rows have INT64"),
        ("session", pa.array([START]), "column 'session' is DATE, the rows have TIMESTAMP"),
        ("datetime", pa.array([datetime(2024, 1, 1)]), "'datetime' has times without a zone"),  # noqa: DTZ001
        ("datetime", pa.array([date(2024, 1, 1)]), "column 'datetime' is TIMESTAMP, the rows have DATE"),
        ("datetime", pa.array([1_704_067_200_000_000_001], pa.timestamp("ns", "UTC")), "microsecond"),
        ("parameters", pa.array(["{not json"]), "column 'parameters' is JSON"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_the_column_is_named(warehouse, column, values, message):
    rows = bars(A1)
    rows = rows.drop_columns(column) if column in rows.column_names else rows
    with untouched(warehouse), pytest.raises(SchemaError, match=message):
        warehouse.write([Write("ml_models.bars", rows=rows.append_column(column, values))])


def test_a_missing_key_column_is_named_and_a_missing_nullable_one_is_null(warehouse):
    with untouched(warehouse), pytest.raises(SchemaError, match="missing columns symbol, datetime"):
        warehouse.write([Write("ml_models.bars", rows=pa.table({"asset_type": ["stocks"]}))])
    warehouse.write([Write("ml_models.bars", rows=bars(A1).drop_columns("close"))])
    assert stored(warehouse) == [("stocks", "A", 1, None)]


def test_values_that_lose_nothing_are_converted(warehouse):
    rows = pa.table(
        {
            "asset_type": pa.array(["stocks"]).dictionary_encode(),
            "symbol": pa.array(["A"], pa.large_string()),
            "datetime": pa.array([START + timedelta(hours=5)], pa.timestamp("ns", "UTC")),
            "close": pa.array([3], pa.int32()),
            "flag": pa.array([1.0], pa.float32()),
            "session": pa.array([date(2024, 1, 1)]),
            "parameters": pa.array(['{"a": 1}']),
            "is_warm": pa.array([True]),
        }
    )
    warehouse.write([Write("ml_models.bars", rows=rows)])
    [row] = warehouse.query("SELECT * FROM `ml_models.bars`").to_pylist()
    assert json.loads(row.pop("parameters")) == {"a": 1}  # BigQuery writes JSON without spaces
    assert [row] == [
        {
            "asset_type": "stocks",
            "symbol": "A",
            "datetime": START + timedelta(hours=5),
            "close": 3.0,
            "flag": 1,
            "is_warm": True,
            "session": date(2024, 1, 1),
        }
    ]


def test_an_instant_in_another_zone_is_the_same_instant(warehouse):
    rows = bars(A1)
    there = rows.column("datetime").cast(pa.timestamp("us", "America/New_York"))
    rows = rows.set_column(rows.column_names.index("datetime"), "datetime", there)
    warehouse.write([Write("ml_models.bars", rows=rows)])
    assert stored(warehouse) == [A1]


def test_rows_come_as_table_reader_file_or_sql(warehouse, tmp_path):
    pq.write_table(bars(A2), tmp_path / "rows.parquet")
    warehouse.write([Write("ml_models.bars", rows=bars(A1).to_reader())])
    warehouse.write([Write("ml_models.bars", rows=tmp_path / "rows.parquet")])
    sql = (
        "SELECT 'etf' AS asset_type, @name AS symbol, datetime, close * 2 AS close "
        "FROM `ml_models.bars` WHERE close = 1"
    )
    warehouse.write([Write("ml_models.bars", sql=sql, parameters={"name": "B"})])
    assert stored(warehouse) == [("etf", "B", 1, 2.0), A1, A2]


def test_a_parquet_file_of_pandas_keeps_its_nanosecond_instants(warehouse, tmp_path):
    bars(A1).to_pandas().astype({"datetime": "datetime64[ns, UTC]"}).to_parquet(tmp_path / "rows.parquet", index=False)
    warehouse.write([Write("ml_models.bars", rows=tmp_path / "rows.parquet")])
    assert stored(warehouse) == [A1]


def test_a_file_that_is_no_parquet_is_named(warehouse, tmp_path):
    (tmp_path / "rows.parquet").write_text("no")
    for path in (tmp_path / "rows.parquet", tmp_path / "missing.parquet"):
        with untouched(warehouse), pytest.raises(SchemaError, match=path.name):
            warehouse.write([Write("ml_models.bars", rows=path)])


def test_an_empty_batch_changes_nothing_but_what_replace_deletes(warehouse):
    _write(warehouse, A1, B1)
    for how in ({}, {"mode": "append"}):
        with untouched(warehouse):
            assert _write(warehouse, **how) == WriteResult("ml_models.bars", 0, 0, 0, 0)
    assert _write(warehouse, mode="replace", where={"asset_type": "stocks"}).deleted == 1
    assert stored(warehouse) == [B1]


def test_an_unknown_table_is_refused_with_the_known_ones(warehouse):
    with pytest.raises(SchemaError, match=r"ml_models.baars") as refusal:
        warehouse.write([Write("ml_models.baars", rows=bars(A1))])
    assert "ml_models.bars" in refusal.value.remedy


@pytest.mark.parametrize("name", ENGINES)
def test_statistics_tell_rows_and_the_last_change_of_every_table(name, request, tmp_path):
    warehouse = open_engine(name, request, tmp_path)  # the emulator counts rows that were deleted: a table of its own
    warehouse.ensure_schema()
    before = {one.table: one for one in warehouse.statistics()}
    assert before["ml_models.bars"].rows == 0
    assert before["ml_models.bars"].last_modified_at is None
    _write(warehouse, A1, A2)
    after = {one.table: one for one in warehouse.statistics()}
    assert after["ml_models.bars"].rows == 2
    assert after["ml_models.bars"].size_bytes > 0
    assert after["ml_models.bars"].last_modified_at.utcoffset() == timedelta(0)
    assert after["tradehits.counters"] == before["tradehits.counters"]


def test_staging_is_empty_after_a_write_that_worked_and_one_that_failed(tmp_path):
    warehouse = file_engine(tmp_path)
    _write(warehouse, A1)
    with pytest.raises(DuplicateKeyError):
        _write(warehouse, A1, mode="append")
    assert [path.name for path in (tmp_path / "staging").iterdir() if not path.name.startswith("spill@")] == []


def test_a_thread_that_reads_cannot_write_and_learns_it_at_once(warehouse):
    with warehouse.read() as connection:
        with pytest.raises(WarehouseError, match="this thread holds an open read connection"):
            _write(warehouse, A1)
        with pytest.raises(WarehouseError, match="this thread holds an open read connection"):
            warehouse.ensure_schema()
        assert connection.query("SELECT COUNT(*) AS n FROM `ml_models.bars`").to_pylist() == [{"n": 0}]
    _write(warehouse, A1)
    assert stored(warehouse) == [A1]

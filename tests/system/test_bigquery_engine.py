"""What only BigQuery has, on the emulator: its transactions, staging, refusals and examination.

What runs on both engines by itself is in tests/contract.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from market.errors import DuplicateKeyError, QueryError, SchemaError, WarehouseAccessError
from tests.contract.sequences import STEPS, apply_steps
from tests.contract.warehouse_engines import (
    bars,
    bigquery_engine,
    emptied,
    shared_bigquery_engine,
    stored,
    untouched,
)
from tests.system.emulator import Emulator
from warehouse.bigquery import BigQueryWarehouse
from warehouse.bigquery_apply import _Part
from warehouse.bigquery_check import check_bigquery
from warehouse.bigquery_waiting import Waiting
from warehouse.warehouse import Write

pytestmark = pytest.mark.system


@pytest.fixture
def empty_bars(emulator: Emulator) -> Iterator[BigQueryWarehouse]:
    yield emptied(shared_bigquery_engine(emulator))


@hypothesis_settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_any_sequence_of_writes_equals_its_dictionary_model(emulator: Emulator, steps: Any) -> None:
    apply_steps(emptied(shared_bigquery_engine(emulator)), steps)


def test_the_merge_that_bigquery_gets_does_what_the_emulators_delete_and_insert_do(
    empty_bars: BigQueryWarehouse,
) -> None:
    """The emulator cannot MERGE inside a transaction, so the statement is shown to work outside of one."""
    before = [("stocks", "A", 1, 1.0), ("stocks", "A", 2, 2.0)]
    empty_bars.write([Write("ml_models.bars", rows=bars(*before))])
    path = "`tradehits_staging.by_hand`"
    empty_bars.bigquery.transaction(
        f"CREATE OR REPLACE TABLE {path} AS SELECT asset_type, symbol, TIMESTAMP_ADD(datetime, INTERVAL 1 DAY) AS "
        "datetime, close * 10 AS close, flag, is_warm, session, parameters FROM `ml_models.bars`",
        (),
        doing="stage",
    )
    schema, names = empty_bars._schema, empty_bars._names
    target = schema.table("ml_models.bars")
    expressions = tuple(f"`{column.name}`" for column in target.columns)
    limits = {"datetime": (bars(*before)["datetime"][1].as_py(), bars(*before)["datetime"][1].as_py() + timedelta(1))}
    waiting = Waiting(Write("ml_models.bars"), target, path, 2, expressions, limits)
    part = _Part(0, waiting, names, can_merge=True)
    assert part.merge_statement() in part.statements()
    empty_bars.bigquery.transaction(part.merge_statement(), part.parameters, doing="merge")
    assert stored(empty_bars) == [("stocks", "A", 1, 1.0), ("stocks", "A", 2, 10.0), ("stocks", "A", 3, 20.0)]


def test_of_two_writers_at_once_none_doubles_or_loses_a_row(emulator: Emulator, empty_bars: BigQueryWarehouse) -> None:
    """Both append the same days and one day of their own; whoever comes second skips what is there."""
    failures: list[Exception] = []

    def work(name: str) -> None:
        try:
            for day in range(3):
                rows = bars(("stocks", "both", day, 1.0), ("stocks", name, day, 1.0))
                empty_bars.write([Write("ml_models.bars", rows=rows, mode="append", skip_existing=True)])
        except Exception as error:  # noqa: BLE001  a thread's failure must reach the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "AB"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=240)
    assert failures == []
    assert stored(empty_bars) == [("stocks", name, day, 1.0) for name in ("A", "B", "both") for day in range(3)]


def test_of_two_appends_of_one_key_at_once_exactly_one_is_refused(empty_bars: BigQueryWarehouse) -> None:
    """Inserts alone do not conflict in BigQuery: the turn that every writer takes makes them."""
    results: list[str] = []

    def work() -> None:
        try:
            empty_bars.write([Write("ml_models.bars", rows=bars(("stocks", "A", 1, 1.0)), mode="append")])
            results.append("written")
        except DuplicateKeyError as error:
            results.append(error.message)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=240)
    key = "asset_type=stocks, symbol=A, datetime=2024-01-02 00:00:00+00:00"
    refused = f"ml_models.bars: a row with this key exists ({key})"
    assert sorted(results) == sorted(["written", refused, refused])
    assert stored(empty_bars) == [("stocks", "A", 1, 1.0)]


def test_a_read_connection_sees_one_instant_while_others_write(empty_bars: BigQueryWarehouse) -> None:
    empty_bars.write([Write("ml_models.bars", rows=bars(("stocks", "A", 1, 1.0)))])
    count = "SELECT COUNT(*) AS n FROM `ml_models.bars`"
    newer = "SELECT COUNT(*) AS n FROM `ml_models.a_reads_b` WHERE newest > '2024-01-02'"
    with empty_bars.read() as read:
        assert read.query(count).to_pylist() == [{"n": 1}]
        writing = Write("ml_models.bars", rows=bars(("stocks", "A", 2, 1.0)))
        other = threading.Thread(target=empty_bars.write, args=([writing],))
        other.start()
        other.join(timeout=120)
        assert read.query(count).to_pylist() == [{"n": 1}]
        assert read.query(newer).to_pylist() == [{"n": 0}]
    assert empty_bars.query(count).to_pylist() == [{"n": 2}]


NOW = "TIMESTAMP '2024-01-02 00:00:00+00' AS datetime"
ROW = f"'a' AS asset_type, 's' AS symbol, {NOW}"


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (f"'a' AS asset_type, CAST(NULL AS STRING) AS symbol, {NOW}", SchemaError, "column 'symbol' holds NULL"),
        (f"{ROW}, CAST('inf' AS FLOAT64) AS close", SchemaError, "column 'close' holds NaN or infinity.*symbol=s"),
        (f"{ROW}, 1.5 AS flag", SchemaError, "column 'flag' holds a fraction"),
        (f"{ROW}, 'x' AS close", SchemaError, "column 'close' is FLOAT64, the rows have STRING"),
        (f"{ROW}, 1 AS colour", SchemaError, "unknown column colour"),
        (f"'a' AS asset_type, {NOW}", SchemaError, "missing column symbol"),
        (f"{ROW} FROM UNNEST([1, 2])", DuplicateKeyError, "2 of the rows to write have one key.*symbol=s"),
        ("'a' AS asset_type, 's' AS symbol, nothing AS datetime", QueryError, "nothing"),
    ],
)
def test_rows_of_a_select_are_checked_inside_bigquery_with_the_same_words(
    empty_bars: BigQueryWarehouse, columns: str, error: type[Exception], message: str
) -> None:
    with untouched(empty_bars), pytest.raises(error, match=message):
        empty_bars.write([Write("ml_models.bars", sql=f"SELECT {columns}")])


def test_rows_of_a_select_outside_the_replaced_scope_are_refused(empty_bars: BigQueryWarehouse) -> None:
    sql = "SELECT 'etf' AS asset_type, 's' AS symbol, TIMESTAMP '2024-01-02 00:00:00+00' AS datetime"
    with untouched(empty_bars), pytest.raises(SchemaError, match=r"outside the replaced scope.*symbol=s"):
        empty_bars.write([Write("ml_models.bars", sql=sql, mode="replace", where={"asset_type": "stocks"})])


def test_staging_tables_are_gone_after_a_write_that_worked_and_one_that_failed(
    emulator: Emulator, empty_bars: BigQueryWarehouse
) -> None:
    row = bars(("stocks", "A", 1, 1.0))
    empty_bars.write([Write("ml_models.bars", rows=row)])
    with pytest.raises(DuplicateKeyError):
        empty_bars.write([Write("ml_models.bars", rows=row, mode="append")])
    dataset = emulator.client(empty_bars.bigquery.settings.project).get_dataset("tradehits_staging")
    assert dataset.default_table_expiration_ms == 24 * 3600 * 1000
    left = [one.table_id for one in empty_bars.bigquery.client.list_tables("tradehits_staging")]
    assert [name for name in left if name.startswith("staged_")] == []


def test_results_are_the_same_over_rest_and_over_the_storage_api(empty_bars: BigQueryWarehouse) -> None:
    rows = bars(*(("stocks", "A", day, day / 3) for day in range(50)))
    empty_bars.write([Write("ml_models.bars", rows=rows)])
    settings = empty_bars.bigquery.settings
    plain = settings.bigquery.model_copy(update={"use_storage_api": False})
    over_rest = settings.model_copy(update={"bigquery": plain})
    other = BigQueryWarehouse(over_rest, staging=empty_bars._staging, sql_folder=empty_bars._schema.folder)
    sql = "SELECT *, [1, 2] AS xs, STRUCT(close AS c, symbol AS s) AS st FROM `ml_models.bars` ORDER BY datetime"
    assert other.query(sql).equals(empty_bars.query(sql))


def test_a_table_of_yours_under_our_name_is_left_alone(emulator: Emulator, tmp_path: Path) -> None:
    engine = bigquery_engine(emulator, tmp_path)
    client = emulator.client(engine.bigquery.settings.project)
    client.create_dataset("ml_models")
    client.query("CREATE TABLE ml_models.bars AS SELECT 'mine' AS symbol").result()
    with pytest.raises(SchemaError, match="was not made by this platform") as refusal:
        engine.ensure_schema()
    assert "tradehits migrate --plan" in refusal.value.remedy
    assert [row.symbol for row in client.query("SELECT * FROM ml_models.bars").result()] == ["mine"]


def test_a_dataset_in_another_location_is_named(emulator: Emulator, tmp_path: Path) -> None:
    engine = bigquery_engine(emulator, tmp_path)
    settings = engine.bigquery.settings
    dataset = f"{settings.project}.ml_models"
    emulator.client(settings.project).create_dataset(dataset)
    abroad = settings.model_copy(update={"bigquery": settings.bigquery.model_copy(update={"location": "EU"})})
    with pytest.raises(WarehouseAccessError, match="dataset ml_models lies in US, the configuration says EU"):
        BigQueryWarehouse(abroad, staging=tmp_path, sql_folder=tmp_path / "sql").ensure_schema()


def test_the_doctor_names_drift_foreign_tables_and_what_is_not_there_yet(emulator: Emulator, tmp_path: Path) -> None:
    engine = bigquery_engine(emulator, tmp_path)
    settings = engine.bigquery.settings
    client = emulator.client(settings.project)
    client.create_dataset("ml_models")
    client.query("CREATE TABLE ml_models.bars AS SELECT 'mine' AS symbol").result()
    found = {(one.severity, one.check, one.subject) for one in check_bigquery(settings, schema=engine._schema)}
    assert ("error", "foreign_table", f"{settings.project}.ml_models.bars") in found
    assert ("info", "dataset", "tradehits") in found
    client.query("DROP TABLE ml_models.bars").result()
    engine.ensure_schema()
    client.query("ALTER TABLE ml_models.bars DROP COLUMN flag").result()
    client.query("ALTER TABLE ml_models.bars RENAME COLUMN close TO price").result()
    messages = [one.message for one in check_bigquery(settings, schema=engine._schema) if one.check == "schema_drift"]
    assert "column 'price' is FLOAT64 in the warehouse, missing in its file" in messages
    assert "column 'close' is missing in the warehouse, FLOAT64 in its file" in messages
    assert "column 'flag' is missing in the warehouse, INT64 in its file" in messages

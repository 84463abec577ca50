"""The SQLite store of rows and the engine that fills it keep Feast's values as Feast's own conversion makes them."""

from __future__ import annotations

import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.protos.feast.types.Value_pb2 import Map, Value
from feast.type_map import feast_value_type_to_python_type
from feast.types import Array, Bool, Float32, Float64, Int32, Int64, String, UnixTimestamp
from feast.utils import _convert_arrow_to_proto
from feast.value_type import ValueType

from feature_repo.connection import COMPUTE_ENGINE, OFFLINE_STORE, ONLINE_STORE
from feature_repo.materialization import stored_rows

NOON = datetime(2024, 6, 3, 12, 0, 0, 123456, tzinfo=UTC)
COLUMNS = {
    "code": ([1, 2, 3], pa.int64(), Int64),
    "name": (["a", "é", ""], pa.string(), String),
    "event_timestamp": ([NOON, NOON, NOON], pa.timestamp("us", "UTC"), None),
    "created": ([NOON, NOON, None], pa.timestamp("us", "UTC"), None),
    "double": ([0.1 + 0.2, -0.0, None], pa.float64(), Float64),
    "single": ([0.5, None, 1.5], pa.float32(), Float32),
    "whole": ([0, -(2**40), None], pa.int64(), Int64),
    "small": ([7, 0, -1], pa.int32(), Int32),
    "flag": ([True, False, None], pa.bool_(), Bool),
    "words": (["", None, "x'y"], pa.string(), String),
    "moment": ([NOON, None, NOON - timedelta(days=30_000)], pa.timestamp("us", "UTC"), UnixTimestamp),
}
TABLE = pa.table({name: pa.array(values, dtype) for name, (values, dtype, _) in COLUMNS.items()})
FEATURES = ("double", "single", "whole", "small", "flag", "words", "moment")


def view(path, *more: Field) -> FeatureView:
    entities = [
        Entity(name="code", join_keys=["code"], value_type=ValueType.INT64),
        Entity(name="name", join_keys=["name"], value_type=ValueType.STRING),
    ]
    fields = [Field(name=name, dtype=dtype) for name, (_, _, dtype) in COLUMNS.items() if dtype is not None]
    source = FileSource(
        name="source", path=str(path), timestamp_field="event_timestamp", created_timestamp_column="created"
    )
    return FeatureView(name="view", entities=entities, schema=[*fields, *more], source=source, online=True)


def open_store(folder) -> FeatureStore:
    return FeatureStore(
        config=RepoConfig(
            project="rows",
            provider="local",
            registry=str(folder / "registry.pb"),
            online_store={"type": ONLINE_STORE, "path": str(folder / "online.db")},
            offline_store={"type": OFFLINE_STORE},
            batch_engine={"type": COMPUTE_ENGINE},
            materialization={"pull_latest_features": True},
            entity_key_serialization_version=3,
        )
    )


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE, path)
    made = view(path)
    opened = open_store(tmp_path)
    opened.apply([*made_entities(), made])
    return opened


def made_entities():
    return [
        Entity(name="code", join_keys=["code"], value_type=ValueType.INT64),
        Entity(name="name", join_keys=["name"], value_type=ValueType.STRING),
    ]


def load(store) -> None:
    store.materialize(NOON - timedelta(days=1), NOON + timedelta(days=1), feature_views=["view"])


def online(store) -> dict:
    keys = {"code": [1, 2, 3, 4], "name": ["a", "é", "", "a"]}
    return store.get_online_features([f"view:{name}" for name in FEATURES], keys).to_dict()


def python_values(values: dict) -> dict:
    """As Feast reads them: it stores a missing time as a number of its own, ours is an empty value."""
    return {name: feast_value_type_to_python_type(value) for name, value in values.items()}


def test_every_kind_of_value_is_stored_as_feasts_own_conversion_has_it(store):
    registered = store.get_feature_view("view")
    keys = {"code": ValueType.INT64, "name": ValueType.STRING}
    theirs = _convert_arrow_to_proto(TABLE.to_batches()[0], registered, keys)
    ours = list(stored_rows(registered, TABLE))
    assert [key for key, *_ in ours] == [key for key, *_ in theirs]
    maps = [dict(Map.FromString(row).val) for *_, row in ours]
    assert [python_values(values) for values in maps] == [python_values(values) for _, values, _, _ in theirs]
    assert maps[1]["double"].double_val == 0.0
    assert maps[2]["double"] == Value()


def test_values_come_back_in_the_order_of_the_keys_and_unknown_keys_are_empty(store, capsys):
    load(store)
    found = online(store)
    assert found["double"] == [0.1 + 0.2, -0.0, None, None]
    assert found["whole"] == [0, -(2**40), None, None]
    assert found["words"] == ["", None, "x'y", None]
    assert found["flag"] == [True, False, None, None]
    assert [value and value.replace(tzinfo=UTC) for value in found["moment"]][:2] == [NOON.replace(microsecond=0), None]


def test_event_times_keep_their_microseconds_in_any_local_time(store, capsys, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        load(store)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    registered = store.get_feature_view("view")
    keys = [key for key, *_ in stored_rows(registered, TABLE)]
    read = store.provider.online_store.online_read(store.config, registered, keys, ["double"])
    assert [event for event, _ in read] == [NOON] * 3
    assert [set(values) for _, values in read] == [{"double"}] * 3


def test_a_view_with_lists_goes_through_feasts_own_conversion(tmp_path, capsys):
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE.append_column("many", pa.array([[1.0], [2.0, 3.0], [4.0]], pa.list_(pa.float64()))), path)
    opened = open_store(tmp_path)
    opened.apply([*made_entities(), view(path, Field(name="many", dtype=Array(Float64)))])
    complete = pq.read_table(path).set_column(3, "created", pa.array([NOON] * 3, pa.timestamp("us", "UTC")))
    pq.write_table(complete, path)
    load(opened)
    found = opened.get_online_features(["view:many"], {"code": [2], "name": ["é"]}).to_dict()
    assert found["many"] == [[2.0, 3.0]]


def test_readers_do_not_wait_for_a_writer(store, tmp_path, capsys):
    load(store)
    writer = sqlite3.connect(tmp_path / "online.db", isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    try:
        answers = []
        reader = threading.Thread(target=lambda: answers.append(online(store)), daemon=True)
        reader.start()
        reader.join(timeout=30)
        assert answers
        assert answers[0]["small"] == [7, 0, -1, None]
    finally:
        writer.execute("ROLLBACK")
        writer.close()


def test_a_dropped_view_loses_its_rows_and_teardown_removes_the_file(store, tmp_path, capsys):
    load(store)
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    with sqlite3.connect(tmp_path / "online.db") as connection:
        assert connection.execute(tables).fetchall() == [("rows_rows_view",)]
    connection.close()
    store.apply([], objects_to_delete=[store.get_feature_view("view")], partial=False)
    with sqlite3.connect(tmp_path / "online.db") as connection:
        assert connection.execute(tables).fetchall() == []
    connection.close()
    store.teardown()
    assert list(tmp_path.glob("online.db*")) == []

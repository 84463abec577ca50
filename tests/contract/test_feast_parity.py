"""The ASOF offline store answers as stock Feast's `duckdb` store does, value by value, on random histories."""

from __future__ import annotations

import math
import struct
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.contract import feast_histories as made

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table", "ignore:On demand feature view", "ignore:Saving")

FEATURES = [
    "prices:high",
    "prices:low",
    "prices:count",
    "prices:label",
    "news:tone",
    "news:headline",
    "facts:shares",
    "spread:spread",
    "weighted:weighted",
    "weighted:weight_twice",
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity")
    made.history(0, folder)
    return made.repository(folder)


@pytest.fixture(scope="module")
def stores(repository):
    return repository.store(made.OURS), repository.store(made.STOCK)


def exact(value: Any) -> Any:
    """A value with every bit of a float, and NaN of a DataFrame as the NULL it stands for."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float):
        return struct.pack("<d", value)
    return pd.Timestamp(value).tz_convert("UTC").value if isinstance(value, datetime) else value


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Rows by their number: stock Feast gives them in any order."""
    rows = [{name: exact(value) for name, value in row.items()} for row in table.to_pylist()]
    return sorted(rows, key=lambda row: row["number"])


def asked(store, entities, features=FEATURES, **options) -> pa.Table:
    return store.get_historical_features(entities.copy(), features, **options).to_arrow()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("by_creation", [False, True])
def test_every_value_of_three_views_and_two_on_demand_views_is_the_same(repository, stores, seed, by_creation):
    history = made.history(seed, repository.folder)
    ours, stock = (asked(s, history.entities, filter_by_created_timestamp=by_creation) for s in stores)
    assert ours.column_names == stock.column_names
    assert rows_of(ours) == rows_of(stock)
    for name in ("high", "headline", "shares", "spread", "weighted"):
        assert 0 < ours.column(name).null_count < ours.num_rows, "a comparison of nothing"


def test_counting_a_row_from_its_creation_on_changes_answers(repository, stores):
    history = made.history(3, repository.folder)
    ours, _ = stores
    plain, late = (rows_of(asked(ours, history.entities, filter_by_created_timestamp=by)) for by in (False, True))
    assert plain != late


@pytest.mark.parametrize("service", ["everything", "some"])
@pytest.mark.parametrize("full", [False, True])
def test_services_and_full_names_are_the_same(repository, stores, service, full):
    history = made.history(11, repository.folder)
    ours, stock = (asked(s, history.entities, s.get_feature_service(service), full_feature_names=full) for s in stores)
    assert ours.column_names == stock.column_names
    assert ("prices__count" if full else "count") in ours.column_names
    assert rows_of(ours) == rows_of(stock)


def test_types_are_those_of_stock_feast(repository, stores):
    history = made.history(12, repository.folder)
    ours, stock = (asked(s, history.entities) for s in stores)
    features = [name.split(":")[1] for name in FEATURES]
    assert [ours.schema.field(name).type for name in features] == [stock.schema.field(name).type for name in features]


def test_a_frame_of_the_only_time_column_under_another_name_is_the_same(repository, stores):
    history = made.history(13, repository.folder)
    entities = history.entities.rename(columns={"event_timestamp": "asked_at"})
    ours, stock = (asked(s, entities) for s in stores)
    assert rows_of(ours) == rows_of(stock)


def test_microseconds_and_other_zones_mean_the_same_instants(repository, stores):
    history = made.history(14, repository.folder)
    entities = history.entities.copy()
    entities["event_timestamp"] = (
        entities["event_timestamp"].dt.tz_convert("Asia/Tokyo").astype("datetime64[us, Asia/Tokyo]")
    )
    ours, stock = (asked(s, entities) for s in stores)
    assert rows_of(ours) == rows_of(stock)


@pytest.mark.parametrize("hours", [(0, 24), (3, 5), (4, 4), (20, 2)])
@pytest.mark.parametrize("seed", [21, 22])
def test_the_newest_rows_of_a_window_are_the_same(repository, stores, seed, hours):
    made.history(seed, repository.folder)
    start, end = (made.START + timedelta(hours=hour) for hour in hours)

    def newest(store):
        view = store.get_feature_view("prices")
        job = store.provider.offline_store.pull_latest_from_table_or_query(
            store.config, view.batch_source, ["kind", "symbol"], ["high", "label"], "at_time", "written_at", start, end
        )
        return sorted_rows(job.to_arrow())

    ours, stock = (newest(store) for store in stores)
    assert ours == stock
    assert bool(ours) == (hours != (20, 2))


@pytest.mark.parametrize("bounds", [(None, None), (2, None), (None, 7), (2, 7)])
def test_all_rows_of_a_window_are_the_same(repository, stores, bounds):
    made.history(31, repository.folder)
    start, end = (None if hour is None else made.START + timedelta(hours=hour) for hour in bounds)

    def every(store):
        view = store.get_feature_view("news")
        job = store.provider.offline_store.pull_all_from_table_or_query(
            store.config, view.batch_source, ["ticker"], ["raw_tone"], "at_time", "written_at", start, end
        )
        return sorted_rows(job.to_arrow())

    ours, stock = (every(store) for store in stores)
    assert ours == stock
    assert ours


def sorted_rows(table: pa.Table) -> list[tuple]:
    return sorted((tuple(exact(value) for value in row.values()) for row in table.to_pylist()), key=repr)


@pytest.mark.parametrize("view", ["prices", "news", "facts"])
def test_the_same_rows_are_loaded_online(repository, stores, view, capsys):
    made.history(41, repository.folder)
    path = repository.folder / f"{view}.parquet"
    if view != "facts":  # Feast cannot load a missing key, nor stock `sqlite` a missing time of writing
        rows = [row | {"written_at": row["written_at"] or made.START} for row in pq.read_table(path).to_pylist()]
        complete = [row for row in rows if row.get("ticker", row.get("symbol")) and row.get("kind", "") is not None]
        pq.write_table(made.table(complete, made.PRICES if view == "prices" else made.NEWS), path)
    loaded = []
    for store in stores:
        store.materialize(made.START, made.START + timedelta(hours=9), feature_views=[view])
        names = [f"{view}:{feature.name}" for feature in store.get_feature_view(view).features]
        keys = {"symbol": list(made.SYMBOLS) * 2, "kind": [kind for kind in made.CLASSES for _ in made.SYMBOLS]}
        keys = keys if view == "prices" else {"symbol": list(made.SYMBOLS)}
        loaded.append(store.get_online_features(names, keys).to_dict())
    capsys.readouterr()
    ours, stock = loaded
    assert ours == stock
    assert any(value is not None for name, values in ours.items() for value in values if name not in ("symbol", "kind"))


def test_an_appended_batch_leaves_the_same_rows(repository, stores):
    batch = pa.table(
        {"symbol": ["AAA", "ZZZ"], "at_time": [made.START, made.START], "shares": [7, None]},
        schema=pa.schema(list(made.FACTS.items())),
    )
    written = []
    for store in stores:
        made.history(51, repository.folder)
        store.write_to_offline_store("facts", batch.to_pandas(), reorder_columns=False)
        written.append(sorted_rows(pq.read_table(repository.folder / "facts.parquet")))
    ours, stock = written
    assert ours == stock
    assert len(ours) > 40

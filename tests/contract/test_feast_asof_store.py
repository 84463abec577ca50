"""What the ASOF offline store promises beyond stock Feast: order, one answer to ties, files, windows, named errors."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureService, FeatureView, Field
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.types import Float64, String

from market.errors import FeatureError
from tests.contract import feast_histories as made

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table", "ignore:On demand feature view", "ignore:Saving")

FEATURES = ["prices:high", "prices:label", "news:tone", "facts:shares", "spread:spread"]


@pytest.fixture
def repository(tmp_path):
    made.history(1, tmp_path)
    return made.repository(tmp_path)


@pytest.fixture
def store(repository):
    return repository.store(made.OURS)


def twin(history: made.History, *, created_by_then: bool) -> list[tuple]:
    """High and tone of each entity row, by looking at every row: the contract in five lines."""

    def best(rows, keys, ttl, row, feature):
        at = row["event_timestamp"].to_pydatetime()
        known = [
            (one["at_time"], one["written_at"] or pd.Timestamp.min.tz_localize("UTC"), number, one)
            for number, one in enumerate(rows)
            if all(one[own] == row[name] for own, name in keys.items())
            and one["at_time"] is not None
            and one["at_time"] <= at <= one["at_time"] + ttl
            and (not created_by_then or (one["written_at"] is not None and one["written_at"] <= at))
        ]
        return max(known, key=lambda one: one[:3])[3][feature] if known else None

    return [
        (
            best(history.prices, {"kind": "kind", "symbol": "symbol"}, made.TTL_PRICES, row, "high"),
            best(history.news, {"ticker": "symbol"}, made.TTL_NEWS, row, "raw_tone"),
        )
        for row in history.entities.to_dict("records")
    ]


def pairs(table: pa.Table) -> list[tuple]:
    return list(zip(table.column("high").to_pylist(), table.column("tone").to_pylist(), strict=True))


@pytest.mark.parametrize("by_creation", [False, True])
@pytest.mark.parametrize("batch_rows", [7, 500_000])
def test_answers_are_the_brute_force_twins_in_the_order_of_the_entity_rows(repository, by_creation, batch_rows):
    history = made.history(61, repository.folder, rows=400, asked=500)
    store = repository.store(made.OURS, batch_rows=batch_rows)
    job = store.get_historical_features(
        history.entities, ["prices:high", "news:tone"], filter_by_created_timestamp=by_creation
    )
    table = job.to_arrow()
    assert table.column("number").to_pylist() == list(range(505))
    assert pairs(table) == twin(history, created_by_then=by_creation)


def test_of_rows_equal_in_key_time_and_creation_the_last_in_the_file_answers(repository, store):
    rows = [made.price_row(made.random.Random(1)) | {"kind": "etf", "symbol": "AAA"} for _ in range(300)]
    same = [row | {"at_time": made.START, "written_at": made.START, "count": n} for n, row in enumerate(rows)]
    pq.write_table(made.table(same, made.PRICES), repository.folder / "prices.parquet", row_group_size=13)
    entities = pd.DataFrame({"kind": ["etf"], "symbol": ["AAA"], "event_timestamp": [made.START]})
    assert store.get_historical_features(entities, ["prices:count"]).to_arrow().column("count").to_pylist() == [299]
    source = store.get_feature_view("prices").batch_source
    newest = store.provider.offline_store.pull_latest_from_table_or_query(
        store.config, source, ["kind", "symbol"], ["count"], "at_time", "written_at", made.START, made.START
    )
    assert newest.to_arrow().column("count").to_pylist() == [299]


def test_a_partial_key_map_keeps_the_other_key(repository, store):
    """Stock Feast joins by the mapped key alone and answers an ETF with a stock's price."""
    history = made.history(71, repository.folder)
    mapped = store.get_feature_view("prices").with_join_key_map({"symbol": "peer"})
    entities = history.entities.rename(columns={"symbol": "peer"})
    service = FeatureService(name="mapped", features=[mapped])
    store.apply([service])
    table = store.get_historical_features(entities, service).to_arrow()
    plain = store.get_historical_features(history.entities, ["prices:high"]).to_arrow()
    assert table.column("high").to_pylist() == plain.column("high").to_pylist()


def test_a_feature_whose_name_ends_in_y_is_there(repository, store):
    """Stock Feast drops every column that ends in `_y`."""
    rows = [made.price_row(made.random.Random(n)) | {"at_time": made.START, "high": float(n)} for n in range(20)]
    table = made.table(rows, made.PRICES).rename_columns([*list(made.PRICES)[:4], "proba_y", *list(made.PRICES)[5:]])
    pq.write_table(table, repository.folder / "odd.parquet")
    view = FeatureView(
        name="odd",
        entities=[store.get_entity("symbol")],
        schema=[Field(name="symbol", dtype=String), Field(name="proba_y", dtype=Float64)],
        source=made.source(repository.folder, "odd", "written_at"),
    )
    store.apply([view])
    entities = pd.DataFrame({"symbol": ["AAA"], "event_timestamp": [made.START]})
    (found,) = store.get_historical_features(entities, ["odd:proba_y"]).to_arrow().column("proba_y").to_pylist()
    assert found is not None


@pytest.mark.parametrize("batch_rows", [16, 500_000])
def test_an_answer_in_a_file_is_the_answer_in_memory_on_demand_features_included(repository, batch_rows, tmp_path):
    history = made.history(81, repository.folder)
    store = repository.store(made.OURS, batch_rows=batch_rows, staging_location=str(tmp_path / "staged"))
    job = store.get_historical_features(history.entities, FEATURES)
    expected = job.to_arrow()
    assert "spread" in expected.column_names
    path = tmp_path / "answers" / "saved.parquet"
    job.persist(SavedDatasetFileStorage(str(path)))
    assert pq.read_table(path).sort_by("number").equals(expected)
    assert [found.name for found in path.parent.iterdir()] == ["saved.parquet"]
    parts = job.to_remote_storage()
    assert len(parts) == (10 if batch_rows == 16 else 1)
    assert pa.concat_tables([pq.read_table(part) for part in parts]).sort_by("number").equals(expected)
    pd.testing.assert_frame_equal(job.to_df(), expected.to_pandas())


def test_a_saved_dataset_is_not_overwritten_unless_told_and_reads_back(repository, store, tmp_path):
    history = made.history(82, repository.folder)
    storage = SavedDatasetFileStorage(str(tmp_path / "saved.parquet"))
    job = store.get_historical_features(history.entities, FEATURES)
    saved = store.create_saved_dataset(job, "training", storage)
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(storage)
    job.persist(storage, allow_overwrite=True)
    found = store.get_saved_dataset("training").to_df()
    assert len(found) == len(history.entities)
    assert saved.min_event_timestamp == history.entities["event_timestamp"].min()
    assert found["high"].notna().sum() == job.to_df()["high"].notna().sum() > 0


def test_entity_rows_can_come_from_a_parquet_file(repository, store, tmp_path):
    history = made.history(83, repository.folder)
    path = tmp_path / "entities.parquet"
    history.entities.to_parquet(path)
    from_file = store.get_historical_features(str(path), FEATURES).to_arrow()
    assert from_file.equals(store.get_historical_features(history.entities, FEATURES).to_arrow())


def test_no_entity_rows_give_no_rows_and_all_columns(repository, store):
    history = made.history(84, repository.folder)
    table = store.get_historical_features(history.entities.head(0), FEATURES).to_arrow()
    assert table.num_rows == 0
    assert table.column_names == [*history.entities.columns, "high", "label", "low", "tone", "shares", "spread"]


def test_unknown_keys_get_nulls(repository, store):
    entities = pd.DataFrame({"kind": ["etf"], "symbol": ["nobody"], "event_timestamp": [made.START]})
    entities["event_timestamp"] = pd.to_datetime(entities["event_timestamp"], utc=True)
    (row,) = store.get_historical_features(entities, FEATURES).to_arrow().to_pylist()
    assert {row[name] for name in ("high", "label", "tone", "shares", "spread")} == {None}


def test_a_row_without_time_of_writing_is_loaded_online(repository, store, capsys):
    row = made.price_row(made.random.Random(1)) | {"kind": "etf", "symbol": "AAA", "high": 1.5}
    rows = [row | {"at_time": made.START, "written_at": None}]
    pq.write_table(made.table(rows, made.PRICES), repository.folder / "prices.parquet")
    store.materialize(made.START, made.START + timedelta(hours=1), feature_views=["prices"])
    found = store.get_online_features(["prices:high"], {"kind": ["etf", "etf"], "symbol": ["AAA", "BBB"]}).to_dict()
    assert found["high"] == [1.5, None]


def test_several_files_are_one_table(repository, store):
    """A view over a glob pattern answers as over the one file."""
    history = made.history(85, repository.folder)
    whole = store.get_historical_features(history.entities, ["prices:high", "prices:label"]).to_arrow()
    rows = pq.read_table(repository.folder / "prices.parquet")
    (repository.folder / "parts").mkdir()
    for number, start in enumerate(range(0, rows.num_rows, 40)):
        pq.write_table(rows.slice(start, 40), repository.folder / "parts" / f"{number}.parquet", row_group_size=9)
    view = store.get_feature_view("prices")
    view.batch_source.file_options.uri = str(repository.folder / "parts" / "*.parquet")
    store.apply([view])
    again = repository.store(made.OURS, batch_rows=50)
    assert again.get_historical_features(history.entities, ["prices:high", "prices:label"]).to_arrow().equals(whole)


def test_rows_outside_the_window_are_not_read(repository, store):
    """The file's row groups are of one hour each; all but the last are then overwritten with garbage."""
    hours = [made.price_row(made.random.Random(n)) | {"kind": "etf", "symbol": "AAA"} for n in range(10)]
    rows = [row | {"at_time": made.START + timedelta(hours=n), "high": float(n)} for n, row in enumerate(hours)]
    path = repository.folder / "prices.parquet"
    pq.write_table(made.table(rows, made.PRICES), path, row_group_size=1)
    metadata = pq.read_metadata(path)
    group = metadata.row_group(9)
    first = min(group.column(n).dictionary_page_offset or group.column(n).data_page_offset for n in range(8))
    damaged = bytearray(path.read_bytes())
    damaged[4:first] = b"\xff" * (first - 4)
    path.write_bytes(damaged)
    newest = store.provider.offline_store.pull_latest_from_table_or_query(
        store.config,
        store.get_feature_view("prices").batch_source,
        ["kind", "symbol"],
        ["high"],
        "at_time",
        "written_at",
        made.START + timedelta(hours=9),
        made.START + timedelta(hours=24),
    )
    assert newest.to_arrow().column("high").to_pylist() == [9.0]
    late = pd.DataFrame({"kind": ["etf"], "symbol": ["AAA"], "event_timestamp": [made.START + timedelta(hours=12)]})
    assert store.get_historical_features(late, ["prices:high"]).to_arrow().column("high").to_pylist() == [9.0]
    early = late.assign(event_timestamp=[made.START + timedelta(hours=3)])
    with pytest.raises(FeatureError, match="cannot be read"):
        store.get_historical_features(early, ["prices:high"]).to_arrow()


GOOD = pd.DataFrame({"kind": ["etf"], "symbol": ["AAA"], "event_timestamp": [made.START]})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop(columns="symbol"), "without symbol"),
        (lambda frame: frame.drop(columns="event_timestamp"), "without event_timestamp"),
        (lambda frame: frame.assign(symbol=[None]), "NULL in symbol"),
        (lambda frame: frame.assign(event_timestamp=pd.to_datetime([None], utc=True)), "NULL in event_timestamp"),
        (lambda frame: frame.assign(event_timestamp=["2024-03-01"]), "not a time with a zone"),
        (lambda frame: frame.assign(high=[1.0]), "already has high"),
        (lambda frame: frame.assign(symbol=[17]), "entity column symbol is int64"),
        (lambda frame: pd.concat([frame, frame.assign(symbol=[17])]), "mixed types"),
        (lambda frame: "/nowhere/entities.parquet", "no entity rows at"),
        (lambda frame: "SELECT 'AAA' AS symbol", "SQL is not run"),
    ],
)
def test_an_unusable_entity_frame_is_refused_by_name_with_a_remedy(store, change, words):
    with pytest.raises(FeatureError, match=words) as caught:
        store.get_historical_features(change(GOOD.copy()), ["prices:high"]).to_arrow()
    assert caught.value.remedy


def test_a_naive_time_is_refused_where_feast_is_told_not_to_guess(repository):
    store = repository.store(made.OURS)
    store.config.coerce_tz_aware = False
    naive = GOOD.assign(event_timestamp=GOOD["event_timestamp"].dt.tz_localize(None))
    with pytest.raises(FeatureError, match="not a time with a zone") as caught:
        store.get_historical_features(naive, ["prices:high"])
    assert "tz_localize" in caught.value.remedy


def test_a_range_without_entity_rows_is_refused(store):
    with pytest.raises(FeatureError, match="needs entity rows"):
        store.get_historical_features(features=["prices:high"], start_date=made.START, end_date=made.START)


def test_a_missing_file_and_a_missing_column_are_named(repository, store):
    pq.write_table(
        pq.read_table(repository.folder / "prices.parquet").drop_columns("high"), repository.folder / "x.parquet"
    )
    (repository.folder / "x.parquet").replace(repository.folder / "prices.parquet")
    with pytest.raises(FeatureError, match="has no column high"):
        store.get_historical_features(GOOD, ["prices:high"])
    Path(repository.folder / "prices.parquet").unlink()
    with pytest.raises(FeatureError, match=r"no parquet file at .*prices\.parquet"):
        store.get_historical_features(GOOD, ["prices:high"])


def test_an_append_of_other_columns_is_refused_and_changes_nothing(repository, store):
    before = (repository.folder / "facts.parquet").read_bytes()
    view = store.get_feature_view("facts")
    with pytest.raises(FeatureError, match="are not those of"):
        store.provider.offline_write_batch(store.config, view, pa.table({"symbol": ["AAA"]}), None)
    assert (repository.folder / "facts.parquet").read_bytes() == before
    assert not list(repository.folder.glob(".facts*"))


def test_a_join_beyond_the_memory_limit_is_named(repository, tmp_path):
    history = made.history(91, repository.folder)
    store = repository.store(made.OURS, memory_limit="1KB")
    with pytest.raises(FeatureError, match="needs more than 1KB"):
        store.get_historical_features(history.entities, FEATURES).to_arrow()

"""Feast's own BigQuery store on the emulator: apply, historical, materialise, online, whole tables.

The oracle is the embedded engine on the same rows, and the rows themselves.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from feast import FeatureStore
from google.cloud import bigquery

from configs.settings import Settings, load_settings
from feature_repo import store as feast_store
from feature_repo.services import FEATURE_VIEW, SERVICES, feature_names
from tests.integration.feast_rows import SYMBOLS, TIME, bars, put, with_features, with_labels
from tests.system.emulator import Emulator

pytestmark = pytest.mark.system

PROJECT = "feast-on-bigquery"
TABLE = "ml_models.walk_forward_features_v2"
KEY = ["asset_type", "symbol", "datetime"]
KEYS = bars()
FEATURES, LABELS = with_features(KEYS), with_labels(KEYS)


@dataclass(frozen=True)
class Both:
    """The same rows behind both engines, applied and materialised."""

    bigquery: Settings
    embedded: Settings
    client: bigquery.Client
    store: FeatureStore


@pytest.fixture(scope="module")
def both(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    client = emulator.client(PROJECT)
    client.create_dataset("ml_models", exists_ok=True)
    labels = LABELS.drop("created_timestamp", "bar_known_at")
    upload(client, FEATURES.drop("known_at").join(labels, on=KEY))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("feast_bigquery")))
        patch.setenv("TRADEHITS__WAREHOUSE__PROJECT", PROJECT)
        embedded = load_settings("test")
        patch.setenv("BIGQUERY_EMULATOR_HOST", emulator.host)
        patch.setenv("TRADEHITS__FEAST__TTL_DAYS", str(embedded.feast.ttl_days))
        on_bigquery = load_settings("bigquery")
    put(embedded, FEATURES, LABELS)
    for settings in (embedded, on_bigquery):
        feast_store.apply(settings)
        feast_store.materialize(settings)
    yield Both(on_bigquery, embedded, client, feast_store.open_store(on_bigquery))


def upload(client: bigquery.Client, rows: pl.DataFrame) -> None:
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    buffer.seek(0)
    config = bigquery.LoadJobConfig(source_format=bigquery.SourceFormat.PARQUET)
    client.load_table_from_file(buffer, f"{PROJECT}.{TABLE}", job_config=config).result()


@pytest.mark.parametrize("asset_type", ["stocks", "etf", "crypto"])
def test_whole_tables_and_labels_are_those_of_the_embedded_engine(both: Both, asset_type: str) -> None:
    found = feast_store.read_features(both.bigquery, "default", asset_type, store=both.store)
    assert found.equals(feast_store.read_features(both.embedded, "default", asset_type))
    assert found.height == KEYS.filter(pl.col("asset_type") == asset_type).height
    labels = feast_store.read_labels(both.bigquery, asset_type, store=both.store)
    assert labels.equals(feast_store.read_labels(both.embedded, asset_type))


@pytest.mark.parametrize("service", SERVICES)
def test_the_newest_bars_online_are_those_of_the_embedded_engine(both: Both, service: str) -> None:
    for asset_type in ("stocks", "etf", "crypto"):
        symbols = [*(symbol for kind, symbol in SYMBOLS if kind == asset_type), "NOPE"]
        found = feast_store.read_online(both.bigquery, service, asset_type, symbols, store=both.store)
        expected = feast_store.read_online(both.embedded, service, asset_type, symbols)
        assert found.rows.equals(expected.rows)
        assert found.missing == ("NOPE",)


def asked() -> pl.DataFrame:
    """Instants at, before and after closes and expiries, an unknown symbol among them."""
    close = KEYS.filter(pl.col("datetime").dt.day().is_in([2, 11, 28]))
    shifts = [timedelta(0), timedelta(microseconds=-1), timedelta(days=14), timedelta(days=14, microseconds=1)]
    frames = [close.with_columns(event_timestamp=pl.col("bar_known_at") + shift) for shift in shifts]
    unknown = pl.DataFrame(
        {"asset_type": ["etf"], "symbol": ["NOPE"], "event_timestamp": [datetime(2024, 6, 1, tzinfo=UTC)]}
    )
    columns = ["asset_type", "symbol", pl.col("event_timestamp").cast(TIME)]
    return pl.concat([*(frame.select(columns) for frame in frames), unknown.select(columns)]).unique()


def test_point_in_time_reads_of_a_frame_are_those_of_the_embedded_engine(both: Both) -> None:
    frame = asked()
    found = feast_store.read_historical(both.bigquery, "default", frame, store=both.store)
    expected = feast_store.read_historical(both.embedded, "default", frame)
    assert found.equals(expected)
    assert 0 < found["cci"].null_count() < found.height


def test_a_point_in_time_read_takes_its_entity_rows_from_sql(both: Both) -> None:
    sql = (
        "SELECT asset_type, symbol, TIMESTAMP_ADD(bar_known_at, INTERVAL 1 HOUR) AS event_timestamp "
        f"FROM `{PROJECT}.{TABLE}` WHERE symbol IN ('SPY', 'BTC/USDT')"
    )
    references = [f"{FEATURE_VIEW}:{name}" for name in ("rsi", "volume_ratio", "growth_score")]
    references.append("rsi_volume_interaction:rsi_volume_interaction")
    answer = pl.DataFrame(both.store.get_historical_features(sql, references).to_arrow())
    frame = KEYS.filter(pl.col("symbol").is_in(["SPY", "BTC/USDT"])).select(
        "asset_type", "symbol", event_timestamp=(pl.col("bar_known_at") + timedelta(hours=1)).cast(TIME)
    )
    expected = feast_store.read_historical(both.embedded, "default", frame)
    order = ["asset_type", "symbol", "event_timestamp"]
    names = ["rsi", "volume_ratio", "growth_score", "rsi_volume_interaction"]
    found = answer.with_columns(pl.col("event_timestamp").cast(TIME), pl.col("growth_score").cast(pl.Float64))
    assert found.select(*order, *names).sort(order).equals(expected.select(*order, *names).sort(order))
    assert found.height == 82
    assert set(names) <= set(feature_names("default"))


def test_nothing_is_copied_on_publication_and_the_rows_are_counted(both: Both) -> None:
    from warehouse.engines import open_warehouse

    with open_warehouse(both.bigquery).read() as read:
        assert feast_store.publish(read, both.bigquery).rows == KEYS.height == 138
    assert list((both.bigquery.paths.state / "feast").glob("*.parquet")) == []


def test_no_entity_table_is_left_behind(both: Both) -> None:
    staging = both.bigquery.warehouse.bigquery.staging_dataset
    assert [table.table_id for table in both.client.list_tables(f"{PROJECT}.{staging}")] == []

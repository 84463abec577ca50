"""Publishing the feature table from the real warehouse to the files that Feast reads."""

import threading
from datetime import timedelta

import polars as pl
import pytest

from configs.settings import load_settings
from feature_repo import store as feast_store
from feature_repo.publication import feast_files, published_files
from feature_repo.services import FEATURE_VIEW, LABEL_VIEW, feature_names
from market.errors import FeatureError
from tests.integration.feast_rows import bars, with_features, with_labels
from warehouse.engines import open_warehouse
from warehouse.warehouse import Write

TABLE = "ml_models.walk_forward_features_v2"
KEY = ["asset_type", "symbol", "datetime"]


def table_rows(seed: int = 1) -> pl.DataFrame:
    """Rows as the feature build leaves them: no NULL in flags, labels beside the features."""
    keys = bars()
    features = (
        with_features(keys, seed=seed, null_share=0.0)
        .drop("known_at")
        .with_columns(
            pl.when(pl.col("rsi") > 100).then(None).otherwise(pl.col("rsi")).alias("rsi"),
            pl.lit(True).alias("is_warm"),
            pl.lit(0, pl.Int64).alias("fall_cycle_start"),
            pl.lit("CONSOLIDATION").alias("trend_regime"),
            pl.lit(1.0).alias("volume_ratio_clean"),
        )
    )
    labels = with_labels(keys).drop("created_timestamp", "bar_known_at")
    return features.join(labels, on=KEY).sample(fraction=1.0, shuffle=True, seed=3)


@pytest.fixture
def settings():
    return load_settings("test")


@pytest.fixture
def warehouse(settings):
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    return warehouse


def publish(warehouse, settings, rows: pl.DataFrame):
    warehouse.write([Write(TABLE, rows=rows.to_arrow(), mode="replace")])
    with warehouse.read() as read:
        return feast_store.publish(read, settings)


def test_what_was_published_is_what_training_and_inference_read(warehouse, settings):
    rows = table_rows()
    published = publish(warehouse, settings, rows)
    feast_store.apply(settings)
    feast_store.materialize(settings)
    assert published.rows == rows.height == 138

    stocks = rows.filter(pl.col("asset_type") == "stocks").sort(KEY)
    features = feast_store.read_features(settings, "default", "stocks")
    stored = [name for name in feature_names("default") if name in rows.columns]
    assert features.select(*KEY, "bar_known_at", *stored).equals(
        stocks.select(*KEY, "bar_known_at", pl.col(stored).cast(pl.Float64))
    )
    labels = feast_store.read_labels(settings, "stocks")
    assert labels.equals(stocks.select(labels.columns))
    online = feast_store.read_online(settings, "default", "stocks", ["AAPL"]).rows
    assert online.equals(features.filter(pl.col("symbol") == "AAPL").tail(1).select(online.columns))


def test_the_newest_days_of_each_class_stand_last_and_features_hold_no_label(warehouse, settings):
    publish(warehouse, settings, table_rows())
    features = pl.read_parquet(feast_files(settings).parquet(FEATURE_VIEW))
    labels = pl.read_parquet(feast_files(settings).parquet(LABEL_VIEW))
    newest = pl.col("bar_known_at").max().over("asset_type")
    recent = features.select(pl.col("bar_known_at") >= newest - timedelta(days=7)).to_series()
    # Eight daily bars of AAPL, SPY and BTC/USDT, and the one of NEW/USDT; GONE ended years before AAPL.
    assert recent.to_list() == [False] * (138 - 25) + [True] * 25
    assert labels.select(KEY).equals(features.select(KEY))
    assert not {"target_direction", "forward_return_pct", "label_known_at", "data_split"} & set(features.columns)
    assert (features["known_at"] == features["bar_known_at"]).all()


def test_a_publication_waits_for_readers_and_gives_up_with_the_old_files_in_place(warehouse, settings, monkeypatch):
    publish(warehouse, settings, table_rows(seed=1))
    before = feast_files(settings).parquet(FEATURE_VIEW).read_bytes()
    monkeypatch.setenv("TRADEHITS__WAREHOUSE__LOCK_TIMEOUT_SECONDS", "0.2")
    impatient = load_settings("test")
    with published_files(settings), pytest.raises(FeatureError, match="in use"):
        publish(warehouse, impatient, table_rows(seed=2))
    assert feast_files(settings).parquet(FEATURE_VIEW).read_bytes() == before
    assert [path.name for path in feast_files(settings).directory.glob(".walk*")] == []
    publish(warehouse, impatient, table_rows(seed=2))
    assert feast_files(settings).parquet(FEATURE_VIEW).read_bytes() != before


def test_readers_in_several_threads_share_the_files(warehouse, settings):
    publish(warehouse, settings, table_rows())
    both = threading.Barrier(2, timeout=30)
    seen = []

    def reader():
        with published_files(settings) as files:
            both.wait()
            seen.append(files.parquet(FEATURE_VIEW).exists())

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True, True]

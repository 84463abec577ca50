"""Small feature and label tables, written where Feast looks for published copies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from configs.settings import Settings
from feature_repo.publication import feast_files
from feature_repo.services import FEATURE_VIEW, LABEL_VIEW, SERVICES, stored_columns
from feature_repo.views import INTEGER_COLUMNS

STORED = tuple(dict.fromkeys(column for service in SERVICES for column in stored_columns(service)))
TIME = pl.Datetime("us", "UTC")
WRITTEN_AT = datetime(2024, 7, 1, 3, 4, 5, tzinfo=UTC)
SYMBOLS = {
    ("stocks", "AAPL"): (datetime(2013, 2, 1, tzinfo=UTC), 40),
    ("stocks", "GONE"): (datetime(2005, 5, 2, tzinfo=UTC), 15),
    ("etf", "SPY"): (datetime(2024, 5, 20, tzinfo=UTC), 40),
    ("crypto", "BTC/USDT"): (datetime(2024, 5, 20, tzinfo=UTC), 42),
    ("crypto", "NEW/USDT"): (datetime(2024, 6, 30, tzinfo=UTC), 1),
}
"""Asset class and symbol -> first bar and number of daily bars: replayed, delisted, live and just listed ones."""


def bars(symbols: dict[tuple[str, str], tuple[datetime, int]] = SYMBOLS) -> pl.DataFrame:
    """Keys of consecutive daily bars, known 21 h 15 min (crypto: 24 h) after their stamp, sorted."""
    rows = [
        (asset_type, symbol, first + timedelta(days=day))
        for (asset_type, symbol), (first, days) in symbols.items()
        for day in range(days)
    ]
    frame = pl.DataFrame(rows, schema={"asset_type": pl.String, "symbol": pl.String, "datetime": TIME}, orient="row")
    minutes = pl.when(pl.col("asset_type") == "crypto").then(24 * 60).otherwise(21 * 60 + 15)
    known_at = pl.col("datetime") + pl.duration(minutes=minutes)
    return frame.with_columns(known_at.cast(TIME).alias("bar_known_at")).sort("asset_type", "symbol", "datetime")


def with_features(keys: pl.DataFrame, *, seed: int = 1, null_share: float = 0.1) -> pl.DataFrame:
    """Random stored columns beside the keys; every column has NULLs, growth_score (an integer) too."""
    random = np.random.default_rng(seed)
    rows = keys.height
    flags = {name: random.integers(0, 2, rows) for name in STORED if name in INTEGER_COLUMNS}
    flags["growth_score"] = random.integers(0, 5, rows) * 25
    values = {name: random.normal(scale=100, size=rows) for name in STORED if name not in INTEGER_COLUMNS}
    values["roc"] = random.choice([-0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, -1 / 3], rows)
    columns = [
        pl.Series(name, column)
        .to_frame()
        .select(pl.when(pl.Series(random.random(rows) >= null_share)).then(pl.col(name)))
        for name, column in {**flags, **values}.items()
    ]
    return pl.concat([keys, *columns], how="horizontal").with_columns(
        pl.lit("wilder").alias("indicator_variant"),
        pl.lit(WRITTEN_AT).cast(TIME).alias("created_timestamp"),
        pl.col("bar_known_at").alias("known_at"),
    )


def with_labels(keys: pl.DataFrame) -> pl.DataFrame:
    """Labels that say which bar they belong to; the last bar of a symbol has none."""
    symbol = ["asset_type", "symbol"]
    following = pl.col("bar_known_at").shift(-1).over(symbol)
    number = pl.int_range(pl.len()).over(symbol)
    return keys.with_columns(
        pl.when(following.is_not_null()).then(number % 2).cast(pl.Int64).alias("target_direction"),
        pl.when(following.is_not_null()).then(number / 8).alias("forward_return_pct"),
        following.alias("label_known_at"),
        pl.lit("VALIDATE").alias("data_split"),
        pl.lit(WRITTEN_AT).cast(TIME).alias("created_timestamp"),
    )


def put(settings: Settings, features: pl.DataFrame, labels: pl.DataFrame | None = None) -> None:
    """Write the published files of a profile."""
    files = feast_files(settings)
    files.directory.mkdir(parents=True, exist_ok=True)
    labels = (
        with_labels(features.select("asset_type", "symbol", "datetime", "bar_known_at")) if labels is None else labels
    )
    features.write_parquet(files.parquet(FEATURE_VIEW))
    labels.write_parquet(files.parquet(LABEL_VIEW))

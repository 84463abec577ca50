"""Stored predictions of a model whose accuracy is known day by day, for the tests of detectors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa

from monitoring.conditions import Moment
from tests.contract.table_rows import rows_of
from warehouse.champions import PublishedChampion, champion_write
from warehouse.warehouse import Warehouse, Write

RECORD = "ml_models.walk_forward_predictions_v2"
LIVE = "ml_models.realtime_predictions"
FEATURES = "ml_models.walk_forward_features_v2"
FIRST = datetime(2023, 1, 1, tzinfo=UTC)
BASELINE, SYMBOLS = 200, 60
START = FIRST + timedelta(days=BASELINE)
V1, V2 = "walk_forward_stocks/1", "walk_forward_stocks/2"


def predictions(
    accuracy: list[float], *, symbols: int = SYMBOLS, seed: int = 1, unsure_from: int | None = None
) -> pl.DataFrame:
    """One row a symbol and day, right as often as the day's accuracy says; probabilities are 0.6 sure."""
    generator = np.random.default_rng(seed)
    shape = (len(accuracy), symbols)
    sure = generator.uniform(0.55, 0.65, shape)
    if unsure_from is not None:
        sure[unsure_from:] = generator.uniform(0.5, 0.51, (len(accuracy) - unsure_from, symbols))
    calls_up, right = generator.random(shape) < 0.5, generator.random(shape) < np.array(accuracy)[:, None]
    stamps = np.repeat([FIRST + timedelta(days=day) for day in range(len(accuracy))], symbols)
    return pl.DataFrame(
        {
            "asset_type": "stocks",
            "symbol": [f"S{i:03d}" for i in range(symbols)] * len(accuracy),
            "datetime": pl.Series(stamps.tolist(), dtype=pl.Datetime("us", "UTC")),
            "up_probability": np.where(calls_up, sure, 1 - sure).ravel(),
            "predicted_direction": calls_up.ravel().astype(int),
            "actual_direction": (calls_up == right).ravel().astype(int),
        }
    ).with_columns(
        bar_known_at=pl.col("datetime") + pl.duration(hours=21),
        label_known_at=pl.col("datetime") + pl.duration(hours=45),
    )


def store(warehouse: Warehouse, rows: pl.DataFrame, *, starts: datetime = START, version: str | None = V1) -> None:
    """The record: rows from `starts` on are of the model trained through it, the champion if `version` is given."""
    own = pl.col("bar_known_at") >= starts
    record = rows.with_columns(
        fold=pl.when(own).then(-1).otherwise(0),
        trained_through=pl.when(own).then(pl.lit(starts)).otherwise(pl.lit(FIRST - timedelta(days=1))),
    )
    writes = [Write(RECORD, rows=filled(RECORD, record), mode="replace")]
    if version:
        writes.append(champion_write(champion(version, starts)))
    warehouse.write(writes)


def store_live(warehouse: Warehouse, rows: pl.DataFrame, *, version: str = V1, made_hours: float = 22) -> None:
    def side(name: str) -> pl.Expr:
        return pl.when(pl.col(name).is_not_null()).then(
            pl.when(pl.col(name) == 1).then(pl.lit("UP")).otherwise(pl.lit("DOWN"))
        )

    key = ("asset_type", "symbol", "datetime")
    live = rows.select(
        *key,
        pl.format("{} {}", "symbol", "datetime").alias("prediction_id"),
        (pl.col("datetime") + pl.duration(hours=made_hours)).alias("created_at"),
        pl.col("up_probability").alias("ensemble_up_probability"),
        side("predicted_direction").alias("ensemble_direction"),
        side("actual_direction").alias("actual_direction"),
        pl.lit(version).alias("model_version"),
    )
    bars = rows.select(*key, "bar_known_at", "label_known_at")
    warehouse.write(
        [
            Write(LIVE, rows=filled(LIVE, live), mode="append"),
            Write(FEATURES, rows=filled(FEATURES, bars), mode="merge"),
        ]
    )


def filled(table: str, rows: pl.DataFrame) -> pa.Table:
    """Rows with every column of the table, as `rows_of` fills them, without a dictionary a row."""
    one = pl.DataFrame(rows_of(table, rows.head(1).to_dicts()))
    others = [
        pl.lit(one[name][0]).cast(one.schema[name]).alias(name) for name in one.columns if name not in rows.columns
    ]
    return rows.with_columns(others).select(one.columns).cast(dict(one.schema)).to_arrow()


def champion(version: str, trained_through: datetime) -> PublishedChampion:
    return PublishedChampion(
        *("stocks", version, "run", "default", "wilder", "slope", trained_through),
        *(0.6, 0.4, 0.65, 0.55, "{}", "change", datetime(2026, 1, 1, tzinfo=UTC)),
    )


def after(days: int) -> Moment:
    """When the outcomes of the first `days` days of the whole record are known, and those of the next day are not."""
    now = FIRST + timedelta(days=days, hours=22)
    return Moment("stocks", now.date(), now)

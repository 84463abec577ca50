"""A champion's record as it is published: its run's predictions, and bars closed since, scored by its bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from feature_repo import interactions
from feature_repo.services import INTERACTIONS
from market.assets import AssetType
from market.errors import IntegrityError
from registry.bundle import Bundle
from registry.store import RunStore
from registry.switch import predictions_file
from training.dataset import KEY
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import Warehouse

LIVE_FOLD = -1
"""Fold number of bars that no fold tested: they closed after the bundle was trained."""

CONTEXT = (
    *("close", "atr", "percent_change", "rsi", "macd_histogram", "adx", "growth_score", "in_rise_cycle"),
    *("rise_cycle_start", "pivot_high_flag", "pivot_low_flag", "golden_cross", "trend_regime"),
)
LABELS = ("target_direction", "forward_return_pct", "label_known_at")
_PROOF = ("fold", "fold_start", "trained_through", "up_probability", "bar_known_at", "data_split")


@dataclass(frozen=True)
class Record:
    """Rows ready for `walk_forward_predictions_v2`.

    Attributes:
        rows: One a key.
        appended: How many of them the run did not predict: bars closed since.
        missing: Predictions of the run that were left out, because their bar is not stored any more.
    """

    rows: pl.DataFrame
    appended: int
    missing: int


def run_predictions(store: RunStore, run_id: str) -> pl.DataFrame:
    """The out-of-sample predictions of a run, one row a key.

    Raises:
        RegistryError: The run or its artifact is gone.
    """
    return pl.read_parquet(predictions_file(store, run_id))


def record_of(warehouse: Warehouse, predictions: pl.DataFrame, bundle: Bundle) -> Record:
    """The record of a run, completed by what is known today.

    A prediction is never changed; a label that was not known yet is filled. Bars that the run did not predict and that
    were known at or after the bundle's `trained_through` are scored with the bundle: fold -1, whose start is
    `trained_through`.

    Args:
        warehouse: Gives the features as they are stored now.
        predictions: From `run_predictions`.
        bundle: Of the same run; its `model_version` is set.

    Raises:
        IntegrityError: None of the predicted bars is stored.
    """
    info = bundle.info
    stored = _stored_bars(warehouse, info.asset_type)
    known = stored.select(*KEY, *CONTEXT, *(pl.col(name).alias(f"{name}_now") for name in LABELS))
    predicted = predictions.select(*KEY, *LABELS, *_PROOF).join(known, on=KEY, how="inner")
    if predicted.is_empty():
        raise IntegrityError(
            f"none of the {predictions.height:,} bars that {info.model_version} predicted is stored",
            remedy="run `tradehits features`; if the bars are gone for good, train again",
        )
    is_open = pl.col("target_direction").is_null()
    predicted = predicted.with_columns(
        pl.when(is_open).then(pl.col(f"{name}_now")).otherwise(pl.col(name)).alias(name) for name in LABELS
    )
    since = stored.filter(pl.col("bar_known_at") >= info.trained_through).join(predictions, on=KEY, how="anti")
    appended = scored(warehouse, since, bundle)
    columns = (*KEY, *CONTEXT, *LABELS, *_PROOF)
    rows = pl.concat([predicted.select(columns), appended.select(columns)], how="vertical_relaxed")
    return Record(as_published(rows, bundle), appended.height, predictions.height - predicted.height)


def _stored_bars(warehouse: Warehouse, asset_type: AssetType) -> pl.DataFrame:
    columns = (*KEY, "bar_known_at", "data_split", *CONTEXT, *LABELS)
    sql = f"SELECT {', '.join(columns)} FROM `{FEATURES_TABLE}` WHERE asset_type = @asset_type"
    return pl.DataFrame(warehouse.query(sql, {"asset_type": asset_type}))


def scored(warehouse: Warehouse, bars: pl.DataFrame, bundle: Bundle) -> pl.DataFrame:
    """Bars with the bundle's probability and the proof that it was made without them."""
    info = bundle.info
    instant = pl.Datetime("us", "UTC")
    features = _features(warehouse, info.asset_type, bars, info.features)
    matrix = bars.join(features, on=KEY, how="left", maintain_order="left").select(
        pl.col(f"feature_{name}").cast(pl.Float32).fill_null(float("nan")) for name in info.features
    )
    return bars.with_columns(
        fold=pl.lit(LIVE_FOLD, dtype=pl.Int64),
        fold_start=pl.lit(info.trained_through).cast(instant),
        trained_through=pl.lit(info.trained_through).cast(instant),
        up_probability=pl.Series(bundle.predict(np.ascontiguousarray(matrix.to_numpy())), dtype=pl.Float64),
    )


def _features(warehouse: Warehouse, asset_type: AssetType, bars: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Keys and `feature_<name>` of bars, on-demand features computed by Feast's own functions."""
    stored = dict.fromkeys(column for name in names for column in INTERACTIONS.get(name, (name,)))
    sql = (
        f"SELECT {', '.join((*KEY, *stored))} FROM `{FEATURES_TABLE}` "
        "WHERE asset_type = @asset_type AND datetime >= @first"
    )
    first = bars["datetime"].min()
    if first is None:
        return bars.select(*KEY, *(pl.lit(None, pl.Float64).alias(f"feature_{name}") for name in names))
    frame = pl.DataFrame(warehouse.query(sql, {"asset_type": asset_type, "first": first}))
    made = []
    for name in names:
        if name in INTERACTIONS:
            inputs = frame.select(pl.col(column).cast(pl.Float64) for column in INTERACTIONS[name])
            values = getattr(interactions, name)(inputs.to_dict(as_series=False))[name]
            made.append(pl.Series(f"feature_{name}", values, pl.Float64))
        else:
            made.append(frame[name].cast(pl.Float64).alias(f"feature_{name}"))
    return frame.select(KEY).with_columns(made)


def as_published(rows: pl.DataFrame, bundle: Bundle) -> pl.DataFrame:
    """Rows with key, context, labels and proof under the names of `walk_forward_predictions_v2`, sorted by key."""
    return rows.select(
        *KEY,
        *CONTEXT,
        pl.col("target_direction").alias("actual_direction"),
        (pl.col("up_probability") >= 0.5).cast(pl.Int64).alias("predicted_direction"),
        "up_probability",
        "forward_return_pct",
        "data_split",
        "fold",
        "fold_start",
        "bar_known_at",
        "label_known_at",
        pl.lit(bundle.info.run_id).alias("run_id"),
        pl.lit(bundle.info.model_version).alias("model_version"),
        "trained_through",
    ).sort("symbol", "datetime")

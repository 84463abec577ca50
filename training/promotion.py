"""A record becomes the champion's: published rows, alias and deployment log belong together."""

from __future__ import annotations

import uuid

import polars as pl

from market.assets import AssetType
from market.errors import IntegrityError
from registry.models import ModelRegistry
from training.dataset import KEY
from warehouse.clock import wall_clock
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import Warehouse, Write

PREDICTIONS_TABLE = "ml_models.walk_forward_predictions_v2"
_CONTEXT = (
    *("close", "atr", "percent_change", "rsi", "macd_histogram", "adx", "growth_score", "in_rise_cycle"),
    *("rise_cycle_start", "pivot_high_flag", "pivot_low_flag", "golden_cross", "trend_regime"),
)


def published_record(
    warehouse: Warehouse, asset_type: AssetType, predictions: pl.DataFrame, *, run_id: str, model_version: str
) -> pl.DataFrame:
    """Rows of `walk_forward_predictions_v2` from an out-of-sample record: prediction, context of the bar, proof.

    Raises:
        IntegrityError: A predicted bar has no row in the feature table.
    """
    sql = f"SELECT {', '.join((*KEY, *_CONTEXT))} FROM `{FEATURES_TABLE}` WHERE asset_type = @asset_type"
    context = pl.DataFrame(warehouse.query(sql, {"asset_type": asset_type}))
    joined = predictions.join(context, on=KEY, how="inner")
    if joined.height != predictions.height:
        raise IntegrityError(
            f"{asset_type}: {predictions.height} predictions meet {joined.height} feature rows",
            remedy="the feature table changed during training: run `tradehits train` again",
        )
    return joined.select(
        *KEY,
        *_CONTEXT,
        pl.col("target_direction").alias("actual_direction"),
        (pl.col("up_probability") >= 0.5).cast(pl.Int64).alias("predicted_direction"),
        "up_probability",
        "forward_return_pct",
        "data_split",
        "fold",
        "fold_start",
        "bar_known_at",
        "label_known_at",
        pl.lit(run_id).alias("run_id"),
        pl.lit(model_version).alias("model_version"),
        "trained_through",
    )


def promote(
    warehouse: Warehouse, registry: ModelRegistry, asset_type: AssetType, record: pl.DataFrame, *, by: str, why: str
) -> None:
    """Make a registered version the champion and its record the published one.

    The rows are replaced in one transaction, then the alias moves, then both are read back and logged as deployed. A
    process killed in between leaves a state that the next promotion replaces whole.

    Args:
        warehouse: Holds the published record.
        registry: Holds the alias.
        asset_type: Its rows only are replaced.
        record: From `published_record`; one model version.
        by: Who promotes.
        why: The reason, kept in the deployment log.

    Raises:
        IntegrityError: Read back, the rows or the alias are not what was written.
    """
    model_version = record["model_version"][0]
    warehouse.write(
        [Write(PREDICTIONS_TABLE, rows=record.to_arrow(), mode="replace", where={"asset_type": asset_type})]
    )
    registry.set_alias(asset_type, "champion", model_version)
    sql = f"SELECT COUNT(*) AS n FROM `{PREDICTIONS_TABLE}` WHERE asset_type = @asset_type AND model_version = @version"
    found = warehouse.query(sql, {"asset_type": asset_type, "version": model_version}).to_pylist()[0]["n"]
    champion = registry.champion_version(asset_type)
    there = found == record.height and champion == model_version
    entry = {
        "deployment_id": uuid.uuid4().hex,
        "deployed_at": wall_clock(),
        "component": "MODEL",
        "component_name": f"walk_forward_{asset_type}",
        "version": model_version,
        "status": "SUCCESS" if there else "FAILED",
        "details": f"{why}; {found} of {record.height} rows published, champion is {champion}",
        "deployed_by": by,
    }
    warehouse.write([Write("ml_models.deployment_log", rows=pl.DataFrame([entry]).to_arrow(), mode="append")])
    if not there:
        raise IntegrityError(f"promotion of {model_version}: {entry['details']}", remedy="run `tradehits train` again")

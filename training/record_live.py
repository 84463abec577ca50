"""The published record between two retrainings: bars closed since join it, and open labels are filled.

A row of the record is never scored again; promotion replaces the rows of its class whole (`training.publication`).
"""

from __future__ import annotations

from datetime import datetime

import polars as pl

from market.assets import AssetType
from registry.bundle import Bundle
from training.dataset import KEY
from training.record import CONTEXT, LABELS, as_published, scored
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import ReadConnection, Warehouse, Write

PREDICTIONS_TABLE = "ml_models.walk_forward_predictions_v2"

_OPEN_LABELS = f"""
SELECT
  p.* EXCEPT (actual_direction, forward_return_pct, label_known_at),
  f.target_direction AS actual_direction,
  f.forward_return_pct,
  f.label_known_at
FROM `{PREDICTIONS_TABLE}` AS p
INNER JOIN `{FEATURES_TABLE}` AS f
  ON p.asset_type = f.asset_type AND p.symbol = f.symbol AND p.datetime = f.datetime
WHERE
  p.asset_type = @asset_type
  AND p.actual_direction IS NULL
  AND p.datetime >= @first
  AND f.datetime >= @first
  AND f.target_direction IS NOT NULL
  AND f.label_known_at <= @now
"""


def rows_since(warehouse: Warehouse, bundle: Bundle, now: datetime) -> pl.DataFrame:
    """Rows that the published record lacks: bars known since the champion was trained, scored with its bundle.

    Args:
        warehouse: Gives the features as they are stored now, and the published record.
        bundle: The published champion's.
        now: The class's clock; later bars and outcomes count as unknown.

    Returns:
        Rows of `walk_forward_predictions_v2` with fold -1, sorted by symbol and datetime.
    """
    info = bundle.info
    columns = ", ".join(f"f.{name}" for name in (*KEY, "bar_known_at", "data_split", *CONTEXT))
    labels = ", ".join(f"IF(f.label_known_at <= @now, f.{name}, NULL) AS {name}" for name in LABELS)
    sql = f"""
SELECT {columns}, {labels}
FROM `{FEATURES_TABLE}` AS f
LEFT JOIN `{PREDICTIONS_TABLE}` AS p
  ON f.asset_type = p.asset_type AND f.symbol = p.symbol AND f.datetime = p.datetime
WHERE f.asset_type = @asset_type AND f.bar_known_at >= @since AND f.bar_known_at <= @now AND p.symbol IS NULL
ORDER BY f.symbol, f.datetime
"""
    parameters = {"asset_type": info.asset_type, "since": info.trained_through, "now": now}
    bars = pl.DataFrame(warehouse.query(sql, parameters))
    return as_published(scored(warehouse, bars, bundle), bundle)


def rows_write(rows: pl.DataFrame) -> Write:
    """The write of such rows; a row that is there stays as it is."""
    return Write(PREDICTIONS_TABLE, rows=rows.to_arrow(), mode="append", skip_existing=True)


def label_write(read: ReadConnection, asset_type: AssetType, now: datetime) -> Write | None:
    """The write that fills labels of the record known by now; None when none of it is open."""
    sql = (
        f"SELECT MIN(datetime) AS first FROM `{PREDICTIONS_TABLE}` "
        "WHERE asset_type = @asset_type AND actual_direction IS NULL"
    )
    first = read.query(sql, {"asset_type": asset_type}).column("first")[0].as_py()
    if first is None:
        return None
    parameters = {"asset_type": asset_type, "first": first, "now": now}
    return Write(PREDICTIONS_TABLE, sql=_OPEN_LABELS, parameters=parameters, mode="merge")

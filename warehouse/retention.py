"""How long superseded versions of bars are kept, and dropping the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from configs.settings import Settings
from market.assets import ASSET_TYPES, AssetType
from market.errors import ConfigError
from warehouse.warehouse import ReadConnection, Warehouse, Write

RETENTION_TABLE = "tradehits.version_retention"
_VERSIONS_TABLE = "tradehits.bar_versions"

# Version by version, the first instant from which a newer version of the same bar was known.
_SUPERSEDED = f"""
SELECT *, MIN(knowledge_at) OVER (
  PARTITION BY symbol, `interval`, datetime ORDER BY ingested_at ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
) AS superseded_at
FROM `{_VERSIONS_TABLE}`
WHERE asset_type = @asset_type
"""
_COUNT = f"SELECT COUNTIF(superseded_at <= @horizon) AS n FROM ({_SUPERSEDED}) AS versions"
_KEPT = f"""
SELECT * EXCEPT (superseded_at) FROM ({_SUPERSEDED}) AS versions
WHERE superseded_at IS NULL OR superseded_at > @horizon
"""


@dataclass(frozen=True)
class Dropped:
    """What was dropped of one asset class: nothing later than `horizon_at` can be asked about before it."""

    asset_type: AssetType
    versions: int
    horizon_at: datetime


def retention_horizon(read: ReadConnection, asset_type: AssetType) -> datetime | None:
    """The instant before which superseded versions were dropped; None when none ever were."""
    found = read.query(
        f"SELECT horizon_at FROM `{RETENTION_TABLE}` WHERE asset_type = @asset_type", {"asset_type": asset_type}
    )
    return found.column(0)[0].as_py() if found.num_rows else None


def drop_superseded(warehouse: Warehouse, settings: Settings, now: datetime) -> list[Dropped]:
    """Drop versions that a newer one had superseded `versions.keep_days` ago; the newest of a bar always stays.

    The caller holds the pipeline's lock: versions that arrive between reading and writing would be lost.

    Args:
        warehouse: Whose `tradehits.bar_versions` is rewritten, asset class by asset class, where anything goes.
        settings: Gives `versions.keep_days`.
        now: The present instant.

    Returns:
        One a class that lost versions.

    Raises:
        ConfigError: `versions.keep_days` is null: every version is kept.
    """
    if settings.versions.keep_days is None:
        raise ConfigError(
            "versions.keep_days is null: every version is kept", remedy="set it to a number of days in configs/"
        )
    horizon = now - timedelta(days=settings.versions.keep_days)
    dropped = []
    for asset_type in ASSET_TYPES:
        asked = {"asset_type": asset_type, "horizon": horizon}
        count = warehouse.query(_COUNT, asked).column(0)[0].as_py()
        if count:
            kept = Write(_VERSIONS_TABLE, sql=_KEPT, parameters=asked, mode="replace", where={"asset_type": asset_type})
            warehouse.write([kept, _record(warehouse, asset_type, horizon, count, now)])
            dropped.append(Dropped(asset_type, count, horizon))
    return dropped


def _record(warehouse: Warehouse, asset_type: AssetType, horizon: datetime, count: int, now: datetime) -> Write:
    before = warehouse.query(
        f"SELECT dropped_versions, horizon_at FROM `{RETENTION_TABLE}` WHERE asset_type = @asset_type",
        {"asset_type": asset_type},
    ).to_pylist()
    row = {
        "asset_type": asset_type,
        # A longer keep_days set later brings no dropped version back.
        "horizon_at": max([horizon, *(one["horizon_at"] for one in before)]),
        "dropped_versions": count + sum(one["dropped_versions"] for one in before),
        "compacted_at": now,
    }
    return Write(RETENTION_TABLE, rows=pa.Table.from_pylist([row]), mode="merge")

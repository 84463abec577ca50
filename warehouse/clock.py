"""Today, per asset class: resolved from the configuration and kept in `tradehits.asset_settings`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa

from configs.settings import Settings
from market.assets import ASSET_TYPES, CLEAN_TABLES, AssetType
from warehouse.champions import PublishedChampion, published_champions, thresholds_in_force
from warehouse.warehouse import ReadConnection, Warehouse, Write


def wall_clock() -> datetime:
    """The present instant in UTC; the one place below the edges that asks the operating system."""
    return datetime.now(UTC)


def now_of(asset_type: AssetType, settings: Settings, newest_known_at: datetime | None) -> datetime:
    """What "now" means for an asset class.

    Args:
        asset_type: The asset class.
        settings: Gives `clock.<asset_type>`: `wall`, `end_of_data` or an instant.
        newest_known_at: `bar_known_at` of the newest stored bar; None without bars, then `end_of_data` is `wall`.
    """
    clock = settings.clock.of(asset_type)
    if isinstance(clock, datetime):
        return clock
    if clock == "end_of_data" and newest_known_at is not None:
        return newest_known_at
    return wall_clock()


def newest_known_at(read: ReadConnection) -> dict[AssetType, datetime | None]:
    """`bar_known_at` of the newest stored daily bar of each class, None for a class without bars."""
    newest: dict[AssetType, datetime | None] = {}
    for asset_type, table in CLEAN_TABLES.items():
        rows = read.query(f"SELECT MAX(bar_known_at) AS newest FROM `{table}`").to_pylist()
        newest[asset_type] = rows[0]["newest"]
    return newest


def asset_settings_write(
    settings: Settings,
    newest: dict[AssetType, datetime | None],
    published: Mapping[AssetType, PublishedChampion],
) -> Write:
    """The write that keeps clock and thresholds where views can read them; part of every writing command.

    Args:
        settings: Clocks, thresholds, limits.
        newest: From `newest_known_at`.
        published: From `published_champions`; see `thresholds_in_force`.
    """
    written_at = wall_clock()
    rows = []
    for asset_type in ASSET_TYPES:
        clock = settings.clock.of(asset_type)
        thresholds = thresholds_in_force(settings, asset_type, published)
        fixed = clock != "wall" and (isinstance(clock, datetime) or newest.get(asset_type) is not None)
        rows.append(
            {
                "asset_type": asset_type,
                "clock": clock.isoformat() if isinstance(clock, datetime) else clock,
                "now_at": now_of(asset_type, settings, newest.get(asset_type)) if fixed else None,
                "buy_threshold": thresholds.buy,
                "sell_threshold": thresholds.sell,
                "high_threshold": thresholds.high,
                "medium_threshold": thresholds.medium,
                "min_live_predictions": settings.monitoring.min_live_predictions,
                "drift_warning_ratio": settings.monitoring.drift_warning_ratio,
                "drift_critical_ratio": settings.monitoring.drift_critical_ratio,
                "calendar": settings.sessions.calendars.by_asset_type().get(asset_type),
                "written_at": written_at,
            }
        )
    stamp = pa.timestamp("us", tz="UTC")
    schema = pa.schema(
        [("asset_type", pa.string()), ("clock", pa.string()), ("now_at", stamp)]
        + [(f"{name}_threshold", pa.float64()) for name in ("buy", "sell", "high", "medium")]
        + [("min_live_predictions", pa.int64()), ("drift_warning_ratio", pa.float64())]
        + [("drift_critical_ratio", pa.float64()), ("calendar", pa.string()), ("written_at", stamp)]
    )
    return Write("tradehits.asset_settings", rows=pa.Table.from_pylist(rows, schema=schema), mode="merge")


def refresh_asset_settings(warehouse: Warehouse, settings: Settings) -> None:
    """Write the clocks of the configuration and the thresholds in force."""
    with warehouse.read() as read:
        newest, published = newest_known_at(read), published_champions(read)
    warehouse.write([asset_settings_write(settings, newest, published)])

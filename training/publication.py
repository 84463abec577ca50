"""A champion's record becomes the published one: rows, name, thresholds and log entry in one transaction."""

from __future__ import annotations

import polars as pl

from configs.settings import Settings
from market.assets import AssetType
from market.errors import IntegrityError
from registry.bundle import Bundle
from registry.champion import Change
from training.record import Record
from warehouse.champions import PublishedChampion, champion_write, configured_thresholds, published_champions
from warehouse.clock import asset_settings_write, newest_known_at, wall_clock
from warehouse.warehouse import Warehouse, Write

PREDICTIONS_TABLE = "ml_models.walk_forward_predictions_v2"
DEPLOYMENT_TABLE = "ml_models.deployment_log"


def publish(warehouse: Warehouse, settings: Settings, bundle: Bundle, record: Record, change: Change) -> None:
    """Put a champion's record, its name, its thresholds and the log entry in place, in one transaction.

    The alias was moved before and the entry commits with the rows, so it is there exactly when it is true; the rows are
    read back all the same.

    Raises:
        IntegrityError: Read back, the rows are not what was written; the log entry says FAILED then.
    """
    info = bundle.info
    champion = _published(settings, bundle, change)
    with warehouse.read() as read:
        newest, published = newest_known_at(read), published_champions(read)
    warehouse.write(
        [
            Write(
                PREDICTIONS_TABLE, rows=record.rows.to_arrow(), mode="replace", where={"asset_type": info.asset_type}
            ),
            champion_write(champion),
            asset_settings_write(settings, newest, {**published, info.asset_type: champion}),
            log_entry(info.asset_type, change, "SUCCESS", _details(record, change)),
        ]
    )
    sql = f"SELECT model_version, COUNT(*) AS n FROM `{PREDICTIONS_TABLE}` WHERE asset_type = @asset_type GROUP BY 1"
    rows = warehouse.query(sql, {"asset_type": info.asset_type}).to_pylist()
    found = {row["model_version"]: row["n"] for row in rows}
    if found != {champion.model_version: record.rows.height}:
        problem = f"published are {found}, not {record.rows.height:,} rows of {champion.model_version}"
        warehouse.write([log_entry(info.asset_type, change, "FAILED", problem)])
        raise IntegrityError(
            f"publication of {champion.model_version}: {problem}",
            remedy="something else writes into this table: find it, then promote again",
        )


def log_entry(asset_type: AssetType, change: Change, status: str, details: str) -> Write:
    """A change's row of the deployment log; the same change again replaces its row."""
    entry = {
        "deployment_id": change.change_id,
        "deployed_at": wall_clock(),
        "component": "MODEL",
        "component_name": f"walk_forward_{asset_type}",
        "version": change.to_version,
        "status": status,
        "details": f"{_asked(change)}; {details}",
        "deployed_by": change.by,
    }
    return Write(DEPLOYMENT_TABLE, rows=pl.DataFrame([entry]).to_arrow(), mode="merge")


def _asked(change: Change) -> str:
    rules = ", against the rules" if change.against_the_rules else ""
    return f"{change.action} from {change.from_version or 'none'} to {change.to_version}{rules}: {change.why}"


def _details(record: Record, change: Change) -> str:
    details = f"{record.rows.height:,} rows published, {record.appended:,} of them scored since training"
    if record.missing:
        details += f", {record.missing:,} predictions left out because their bars are not stored any more"
    return f"{details}; asked for at {change.at:%Y-%m-%d %H:%M:%S} UTC"


def _published(settings: Settings, bundle: Bundle, change: Change) -> PublishedChampion:
    info = bundle.info
    return PublishedChampion(
        asset_type=info.asset_type,
        model_version=change.to_version,
        run_id=info.run_id,
        feature_service=info.feature_service,
        indicator_variant=info.indicator_variant,
        calibration=info.calibration.method,
        trained_through=info.trained_through,
        buy_threshold=info.thresholds.buy,
        sell_threshold=info.thresholds.sell,
        high_threshold=info.thresholds.high,
        medium_threshold=info.thresholds.medium,
        configured_thresholds=configured_thresholds(settings, info.asset_type),
        change_id=change.change_id,
        published_at=wall_clock(),
    )

"""What must hold after every day of operation, counted by the warehouse itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from market.assets import AssetType
from registry.models import ModelRegistry
from warehouse.schema import load_schema
from warehouse.warehouse import ReadConnection

_RULES: Final[dict[str, str]] = {
    "one prediction per symbol and bar": """
        SELECT COUNT(*) AS violations FROM (
          SELECT asset_type, symbol, datetime FROM `ml_models.realtime_predictions`
          GROUP BY asset_type, symbol, datetime HAVING COUNT(*) > 1)""",
    "every symbol of the newest closed bar has its prediction": """
        SELECT COUNT(*) AS violations
        FROM `ml_models.walk_forward_features_v2` AS f
        LEFT JOIN `ml_models.realtime_predictions` AS r
          ON f.asset_type = r.asset_type AND f.symbol = r.symbol AND f.datetime = r.datetime
        WHERE f.bar_known_at <= @inference AND f.label_known_at IS NULL AND r.symbol IS NULL""",
    "no prediction before its bar closed or after its outcome was known": """
        SELECT COUNT(*) AS violations FROM `tradehits.v_live_predictions`
        WHERE created_at < bar_known_at OR is_backfill OR bar_known_at IS NULL""",
    "labels matured, and none too early": """
        SELECT COUNT(*) AS violations
        FROM `ml_models.realtime_predictions` AS r
        INNER JOIN `ml_models.walk_forward_features_v2` AS f
          ON f.asset_type = r.asset_type AND f.symbol = r.symbol AND f.datetime = r.datetime
        WHERE (f.label_known_at IS NOT NULL AND f.label_known_at <= @inference) <> (r.actual_direction IS NOT NULL)
          OR r.actual_direction <> IF(f.target_direction = 1, 'UP', 'DOWN')""",
    "the record's labels are the features'": """
        SELECT COUNT(*) AS violations
        FROM `ml_models.walk_forward_predictions_v2` AS p
        INNER JOIN `ml_models.walk_forward_features_v2` AS f
          ON f.asset_type = p.asset_type AND f.symbol = p.symbol AND f.datetime = p.datetime
        WHERE f.label_known_at <= @inference AND COALESCE(p.actual_direction <> f.target_direction, TRUE)""",
    "the record holds every closed bar since its first": """
        SELECT COUNT(*) AS violations
        FROM `ml_models.walk_forward_features_v2` AS f
        INNER JOIN (
          SELECT asset_type, symbol, MIN(datetime) AS first FROM `ml_models.walk_forward_predictions_v2`
          GROUP BY asset_type, symbol) AS since
          ON f.asset_type = since.asset_type AND f.symbol = since.symbol AND f.datetime >= since.first
        LEFT JOIN `ml_models.walk_forward_predictions_v2` AS p
          ON f.asset_type = p.asset_type AND f.symbol = p.symbol AND f.datetime = p.datetime
        WHERE f.bar_known_at <= @inference AND p.symbol IS NULL""",
    "every row's model knew nothing later": """
        SELECT COUNT(*) AS violations FROM `ml_models.walk_forward_predictions_v2`
        WHERE trained_through > bar_known_at OR trained_through > fold_start""",
    "performance rows complete": """
        SELECT COUNT(*) AS violations FROM (
          SELECT asset_type, DATE(datetime) AS date, 'walk_forward' AS prediction_source, COUNT(*) AS n
          FROM `ml_models.walk_forward_predictions_v2` WHERE actual_direction IS NOT NULL
          GROUP BY asset_type, DATE(datetime)
          UNION ALL
          SELECT asset_type, DATE(datetime) AS date, 'live' AS prediction_source, COUNT(*) AS n
          FROM `tradehits.v_live_predictions` WHERE actual_direction IS NOT NULL AND NOT is_backfill
          GROUP BY asset_type, DATE(datetime)) AS known
        LEFT JOIN `ml_models.model_performance_daily` AS daily
          ON known.asset_type = daily.asset_type AND known.date = daily.date
            AND known.prediction_source = daily.prediction_source
        WHERE COALESCE(daily.total_predictions, 0) <> known.n""",
    "one champion everywhere": """
        SELECT COUNT(*) AS violations FROM `ml_models.walk_forward_predictions_v2` AS p
        LEFT JOIN `tradehits.champions` AS c ON p.asset_type = c.asset_type
        LEFT JOIN `ml_models.v_pipeline_status` AS s ON p.asset_type = s.asset_type
        WHERE COALESCE(c.model_version, '') <> p.model_version
          OR COALESCE(s.champion_version, '') <> p.model_version""",
    "one open alert of a kind": """
        SELECT COUNT(*) AS violations FROM (
          SELECT asset_type, alert_type, metric_name FROM `ml_models.model_drift_alerts` WHERE NOT is_resolved
          GROUP BY asset_type, alert_type, metric_name HAVING COUNT(*) > 1)""",
}


@dataclass(frozen=True)
class Violation:
    """A rule that did not hold, and how many rows break it."""

    rule: str
    rows: int


def violations(
    read: ReadConnection, registry: ModelRegistry, made_by: dict[AssetType, str], inference: datetime
) -> list[Violation]:
    """Every rule that does not hold.

    Args:
        read: One view of all tables.
        registry: Names the champions.
        made_by: The champion of each class when the newest predictions were made.
        inference: When they were made (UTC); what became known later is not counted.
    """
    counts = {
        rule: _count(read, sql, {"inference": inference} if "@inference" in sql else {}) for rule, sql in _RULES.items()
    }
    schema = load_schema()
    for name in schema.tables:
        keys = ", ".join(schema.table(name).key)
        sql = f"SELECT COUNT(*) AS violations FROM (SELECT {keys} FROM `{name}` GROUP BY {keys} HAVING COUNT(*) > 1)"
        counts[f"no key twice in {name}"] = _count(read, sql, {})
    published = read.query("SELECT asset_type, model_version FROM `tradehits.champions`").to_pylist()
    counts["the registry's champion is the published one"] = sum(
        registry.champion_version(row["asset_type"]) != row["model_version"] for row in published
    )
    for asset_type, version in made_by.items():
        sql = (
            "SELECT COUNT(*) AS violations FROM `ml_models.realtime_predictions` "
            "WHERE asset_type = @asset_type AND created_at = @inference AND model_version <> @version"
        )
        values = {"asset_type": asset_type, "inference": inference, "version": version}
        counts[f"{asset_type}: scored by the champion of the day"] = _count(read, sql, values)
    return [Violation(rule, rows) for rule, rows in counts.items() if rows]


def _count(read: ReadConnection, sql: str, parameters: dict[str, Any]) -> int:
    return int(read.query(sql, parameters).to_pylist()[0]["violations"])

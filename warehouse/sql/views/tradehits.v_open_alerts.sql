-- Grain: one row per asset_type, always three rows.
-- Open alerts of each asset class, by severity.
SELECT
  asset.asset_type,
  COUNT(alert.alert_id) AS open_alerts,
  COUNTIF(alert.severity = 'CRITICAL') AS open_critical_alerts,
  COUNTIF(alert.severity = 'WARNING') AS open_warning_alerts
FROM `tradehits.v_today` AS asset
LEFT JOIN `ml_models.model_drift_alerts` AS alert ON asset.asset_type = alert.asset_type AND NOT alert.is_resolved
GROUP BY asset.asset_type

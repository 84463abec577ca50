-- Grain: one row per (alert_id).
-- At most one open alert per (asset_type, alert_type, metric_name). alert_type: ACCURACY_DRIFT, FEATURE_DRIFT, REGIME_CHANGE,
-- CONCEPT_DRIFT; severity: WARNING, CRITICAL.
CREATE TABLE IF NOT EXISTS `ml_models.model_drift_alerts` (
  alert_id STRING NOT NULL,
  alert_time TIMESTAMP NOT NULL,
  asset_type STRING NOT NULL,
  alert_type STRING NOT NULL,
  severity STRING NOT NULL,
  metric_name STRING NOT NULL,
  current_value FLOAT64,
  threshold_value FLOAT64,
  baseline_value FLOAT64,
  message STRING,
  is_resolved BOOL NOT NULL,
  resolved_at TIMESTAMP,
  resolved_by STRING,
  created_at TIMESTAMP NOT NULL,
  PRIMARY KEY (alert_id) NOT ENFORCED
)
CLUSTER BY asset_type, alert_type

-- Grain: one row per (asset_type).
-- Whose record the class's rows of walk_forward_predictions_v2 are; written in the transaction of those rows, with the thresholds
-- in tradehits.asset_settings. A reader that takes the model version from here, in one read with the rows, never sees a mixture.
-- configured_thresholds is what the configuration said then (JSON): once it says something else, the configuration is in force.
CREATE TABLE IF NOT EXISTS `tradehits.champions` (
  asset_type STRING NOT NULL,
  model_version STRING NOT NULL,
  run_id STRING NOT NULL,
  feature_service STRING NOT NULL,
  indicator_variant STRING NOT NULL,
  calibration STRING NOT NULL OPTIONS (description = 'Method of the bundle: none, platt or isotonic'),
  trained_through TIMESTAMP NOT NULL,
  buy_threshold FLOAT64 NOT NULL,
  sell_threshold FLOAT64 NOT NULL,
  high_threshold FLOAT64 NOT NULL,
  medium_threshold FLOAT64 NOT NULL,
  configured_thresholds STRING NOT NULL,
  change_id STRING NOT NULL OPTIONS (description = 'deployment_id of the change in ml_models.deployment_log'),
  published_at TIMESTAMP NOT NULL,
  PRIMARY KEY (asset_type) NOT ENFORCED
)
CLUSTER BY asset_type

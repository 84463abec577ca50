-- Grain: one row per (date, asset_type, feature_name).
-- Exact statistics of one feature on one day; the baseline is the champion's training data.
CREATE TABLE IF NOT EXISTS `ml_models.feature_distributions` (
  date DATE NOT NULL,
  asset_type STRING NOT NULL,
  feature_name STRING NOT NULL,
  mean_value FLOAT64,
  std_value FLOAT64,
  min_value FLOAT64,
  max_value FLOAT64,
  percentile_25 FLOAT64,
  percentile_50 FLOAT64,
  percentile_75 FLOAT64,
  null_count INT64,
  baseline_mean FLOAT64,
  baseline_std FLOAT64,
  ks_statistic FLOAT64,
  ks_p_value FLOAT64,
  psi FLOAT64,
  drift_detected BOOL,
  created_at TIMESTAMP NOT NULL,
  PRIMARY KEY (date, asset_type, feature_name) NOT ENFORCED
)
PARTITION BY DATE_TRUNC(date, MONTH)
CLUSTER BY asset_type, feature_name

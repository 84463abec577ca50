-- Grain: one row per (date, asset_type, prediction_source).
-- prediction_source is live (realtime_predictions) or walk_forward. Counts are of rows whose label is known; accuracies and
-- rates are percent, precision_score, recall_score and f1_score lie in [0, 1].
CREATE TABLE IF NOT EXISTS `ml_models.model_performance_daily` (
  date DATE NOT NULL,
  asset_type STRING NOT NULL,
  prediction_source STRING NOT NULL,
  total_predictions INT64 NOT NULL,
  correct_predictions INT64 NOT NULL,
  accuracy_pct FLOAT64,
  accuracy_high_conf FLOAT64,
  accuracy_medium_conf FLOAT64,
  accuracy_low_conf FLOAT64,
  base_rate_pct FLOAT64,
  up_share_pct FLOAT64,
  avg_up_probability FLOAT64,
  brier_score FLOAT64,
  log_loss FLOAT64,
  buy_signals INT64,
  sell_signals INT64,
  hold_signals INT64,
  true_positives INT64,
  false_positives INT64,
  true_negatives INT64,
  false_negatives INT64,
  precision_score FLOAT64,
  recall_score FLOAT64,
  f1_score FLOAT64,
  rolling_7d_accuracy FLOAT64,
  rolling_30d_accuracy FLOAT64,
  baseline_accuracy FLOAT64,
  drift_detected BOOL,
  drift_type STRING,
  created_at TIMESTAMP NOT NULL,
  PRIMARY KEY (date, asset_type, prediction_source) NOT ENFORCED
)
PARTITION BY DATE_TRUNC(date, MONTH)
CLUSTER BY asset_type

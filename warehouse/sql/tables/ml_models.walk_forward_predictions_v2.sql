-- Grain: one row per (asset_type, symbol, datetime).
-- The champion's out-of-sample record: trained_through <= fold_start <= bar_known_at in every row. Daily inference appends
-- with fold -1. Directions and flags are 1 and 0; actual_direction is NULL until the next bar is known.
CREATE TABLE IF NOT EXISTS `ml_models.walk_forward_predictions_v2` (
  asset_type STRING NOT NULL,
  symbol STRING NOT NULL,
  datetime TIMESTAMP NOT NULL,
  close FLOAT64,
  atr FLOAT64,
  percent_change FLOAT64,
  rsi FLOAT64,
  macd_histogram FLOAT64,
  adx FLOAT64,
  growth_score INT64,
  in_rise_cycle INT64,
  rise_cycle_start INT64,
  pivot_high_flag INT64,
  pivot_low_flag INT64,
  golden_cross INT64,
  trend_regime STRING,
  actual_direction INT64,
  predicted_direction INT64 NOT NULL,
  up_probability FLOAT64 NOT NULL,
  forward_return_pct FLOAT64,
  data_split STRING NOT NULL,
  fold INT64 NOT NULL,
  fold_start TIMESTAMP NOT NULL,
  bar_known_at TIMESTAMP NOT NULL,
  label_known_at TIMESTAMP,
  run_id STRING,
  model_version STRING NOT NULL,
  trained_through TIMESTAMP NOT NULL,
  PRIMARY KEY (asset_type, symbol, datetime) NOT ENFORCED
)
PARTITION BY TIMESTAMP_TRUNC(datetime, MONTH)
CLUSTER BY asset_type, symbol

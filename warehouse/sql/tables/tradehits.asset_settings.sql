-- Grain: one row per (asset_type).
-- The configuration in force. clock is the configured value; now_at is the instant it resolves to, NULL for the wall clock.
-- calendar names the exchange calendar in tradehits.sessions, NULL for crypto. Read it through tradehits.v_today.
CREATE TABLE IF NOT EXISTS `tradehits.asset_settings` (
  asset_type STRING NOT NULL,
  clock STRING NOT NULL,
  now_at TIMESTAMP,
  buy_threshold FLOAT64,
  sell_threshold FLOAT64,
  high_threshold FLOAT64,
  medium_threshold FLOAT64,
  min_live_predictions INT64,
  drift_warning_ratio FLOAT64,
  drift_critical_ratio FLOAT64,
  calendar STRING,
  written_at TIMESTAMP NOT NULL,
  PRIMARY KEY (asset_type) NOT ENFORCED
)

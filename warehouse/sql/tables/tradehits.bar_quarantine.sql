-- Grain: one row per (quarantine_id).
-- What the checks found in source rows, values as read (NaN and infinity as NULL): key and prices may be missing. action is
-- rejected (the row was left out) or kept. quarantine_id depends on source, values and rule: reading again adds nothing.
CREATE TABLE IF NOT EXISTS `tradehits.bar_quarantine` (
  quarantine_id STRING NOT NULL,
  quarantined_at TIMESTAMP NOT NULL,
  source STRING NOT NULL,
  file STRING,
  source_row INT64,
  asset_type STRING,
  symbol STRING,
  `interval` STRING,
  datetime TIMESTAMP,
  open FLOAT64,
  high FLOAT64,
  low FLOAT64,
  close FLOAT64,
  volume FLOAT64,
  rule STRING NOT NULL,
  severity STRING NOT NULL,
  action STRING NOT NULL,
  detail STRING,
  PRIMARY KEY (quarantine_id) NOT ENFORCED
)
PARTITION BY TIMESTAMP_TRUNC(quarantined_at, MONTH)
CLUSTER BY asset_type, rule

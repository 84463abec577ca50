-- Grain: one row per (asset_type, symbol, interval, datetime, ingested_at).
-- Append-only. knowledge_at is when this version could be known: bar_known_at for a first version or a backfill, the arrival
-- (ingested_at) for a later correction.
CREATE TABLE IF NOT EXISTS `tradehits.bar_versions` (
  asset_type STRING NOT NULL,
  symbol STRING NOT NULL,
  `interval` STRING NOT NULL,
  datetime TIMESTAMP NOT NULL,
  open FLOAT64 NOT NULL,
  high FLOAT64 NOT NULL,
  low FLOAT64 NOT NULL,
  close FLOAT64 NOT NULL,
  volume FLOAT64,
  bar_known_at TIMESTAMP NOT NULL,
  ingested_at TIMESTAMP NOT NULL,
  knowledge_at TIMESTAMP NOT NULL,
  is_backfill BOOL NOT NULL,
  source STRING NOT NULL,
  PRIMARY KEY (asset_type, symbol, `interval`, datetime, ingested_at) NOT ENFORCED
)
PARTITION BY TIMESTAMP_TRUNC(datetime, MONTH)
CLUSTER BY asset_type, symbol, `interval`

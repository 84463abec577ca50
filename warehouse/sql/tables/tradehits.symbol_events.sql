-- Grain: one row per (asset_type, symbol, event, effective_at).
-- What happened to a name or to a symbol's scale: RENAMED (to other_symbol), DELISTED, RELISTED (effective_at: a session's
-- date), READJUSTED (stored bars of an interval up to rescaled_until were multiplied by the factors; effective_at: the
-- arrival that showed it).
CREATE TABLE IF NOT EXISTS `tradehits.symbol_events` (
  asset_type STRING NOT NULL,
  symbol STRING NOT NULL,
  event STRING NOT NULL,
  effective_at TIMESTAMP NOT NULL,
  other_symbol STRING,
  price_factor FLOAT64,
  volume_factor FLOAT64,
  rescaled_until TIMESTAMP,
  `interval` STRING,
  source STRING NOT NULL,
  recorded_at TIMESTAMP NOT NULL,
  PRIMARY KEY (asset_type, symbol, event, effective_at) NOT ENFORCED
)
CLUSTER BY asset_type, symbol

-- Grain: one row per (asset_type, change_number, symbol).
-- What an incremental change of a clean table touched: every bar of the symbol from changed_from on. Features follow from
-- features_from on (the bar before, whose label changes) and read the bars from history_from on.
CREATE TABLE IF NOT EXISTS `tradehits.clean_changes` (
  asset_type STRING NOT NULL,
  change_number INT64 NOT NULL,
  symbol STRING NOT NULL,
  changed_from TIMESTAMP NOT NULL,
  features_from TIMESTAMP NOT NULL,
  history_from TIMESTAMP NOT NULL,
  PRIMARY KEY (asset_type, change_number, symbol) NOT ENFORCED
)
CLUSTER BY asset_type

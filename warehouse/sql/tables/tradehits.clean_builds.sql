-- Grain: one row per (asset_type, change_number).
-- One change of a clean table, numbered from 1 without gaps; written in the transaction that made it, so two writers that
-- started from one state cannot both succeed. table_rows counts the clean table's rows after it; is_full says that every row
-- was computed anew (which rows an incremental change touched stands in tradehits.clean_changes).
CREATE TABLE IF NOT EXISTS `tradehits.clean_builds` (
  asset_type STRING NOT NULL,
  change_number INT64 NOT NULL,
  changed_at TIMESTAMP NOT NULL,
  indicator_variant STRING NOT NULL,
  is_full BOOL NOT NULL,
  table_rows INT64 NOT NULL,
  PRIMARY KEY (asset_type, change_number) NOT ENFORCED
)
CLUSTER BY asset_type

-- Grain: one row per (asset_type, build_number).
-- One build of the features of an asset class, numbered from 1 without gaps; written in the transaction of its rows.
-- change_number is the last change of the clean table it contains (0: the clean table is not the platform's own); definition
-- hashes the feature query, the split dates and the indicator variant; table_rows counts the class's feature rows after it.
CREATE TABLE IF NOT EXISTS `tradehits.feature_builds` (
  asset_type STRING NOT NULL,
  build_number INT64 NOT NULL,
  built_at TIMESTAMP NOT NULL,
  change_number INT64 NOT NULL,
  definition STRING NOT NULL,
  is_full BOOL NOT NULL,
  table_rows INT64 NOT NULL,
  PRIMARY KEY (asset_type, build_number) NOT ENFORCED
)
CLUSTER BY asset_type

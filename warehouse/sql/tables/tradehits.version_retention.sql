-- Grain: one row per (asset_type).
-- Up to when superseded bar versions were dropped: what was known before horizon_at can no longer be told.
CREATE TABLE IF NOT EXISTS `tradehits.version_retention` (
  asset_type STRING NOT NULL,
  horizon_at TIMESTAMP NOT NULL,
  dropped_versions INT64 NOT NULL OPTIONS (description = 'So far, over all compactions'),
  compacted_at TIMESTAMP NOT NULL,
  PRIMARY KEY (asset_type) NOT ENFORCED
)
CLUSTER BY asset_type

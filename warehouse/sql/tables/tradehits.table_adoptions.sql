-- Grain: one row per (adoption_id).
-- What `tradehits migrate --apply` decided about a table that was there before the platform: adopt (it became the platform's
-- own; snapshot_name holds its rows as they were) or shadow (the platform's stands in shadow_dataset). undone_at: taken back.
CREATE TABLE IF NOT EXISTS `tradehits.table_adoptions` (
  adoption_id STRING NOT NULL,
  applied_at TIMESTAMP NOT NULL,
  table_name STRING NOT NULL OPTIONS (description = 'dataset.table, as in the contract'),
  table_path STRING NOT NULL OPTIONS (description = 'project.dataset.table that was found'),
  action STRING NOT NULL,
  reasons STRING,
  snapshot_name STRING,
  shadow_dataset STRING,
  undone_at TIMESTAMP,
  PRIMARY KEY (adoption_id) NOT ENFORCED
)
CLUSTER BY table_name

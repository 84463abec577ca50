-- Grain: one row per (waiver_id).
-- A named person's decision to let a failed check of the audit through, and why. asset_type NULL: of every class. valid_until:
-- last day (UTC) on which it counts, NULL: until withdrawn. Nothing is ever deleted; withdrawn_at says since when it counts no more.
CREATE TABLE IF NOT EXISTS `tradehits.audit_waivers` (
  waiver_id STRING NOT NULL,
  created_at TIMESTAMP NOT NULL,
  asset_type STRING,
  check_name STRING NOT NULL,
  subject STRING NOT NULL,
  waived_by STRING NOT NULL,
  reason STRING NOT NULL,
  valid_until DATE,
  withdrawn_at TIMESTAMP,
  withdrawn_by STRING,
  withdrawn_reason STRING,
  PRIMARY KEY (waiver_id) NOT ENFORCED
)
CLUSTER BY check_name

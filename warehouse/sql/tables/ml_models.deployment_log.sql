-- Grain: one row per (deployment_id).
-- component: PIPELINE, MODEL, VIEW, TABLE, SCHEDULER, API, FUNCTION, FLOW. SUCCESS is written only after the thing was checked
-- to be there. A champion's promotion is component MODEL, component_name walk_forward_<asset_type>, version its model_version.
CREATE TABLE IF NOT EXISTS `ml_models.deployment_log` (
  deployment_id STRING NOT NULL,
  deployed_at TIMESTAMP NOT NULL,
  component STRING NOT NULL,
  component_name STRING NOT NULL,
  version STRING,
  status STRING NOT NULL,
  details STRING,
  deployed_by STRING DEFAULT 'ml_pipeline',
  PRIMARY KEY (deployment_id) NOT ENFORCED
)
CLUSTER BY component

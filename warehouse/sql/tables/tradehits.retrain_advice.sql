-- Grain: one row per (advice_id).
-- Advice to retrain an asset class because of its open CRITICAL alerts, numbered within the class. action: propose, trigger.
-- outcome: what became of a triggered training; NULL until it ended.
CREATE TABLE IF NOT EXISTS `tradehits.retrain_advice` (
  advice_id STRING NOT NULL,
  asset_type STRING NOT NULL,
  advised_date DATE NOT NULL,
  advised_at TIMESTAMP NOT NULL,
  recorded_at TIMESTAMP NOT NULL,
  action STRING NOT NULL,
  reason STRING NOT NULL,
  alert_ids STRING NOT NULL,
  model_version STRING,
  outcome STRING,
  concluded_at TIMESTAMP,
  PRIMARY KEY (advice_id) NOT ENFORCED
)
CLUSTER BY asset_type

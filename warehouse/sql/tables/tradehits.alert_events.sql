-- Grain: one row per (event_id).
-- What happened to an alert: OPENED, ESCALATED, SENT, ACKNOWLEDGED, RESOLVED.
CREATE TABLE IF NOT EXISTS `tradehits.alert_events` (
  event_id STRING NOT NULL,
  alert_id STRING NOT NULL,
  event_at TIMESTAMP NOT NULL,
  event_type STRING NOT NULL,
  severity STRING,
  channel STRING,
  actor STRING,
  detail STRING,
  PRIMARY KEY (event_id) NOT ENFORCED
)
CLUSTER BY alert_id

-- Grain: one row per (event_id).
-- What happened to an alert: OPENED, ESCALATED, UPDATED (still raised, other figures), ACKNOWLEDGED, RESOLVED, SENT.
-- Events that change an alert are numbered within it (event_id = alert_id:00001, ...), so that of two changes at once one is refused.
-- severity: of that judgement, or of what was sent. event_at is by the class's clock, recorded_at by the wall's. detail: JSON,
-- of SENT what was told (OPENED, ESCALATED, RESOLVED).
CREATE TABLE IF NOT EXISTS `tradehits.alert_events` (
  event_id STRING NOT NULL,
  alert_id STRING NOT NULL,
  event_at TIMESTAMP NOT NULL,
  event_type STRING NOT NULL,
  severity STRING,
  channel STRING,
  actor STRING,
  detail STRING,
  judged_date DATE,
  recorded_at TIMESTAMP,
  PRIMARY KEY (event_id) NOT ENFORCED
)
CLUSTER BY alert_id

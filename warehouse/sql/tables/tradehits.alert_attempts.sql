-- Grain: one row per (attempt_id).
-- One attempt to send a message, written before it begins and numbered within the message. outcome: SENT, FAILED, UNKNOWN (nobody
-- answered in time), WITHDRAWN; NULL while it is under way, and for ever when its process was killed.
CREATE TABLE IF NOT EXISTS `tradehits.alert_attempts` (
  attempt_id STRING NOT NULL,
  delivery_id STRING NOT NULL,
  started_at TIMESTAMP NOT NULL,
  finished_at TIMESTAMP,
  outcome STRING,
  detail STRING,
  PRIMARY KEY (attempt_id) NOT ENFORCED
)
CLUSTER BY delivery_id

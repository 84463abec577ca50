-- Grain: one row per (delivery_id).
-- One message to one channel, written before it is sent and numbered within channel and scope (an asset class, or digest).
-- status: PLANNED, SENT, WITHDRAWN (why: detail). items: JSON, which alerts it tells and what of them. message_key goes with every
-- attempt, so that a receiver can tell a repeat.
CREATE TABLE IF NOT EXISTS `tradehits.alert_deliveries` (
  delivery_id STRING NOT NULL,
  channel STRING NOT NULL,
  scope STRING NOT NULL,
  severity STRING,
  title STRING NOT NULL,
  body STRING NOT NULL,
  items STRING NOT NULL,
  message_key STRING NOT NULL,
  status STRING NOT NULL,
  detail STRING,
  planned_at TIMESTAMP NOT NULL,
  settled_at TIMESTAMP,
  PRIMARY KEY (delivery_id) NOT ENFORCED
)
CLUSTER BY status, channel

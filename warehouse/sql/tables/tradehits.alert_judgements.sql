-- Grain: one row per (judgement_id).
-- Which day of an asset class was judged, numbered within the class (judgement_id = stocks:000001, ...): alerts follow the newest
-- judged day. conditions_hash: a day judged again with the same conditions changes nothing.
CREATE TABLE IF NOT EXISTS `tradehits.alert_judgements` (
  judgement_id STRING NOT NULL,
  asset_type STRING NOT NULL,
  judged_date DATE NOT NULL,
  judged_at TIMESTAMP NOT NULL,
  recorded_at TIMESTAMP NOT NULL,
  conditions INT64 NOT NULL,
  raised INT64 NOT NULL,
  conditions_hash STRING NOT NULL,
  PRIMARY KEY (judgement_id) NOT ENFORCED
)
CLUSTER BY asset_type

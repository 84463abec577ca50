-- Grain: one row per (date, asset_type, report, metric, subject).
-- What Evidently measured on its sample, and what it concluded. report is data_drift or performance; subject is a feature, or the
-- window (`current`, `reference`) that a performance metric was measured on, or `all`. verdict is DRIFT or NO_DRIFT, NULL where
-- Evidently concludes nothing; table_verdict is what the tables say about the same thing from all rows.
CREATE TABLE IF NOT EXISTS `tradehits.evidently_results` (
  date DATE NOT NULL,
  asset_type STRING NOT NULL,
  report STRING NOT NULL,
  metric STRING NOT NULL,
  subject STRING NOT NULL,
  value FLOAT64,
  method STRING,
  threshold FLOAT64,
  verdict STRING,
  table_verdict STRING,
  reference_rows INT64 NOT NULL,
  current_rows INT64 NOT NULL,
  seed INT64 NOT NULL,
  model_version STRING NOT NULL,
  prediction_source STRING,
  evidently_version STRING NOT NULL,
  created_at TIMESTAMP NOT NULL,
  PRIMARY KEY (date, asset_type, report, metric, subject) NOT ENFORCED
)
PARTITION BY DATE_TRUNC(date, MONTH)
CLUSTER BY asset_type, report

-- Grain: one row per (call_id).
-- Every question put to Gemini, answered or not. datetime is the bar it was asked about.
CREATE TABLE IF NOT EXISTS `tradehits.gemini_calls` (
  call_id STRING NOT NULL,
  called_at TIMESTAMP NOT NULL,
  asset_type STRING NOT NULL,
  symbol STRING NOT NULL,
  datetime TIMESTAMP NOT NULL,
  model STRING NOT NULL,
  prompt_hash STRING NOT NULL,
  status STRING NOT NULL,
  prediction STRING,
  confidence FLOAT64,
  reasoning STRING,
  risk_level STRING,
  latency_seconds FLOAT64,
  input_tokens INT64,
  output_tokens INT64,
  cost_usd FLOAT64,
  error STRING,
  PRIMARY KEY (call_id) NOT ENFORCED
)
PARTITION BY TIMESTAMP_TRUNC(called_at, MONTH)
CLUSTER BY asset_type, symbol

-- Grain: one row per (trade_id).
-- A trade enters at the open of the bar after its signal. position_size is negative for a short; returns are after costs.
CREATE TABLE IF NOT EXISTS `ml_models.backtest_trades` (
  trade_id STRING NOT NULL,
  backtest_id STRING NOT NULL,
  asset_type STRING NOT NULL,
  symbol STRING NOT NULL,
  entry_date DATE NOT NULL,
  entry_price FLOAT64 NOT NULL,
  entry_signal STRING NOT NULL,
  entry_confidence STRING,
  entry_probability FLOAT64,
  entry_growth_score INT64,
  exit_date DATE,
  exit_price FLOAT64,
  exit_reason STRING,
  position_size FLOAT64,
  return_pct FLOAT64,
  return_usd FLOAT64,
  costs_usd FLOAT64,
  holding_days INT64,
  is_winner BOOL,
  atr_at_entry FLOAT64,
  volatility_at_entry FLOAT64,
  trend_regime_at_entry STRING,
  PRIMARY KEY (trade_id) NOT ENFORCED
)
PARTITION BY DATE_TRUNC(entry_date, MONTH)
CLUSTER BY backtest_id, symbol

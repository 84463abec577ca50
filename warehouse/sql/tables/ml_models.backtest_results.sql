-- Grain: one row per (backtest_id).
-- monte_carlo and parameters are JSON text. avg_loss_pct is positive; var_95_pct, cvar_95_pct are negative for a loss;
-- max_drawdown_pct is 0 or negative: -20 is a fifth below the highest equity so far, the starting capital included.
-- Rows of an earlier system carry legacy_v2 in notes.
CREATE TABLE IF NOT EXISTS `ml_models.backtest_results` (
  backtest_id STRING NOT NULL,
  created_at TIMESTAMP NOT NULL,
  strategy_name STRING NOT NULL,
  asset_type STRING NOT NULL,
  start_date DATE NOT NULL,
  end_date DATE NOT NULL,
  total_trades INT64,
  winning_trades INT64,
  losing_trades INT64,
  win_rate FLOAT64,
  avg_win_pct FLOAT64,
  avg_loss_pct FLOAT64,
  profit_factor FLOAT64,
  total_return_pct FLOAT64,
  annualized_return_pct FLOAT64,
  max_drawdown_pct FLOAT64,
  avg_trade_return_pct FLOAT64,
  sharpe_ratio FLOAT64,
  sortino_ratio FLOAT64,
  calmar_ratio FLOAT64,
  volatility_pct FLOAT64,
  var_95_pct FLOAT64,
  cvar_95_pct FLOAT64,
  benchmark_return_pct FLOAT64,
  alpha FLOAT64,
  beta FLOAT64,
  avg_position_size FLOAT64,
  max_position_size FLOAT64,
  deflated_sharpe_ratio FLOAT64,
  trials INT64,
  monte_carlo STRING,
  costs_pct FLOAT64,
  parameters STRING,
  model_version STRING,
  notes STRING,
  PRIMARY KEY (backtest_id) NOT ENFORCED
)
CLUSTER BY asset_type, strategy_name

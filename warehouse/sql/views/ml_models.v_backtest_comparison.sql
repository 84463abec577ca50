-- Grain: one row per backtest_id; rows of the earlier system (legacy_v2 in notes) are not ranked and not shown.
-- Ranks are within the asset class, 1 is best, equal values share a rank, unknown values come last. A grade needs all of its
-- three figures (D: two).
SELECT
  backtest_id,
  created_at,
  strategy_name,
  asset_type,
  start_date,
  end_date,
  total_trades,
  win_rate,
  profit_factor,
  total_return_pct,
  annualized_return_pct,
  max_drawdown_pct,
  sharpe_ratio,
  sortino_ratio,
  calmar_ratio,
  var_95_pct,
  cvar_95_pct,
  benchmark_return_pct,
  alpha,
  beta,
  deflated_sharpe_ratio,
  trials,
  costs_pct,
  model_version,
  RANK() OVER (PARTITION BY asset_type ORDER BY sharpe_ratio DESC) AS sharpe_rank,
  RANK() OVER (PARTITION BY asset_type ORDER BY total_return_pct DESC) AS return_rank,
  RANK() OVER (PARTITION BY asset_type ORDER BY win_rate DESC) AS winrate_rank,
  CASE
    WHEN sharpe_ratio >= 2 AND win_rate >= 60 AND profit_factor >= 2 THEN 'A'
    WHEN sharpe_ratio >= 1.5 AND win_rate >= 55 AND profit_factor >= 1.5 THEN 'B'
    WHEN sharpe_ratio >= 1 AND win_rate >= 50 AND profit_factor >= 1.2 THEN 'C'
    WHEN sharpe_ratio >= 0.5 AND win_rate >= 45 THEN 'D'
    ELSE 'F'
  END AS grade
FROM `ml_models.backtest_results`
WHERE STRPOS(COALESCE(notes, ''), 'legacy_v2') = 0

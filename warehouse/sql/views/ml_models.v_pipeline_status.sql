-- Grain: one row per asset_type, always three rows.
-- total_ml_rows, total_ml_size_mb and latest_table_update are of the whole dataset ml_models. Every other figure is of the
-- asset class, read at its own "today"; a class without bars has NULLs and health NO_DATA.
-- accuracy_30d_avg pools the counts of the last 30 days; base_rate_30d, edge_30d_points and its 95% interval are of the same days
-- (tradehits.v_edge_30d). The newest prediction is stale when more than two sessions have closed
-- since its bar. A crypto session closes when its UTC day ends. Where the calendar does not reach up to today, more than six
-- calendar days (two sessions, a weekend, a holiday and the day not yet closed) are stale too.
WITH storage AS (
  SELECT
    SUM(row_count) AS total_ml_rows,
    SUM(size_bytes) / 1048576 AS total_ml_size_mb,
    TIMESTAMP_MILLIS(MAX(last_modified_time)) AS latest_table_update
  FROM `ml_models.__TABLES__`
  WHERE NOT STARTS_WITH(table_id, 'v_')
),

bars AS (
  SELECT
    'stocks' AS asset_type,
    MAX(datetime) AS newest
  FROM `crypto_trading_data.stocks_daily_clean`
  UNION ALL
  SELECT
    'etf' AS asset_type,
    MAX(datetime) AS newest
  FROM `crypto_trading_data.etfs_daily_clean`
  UNION ALL
  SELECT
    'crypto' AS asset_type,
    MAX(datetime) AS newest
  FROM `crypto_trading_data.crypto_daily_clean`
),

performance AS (
  SELECT
    daily.asset_type,
    daily.date,
    daily.total_predictions,
    daily.correct_predictions,
    daily.accuracy_pct,
    daily.drift_detected,
    daily.date > DATE_SUB(asset.today, INTERVAL 30 DAY) AS is_last_30_days,
    ROW_NUMBER() OVER (PARTITION BY daily.asset_type ORDER BY daily.date DESC) AS newest_first
  FROM `ml_models.model_performance_daily` AS daily
  INNER JOIN `tradehits.v_performance_source` AS chosen
    ON daily.asset_type = chosen.asset_type AND daily.prediction_source = chosen.prediction_source
  INNER JOIN `tradehits.v_today` AS asset ON daily.asset_type = asset.asset_type
  WHERE daily.date <= asset.today
),

models AS (
  SELECT
    asset_type,
    MAX(date) AS model_latest_date,
    SAFE_DIVIDE(
      SUM(IF(is_last_30_days, correct_predictions, NULL)), SUM(IF(is_last_30_days, total_predictions, NULL))
    ) * 100 AS accuracy_30d_avg,
    MAX(IF(newest_first = 1, accuracy_pct, NULL)) AS accuracy_latest,
    COUNTIF(is_last_30_days AND drift_detected) AS drift_days_30d
  FROM performance
  GROUP BY asset_type
),

dated_predictions AS (
  SELECT
    prediction.asset_type,
    DATE(prediction.datetime) AS date,
    DATE(prediction.datetime) > DATE_SUB(asset.today, INTERVAL 7 DAY) AS is_last_7_days,
    prediction.signal,
    prediction.ensemble_confidence,
    prediction.ensemble_up_probability
  FROM `ml_models.realtime_predictions` AS prediction
  INNER JOIN `tradehits.v_today` AS asset ON prediction.asset_type = asset.asset_type
  WHERE DATE(prediction.datetime) <= asset.today
),

predictions AS (
  SELECT
    asset_type,
    COUNTIF(is_last_7_days) AS predictions_7d,
    MAX(date) AS latest_prediction_date,
    COUNTIF(is_last_7_days AND signal = 'BUY') AS buy_signals_7d,
    COUNTIF(is_last_7_days AND signal = 'SELL') AS sell_signals_7d,
    COUNTIF(is_last_7_days AND ensemble_confidence = 'HIGH') AS high_conf_7d,
    MIN(IF(is_last_7_days, ensemble_up_probability, NULL)) AS min_up_probability_7d,
    MAX(IF(is_last_7_days, ensemble_up_probability, NULL)) AS max_up_probability_7d
  FROM dated_predictions
  GROUP BY asset_type
),

closed_sessions AS (
  SELECT
    asset.asset_type,
    COUNTIF(sessions.session > predictions.latest_prediction_date AND sessions.close_at <= asset.now_at)
      AS closed_since_prediction,
    MAX(sessions.session) AS last_known_session
  FROM `tradehits.v_today` AS asset
  INNER JOIN predictions ON asset.asset_type = predictions.asset_type
  INNER JOIN `tradehits.sessions` AS sessions ON asset.calendar = sessions.calendar
  GROUP BY asset.asset_type
),

ages AS (
  SELECT
    asset.asset_type,
    CASE
      WHEN predictions.latest_prediction_date IS NULL THEN TRUE
      WHEN asset.calendar IS NULL THEN DATE_DIFF(asset.today, predictions.latest_prediction_date, DAY) - 1 > 2
      WHEN closed_sessions.closed_since_prediction > 2 THEN TRUE
      WHEN closed_sessions.last_known_session >= asset.today THEN FALSE
      ELSE DATE_DIFF(asset.today, predictions.latest_prediction_date, DAY) > 6
    END AS is_stale
  FROM `tradehits.v_today` AS asset
  LEFT JOIN predictions ON asset.asset_type = predictions.asset_type
  LEFT JOIN closed_sessions ON asset.asset_type = closed_sessions.asset_type
),

champions AS (
  SELECT
    REPLACE(component_name, 'walk_forward_', '') AS asset_type,
    version AS champion_version
  FROM `ml_models.deployment_log`
  WHERE component = 'MODEL' AND status = 'SUCCESS' AND STARTS_WITH(component_name, 'walk_forward_')
  QUALIFY ROW_NUMBER() OVER (PARTITION BY component_name ORDER BY deployed_at DESC, deployment_id DESC) = 1
)

SELECT
  asset.now_at AS report_time,
  storage.total_ml_rows,
  storage.total_ml_size_mb,
  storage.latest_table_update,
  asset.asset_type,
  models.model_latest_date,
  models.accuracy_30d_avg,
  models.accuracy_latest,
  IF(bars.newest IS NULL, NULL, COALESCE(models.drift_days_30d, 0)) AS drift_days_30d,
  IF(bars.newest IS NULL, NULL, COALESCE(predictions.predictions_7d, 0)) AS predictions_7d,
  predictions.latest_prediction_date,
  IF(bars.newest IS NULL, NULL, COALESCE(predictions.buy_signals_7d, 0)) AS buy_signals_7d,
  IF(bars.newest IS NULL, NULL, COALESCE(predictions.sell_signals_7d, 0)) AS sell_signals_7d,
  IF(bars.newest IS NULL, NULL, COALESCE(predictions.high_conf_7d, 0)) AS high_conf_7d,
  IF(bars.newest IS NULL, NULL, alerts.open_alerts) AS open_alerts,
  champions.champion_version,
  CASE
    WHEN bars.newest IS NULL THEN 'NO_DATA'
    WHEN ages.is_stale THEN 'STALE'
    WHEN models.drift_days_30d >= 5 OR alerts.open_critical_alerts > 0 THEN 'CRITICAL'
    WHEN models.drift_days_30d >= 2 OR alerts.open_warning_alerts > 0 THEN 'WARNING'
    WHEN edge.edge_lower_95 > 0 THEN 'HEALTHY'
    WHEN edge.edge_upper_95 < 0 THEN 'NEEDS_ATTENTION'
    ELSE 'FAIR'
  END AS pipeline_health,
  predictions.min_up_probability_7d,
  predictions.max_up_probability_7d,
  edge.base_rate_pct AS base_rate_30d,
  edge.edge_points AS edge_30d_points,
  edge.edge_lower_95,
  edge.edge_upper_95
FROM `tradehits.v_today` AS asset
CROSS JOIN storage
INNER JOIN bars ON asset.asset_type = bars.asset_type
INNER JOIN ages ON asset.asset_type = ages.asset_type
INNER JOIN `tradehits.v_open_alerts` AS alerts ON asset.asset_type = alerts.asset_type
INNER JOIN `tradehits.v_edge_30d` AS edge ON asset.asset_type = edge.asset_type
LEFT JOIN models ON asset.asset_type = models.asset_type
LEFT JOIN predictions ON asset.asset_type = predictions.asset_type
LEFT JOIN champions ON asset.asset_type = champions.asset_type

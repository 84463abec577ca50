-- Grain: one row per (date, asset_type), the last 30 days of the source that the asset class is judged by.
-- model_health_score is out of 100: 40 for accuracy, 20 each for precision, recall and the absence of drift; a precision or
-- recall that is undefined (no such rows) earns nothing. model_status is of the class, not of the day: an open alert, else the
-- edge over the base rate in these 30 days (tradehits.v_edge_30d); an edge without an interval proves nothing, hence FAIR.
SELECT
  daily.date,
  daily.asset_type,
  daily.prediction_source,
  daily.total_predictions,
  daily.correct_predictions,
  daily.accuracy_pct,
  daily.accuracy_high_conf,
  daily.accuracy_medium_conf,
  daily.accuracy_low_conf,
  daily.base_rate_pct,
  daily.up_share_pct,
  daily.avg_up_probability,
  daily.brier_score,
  daily.log_loss,
  daily.buy_signals,
  daily.sell_signals,
  daily.hold_signals,
  daily.true_positives,
  daily.false_positives,
  daily.true_negatives,
  daily.false_negatives,
  daily.precision_score,
  daily.recall_score,
  daily.f1_score,
  daily.rolling_7d_accuracy,
  daily.rolling_30d_accuracy,
  daily.baseline_accuracy,
  daily.drift_detected,
  daily.drift_type,
  daily.created_at,
  0.4 * daily.accuracy_pct
  + 20 * COALESCE(daily.precision_score, 0)
  + 20 * COALESCE(daily.recall_score, 0)
  + IF(COALESCE(daily.drift_detected, FALSE), 0, 20) AS model_health_score,
  CASE
    WHEN alerts.open_critical_alerts > 0 THEN 'CRITICAL'
    WHEN alerts.open_warning_alerts > 0 THEN 'WARNING'
    WHEN edge.edge_lower_95 > 2 THEN 'EXCELLENT'
    WHEN edge.edge_lower_95 > 0 THEN 'GOOD'
    WHEN edge.edge_upper_95 < 0 THEN 'NEEDS_ATTENTION'
    ELSE 'FAIR'
  END AS model_status,
  alerts.open_alerts AS alert_count,
  edge.edge_points AS edge_30d_points,
  edge.edge_lower_95,
  edge.edge_upper_95
FROM `ml_models.model_performance_daily` AS daily
INNER JOIN `tradehits.v_today` AS asset ON daily.asset_type = asset.asset_type
INNER JOIN `tradehits.v_edge_30d` AS edge
  ON daily.asset_type = edge.asset_type AND daily.prediction_source = edge.prediction_source
INNER JOIN `tradehits.v_open_alerts` AS alerts ON daily.asset_type = alerts.asset_type
WHERE
  daily.date > DATE_SUB(asset.today, INTERVAL 30 DAY)
  AND daily.date <= asset.today

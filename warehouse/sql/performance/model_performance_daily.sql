-- Grain: one row per (date, asset_type, prediction_source) with a known outcome: every column of model_performance_daily.
-- Parameters: @asset_type; @first and @last, dates of the rows wanted; @now, what became known later does not count;
-- @warning_ratio, @critical_ratio, and the smallest counts on which the rule about the last seven days is judged.
-- live: the ensemble as it was called on the day, without back-fills. walk_forward: the champion's record, its XGBoost
-- probability under the thresholds in force. A live outcome whose bar is not stored any more counts.
-- Windows are calendar days that end with the row's own: 7 are d-6 to d, 30 are d-29 to d, and the baseline is d-36 to d-7,
-- so no day is in both sides of the comparison. They pool counts: a day with many predictions weighs as many.
-- After created_at, which the caller adds, come figures that the rule is told with; the table does not keep them.
WITH rows_known AS (
  SELECT
    'live' AS prediction_source,
    DATE(datetime) AS date,
    ensemble_up_probability AS up_probability,
    ensemble_direction = 'UP' AS is_predicted_up,
    actual_direction = 'UP' AS is_up,
    ensemble_confidence AS confidence,
    signal
  FROM `tradehits.v_live_predictions`
  WHERE
    asset_type = @asset_type
    AND datetime >= TIMESTAMP(DATE_SUB(@first, INTERVAL 36 DAY))
    AND datetime < TIMESTAMP(DATE_ADD(@last, INTERVAL 1 DAY))
    AND actual_direction IS NOT NULL
    AND NOT is_backfill
    AND created_at <= @now
    AND COALESCE(label_known_at <= @now, TRUE)
  UNION ALL
  SELECT
    'walk_forward' AS prediction_source,
    DATE(record.datetime) AS date,
    record.up_probability,
    record.predicted_direction = 1 AS is_predicted_up,
    record.actual_direction = 1 AS is_up,
    CASE
      WHEN
        record.up_probability >= asset.high_threshold OR record.up_probability <= asset.high_low_threshold THEN 'HIGH'
      WHEN
        record.up_probability >= asset.medium_threshold OR record.up_probability <= asset.medium_low_threshold
        THEN 'MEDIUM'
      ELSE 'LOW'
    END AS confidence,
    CASE
      WHEN record.up_probability >= asset.buy_threshold THEN 'BUY'
      WHEN record.up_probability <= asset.sell_threshold THEN 'SELL'
      ELSE 'HOLD'
    END AS signal
  FROM `ml_models.walk_forward_predictions_v2` AS record
  INNER JOIN `tradehits.v_today` AS asset ON record.asset_type = asset.asset_type
  WHERE
    record.asset_type = @asset_type
    AND record.datetime >= TIMESTAMP(DATE_SUB(@first, INTERVAL 36 DAY))
    AND record.datetime < TIMESTAMP(DATE_ADD(@last, INTERVAL 1 DAY))
    AND record.actual_direction IS NOT NULL
    AND record.bar_known_at <= @now
    AND record.label_known_at <= @now
),

-- A probability of 0 or 1 counts as one float64 epsilon away, as in market.metrics.log_loss.
scored AS (
  SELECT
    prediction_source,
    date,
    up_probability,
    is_predicted_up,
    is_up,
    is_predicted_up = is_up AS is_correct,
    confidence,
    signal,
    IF(is_up, 1 - up_probability, up_probability) AS miss,
    LEAST(GREATEST(IF(is_up, up_probability, 1 - up_probability), 2.220446049250313e-16), 1 - 2.220446049250313e-16)
      AS probability_of_outcome
  FROM rows_known
),

days AS (
  SELECT
    prediction_source,
    date,
    COUNT(*) AS total_predictions,
    COUNTIF(is_correct) AS correct_predictions,
    SAFE_DIVIDE(COUNTIF(is_correct AND confidence = 'HIGH'), COUNTIF(confidence = 'HIGH')) * 100 AS accuracy_high_conf,
    SAFE_DIVIDE(COUNTIF(is_correct AND confidence = 'MEDIUM'), COUNTIF(confidence = 'MEDIUM')) * 100
      AS accuracy_medium_conf,
    SAFE_DIVIDE(COUNTIF(is_correct AND confidence = 'LOW'), COUNTIF(confidence = 'LOW')) * 100 AS accuracy_low_conf,
    COUNTIF(is_up) AS up_rows,
    AVG(up_probability) AS avg_up_probability,
    AVG(miss * miss) AS brier_score,
    -AVG(LN(probability_of_outcome)) AS log_loss,
    COUNTIF(signal = 'BUY') AS buy_signals,
    COUNTIF(signal = 'SELL') AS sell_signals,
    COUNTIF(signal = 'HOLD') AS hold_signals,
    COUNTIF(is_predicted_up AND is_up) AS true_positives,
    COUNTIF(is_predicted_up AND NOT is_up) AS false_positives,
    COUNTIF(NOT is_predicted_up AND NOT is_up) AS true_negatives,
    COUNTIF(NOT is_predicted_up AND is_up) AS false_negatives
  FROM scored
  GROUP BY prediction_source, date
),

windows AS (
  SELECT
    *,
    SUM(correct_predictions) OVER last_7 AS recent_correct,
    SUM(total_predictions) OVER last_7 AS recent_predictions,
    COUNT(*) OVER last_7 AS recent_days,
    SUM(correct_predictions) OVER last_30 AS month_correct,
    SUM(total_predictions) OVER last_30 AS month_predictions,
    SUM(correct_predictions) OVER before_7 AS baseline_correct,
    COALESCE(SUM(total_predictions) OVER before_7, 0) AS baseline_predictions,
    COUNT(*) OVER before_7 AS baseline_days
  FROM days
  WINDOW
    last_7 AS (PARTITION BY prediction_source ORDER BY UNIX_DATE(date) RANGE BETWEEN 6 PRECEDING AND CURRENT ROW),
    last_30 AS (PARTITION BY prediction_source ORDER BY UNIX_DATE(date) RANGE BETWEEN 29 PRECEDING AND CURRENT ROW),
    before_7 AS (PARTITION BY prediction_source ORDER BY UNIX_DATE(date) RANGE BETWEEN 36 PRECEDING AND 7 PRECEDING)
),

compared AS (
  SELECT
    *,
    SAFE_DIVIDE(recent_correct, recent_predictions) * 100 AS rolling_7d_accuracy,
    SAFE_DIVIDE(month_correct, month_predictions) * 100 AS rolling_30d_accuracy,
    SAFE_DIVIDE(baseline_correct, baseline_predictions) * 100 AS baseline_accuracy,
    recent_days >= @min_recent_days AND baseline_days >= @min_baseline_days AS has_days,
    recent_predictions >= @min_recent_warning AND baseline_predictions >= @min_baseline_warning AS is_enough_for_warning,
    recent_predictions >= @min_recent_critical AND baseline_predictions >= @min_baseline_critical
      AS is_enough_for_critical
  FROM windows
),

-- Shares of counts are not exact in binary: an accuracy that equals its threshold must not fall below it by a last digit.
-- Between both thresholds with too few rows to tell a WARNING, nothing is judged: not even that it is none.
judged AS (
  SELECT
    *,
    CASE
      WHEN NOT has_days OR NOT is_enough_for_critical THEN NULL
      WHEN rolling_7d_accuracy - @critical_ratio * baseline_accuracy < -0.000000001 THEN 'CRITICAL'
      WHEN rolling_7d_accuracy - @warning_ratio * baseline_accuracy >= -0.000000001 THEN 'NONE'
      WHEN is_enough_for_warning THEN 'WARNING'
    END AS severity
  FROM compared
)

SELECT
  date,
  @asset_type AS asset_type,
  prediction_source,
  total_predictions,
  correct_predictions,
  SAFE_DIVIDE(correct_predictions, total_predictions) * 100 AS accuracy_pct,
  accuracy_high_conf,
  accuracy_medium_conf,
  accuracy_low_conf,
  SAFE_DIVIDE(GREATEST(up_rows, total_predictions - up_rows), total_predictions) * 100 AS base_rate_pct,
  SAFE_DIVIDE(up_rows, total_predictions) * 100 AS up_share_pct,
  avg_up_probability,
  brier_score,
  log_loss,
  buy_signals,
  sell_signals,
  hold_signals,
  true_positives,
  false_positives,
  true_negatives,
  false_negatives,
  SAFE_DIVIDE(true_positives, true_positives + false_positives) AS precision_score,
  SAFE_DIVIDE(true_positives, true_positives + false_negatives) AS recall_score,
  SAFE_DIVIDE(2 * true_positives, 2 * true_positives + false_positives + false_negatives) AS f1_score,
  rolling_7d_accuracy,
  rolling_30d_accuracy,
  baseline_accuracy,
  severity IN ('WARNING', 'CRITICAL') AS drift_detected,
  IF(severity IN ('WARNING', 'CRITICAL'), 'ACCURACY_DRIFT', NULL) AS drift_type,
  severity,
  recent_predictions,
  recent_days,
  baseline_predictions,
  baseline_days
FROM judged
WHERE date >= @first
ORDER BY prediction_source, date

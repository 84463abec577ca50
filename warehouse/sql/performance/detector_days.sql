-- Grain: one row per (is_own, date, is_known) with a prediction, sorted by date: sums from which decay is judged.
-- Parameters: @asset_type, @prediction_source; @now, what became known later does not count; @starts_at, where the model's
-- own days begin; @model_version, of its live predictions (empty: of any model); @first, the earliest bar that counts.
-- Own days hold the model's predictions from @starts_at on, of the source asked for. The days before are the out-of-sample
-- record in both cases: that is what the model was chosen for.
WITH predictions AS (
  SELECT
    bar_known_at >= @starts_at AS is_own,
    DATE(datetime) AS date,
    up_probability,
    predicted_direction = 1 AS is_predicted_up,
    actual_direction = 1 AS is_up,
    COALESCE(label_known_at <= @now, FALSE) AND actual_direction IS NOT NULL AS is_known
  FROM `ml_models.walk_forward_predictions_v2`
  WHERE
    asset_type = @asset_type
    AND datetime >= @first
    AND bar_known_at <= @now
    AND (bar_known_at < @starts_at OR @prediction_source = 'walk_forward')
  UNION ALL
  SELECT
    TRUE AS is_own,
    DATE(datetime) AS date,
    ensemble_up_probability AS up_probability,
    ensemble_direction = 'UP' AS is_predicted_up,
    actual_direction = 'UP' AS is_up,
    COALESCE(label_known_at <= @now, TRUE) AND actual_direction IS NOT NULL AS is_known
  FROM `tradehits.v_live_predictions`
  WHERE
    @prediction_source = 'live'
    AND asset_type = @asset_type
    AND datetime >= @first
    AND NOT is_backfill
    AND created_at <= @now
    AND bar_known_at >= @starts_at
    AND bar_known_at <= @now
    AND (model_version = @model_version OR @model_version = '')
),

scored AS (
  SELECT
    is_own,
    date,
    is_known,
    is_predicted_up,
    is_up,
    IF(is_up, 1 - up_probability, up_probability) * IF(is_up, 1 - up_probability, up_probability) AS squared_miss,
    GREATEST(up_probability, 1 - up_probability) AS confidence
  FROM predictions
)

SELECT
  is_own,
  date,
  is_known,
  COUNT(*) AS predictions,
  COUNTIF(is_predicted_up = is_up) AS correct,
  COUNTIF(is_predicted_up) AS predicted_up,
  COUNTIF(is_up) AS went_up,
  SUM(squared_miss) AS squared_miss,
  SUM(squared_miss * squared_miss) AS squared_miss_squares,
  SUM(confidence) AS confidence,
  SUM(confidence * confidence) AS confidence_squares
FROM scored
GROUP BY is_own, date, is_known
ORDER BY date, is_own, is_known

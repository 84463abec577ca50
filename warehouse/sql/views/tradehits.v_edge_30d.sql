-- Grain: one row per asset_type, always three rows.
-- How far accuracy stood above the base rate in the last 30 days, in points, with its 95% interval clustered by day: the
-- symbols of one day move together, so the day is the unit and not the prediction.
-- With, on day i, n_i predictions, c_i correct ones and b_i rows of the majority class of all K days together:
--   N = sum n_i;  edge = sum(c_i - b_i) / N;  r_i = (c_i - b_i) - edge * n_i
--   se = sqrt(K / (K - 1) * sum r_i^2) / N    (linearised variance of a ratio: Cochran, Sampling Techniques, 6.4)
--   interval = edge +- q * se, q = z + (z^3 + z) / (4 * (K - 1)), z = 1.959964: Student's t quantile to first order
-- The interval is NULL with fewer than two days: nothing is shown by it then.
WITH days AS (
  SELECT
    daily.asset_type,
    daily.prediction_source,
    daily.date,
    daily.total_predictions,
    daily.correct_predictions,
    daily.true_positives + daily.false_negatives AS up_rows
  FROM `ml_models.model_performance_daily` AS daily
  INNER JOIN `tradehits.v_performance_source` AS chosen
    ON daily.asset_type = chosen.asset_type AND daily.prediction_source = chosen.prediction_source
  INNER JOIN `tradehits.v_today` AS asset ON daily.asset_type = asset.asset_type
  WHERE
    daily.total_predictions > 0
    AND daily.date > DATE_SUB(asset.today, INTERVAL 30 DAY)
    AND daily.date <= asset.today
),

pooled AS (
  SELECT
    asset_type,
    COUNT(*) AS day_count,
    SUM(total_predictions) AS total_predictions,
    SUM(correct_predictions) AS correct_predictions,
    GREATEST(SUM(up_rows), SUM(total_predictions) - SUM(up_rows)) AS majority_rows,
    SUM(up_rows) * 2 >= SUM(total_predictions) AS is_majority_up
  FROM days
  GROUP BY asset_type
),

residuals AS (
  SELECT
    days.asset_type,
    days.correct_predictions - IF(pooled.is_majority_up, days.up_rows, days.total_predictions - days.up_rows)
    - SAFE_DIVIDE(pooled.correct_predictions - pooled.majority_rows, pooled.total_predictions) * days.total_predictions
      AS residual
  FROM days
  INNER JOIN pooled ON days.asset_type = pooled.asset_type
),

spread AS (
  SELECT
    asset_type,
    SUM(residual * residual) AS squared_residuals
  FROM residuals
  GROUP BY asset_type
),

edges AS (
  SELECT
    pooled.asset_type,
    pooled.day_count,
    pooled.total_predictions,
    SAFE_DIVIDE(pooled.correct_predictions, pooled.total_predictions) * 100 AS accuracy_pct,
    SAFE_DIVIDE(pooled.majority_rows, pooled.total_predictions) * 100 AS base_rate_pct,
    SAFE_DIVIDE(pooled.correct_predictions - pooled.majority_rows, pooled.total_predictions) * 100 AS edge_points,
    IF(
      pooled.day_count > 1,
      (1.959964 + SAFE_DIVIDE(POW(1.959964, 3) + 1.959964, 4 * (pooled.day_count - 1)))
      * SAFE_DIVIDE(
        SQRT(SAFE_DIVIDE(pooled.day_count, pooled.day_count - 1) * spread.squared_residuals), pooled.total_predictions
      ) * 100,
      NULL
    ) AS margin_points
  FROM pooled
  INNER JOIN spread ON pooled.asset_type = spread.asset_type
)

SELECT
  chosen.asset_type,
  chosen.prediction_source,
  COALESCE(edges.day_count, 0) AS day_count,
  COALESCE(edges.total_predictions, 0) AS total_predictions,
  edges.accuracy_pct,
  edges.base_rate_pct,
  edges.edge_points,
  edges.edge_points - edges.margin_points AS edge_lower_95,
  edges.edge_points + edges.margin_points AS edge_upper_95
FROM `tradehits.v_performance_source` AS chosen
LEFT JOIN edges ON chosen.asset_type = edges.asset_type

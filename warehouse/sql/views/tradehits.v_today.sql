-- Grain: one row per asset_type, always three rows.
-- What "now" and "today" (UTC) mean for each asset class, and the thresholds in force. Every other view reads time here, so
-- that a replay moves all of them at once: this is the only current-time function of the project's SQL.
-- `low` thresholds mirror the high ones around 1/2; rounding makes 1 - 0.55 the number 0.45.
WITH classes AS (
  SELECT asset_type FROM UNNEST(['stocks', 'etf', 'crypto']) AS asset_type
),

settings AS (
  SELECT
    classes.asset_type,
    COALESCE(stored.clock, 'wall') AS clock,
    COALESCE(stored.now_at, CURRENT_TIMESTAMP()) AS now_at,
    COALESCE(stored.buy_threshold, 0.60) AS buy_threshold,
    COALESCE(stored.sell_threshold, 0.40) AS sell_threshold,
    COALESCE(stored.high_threshold, 0.65) AS high_threshold,
    COALESCE(stored.medium_threshold, 0.55) AS medium_threshold,
    COALESCE(stored.min_live_predictions, 200) AS min_live_predictions,
    COALESCE(stored.drift_warning_ratio, 0.85) AS drift_warning_ratio,
    COALESCE(stored.drift_critical_ratio, 0.75) AS drift_critical_ratio,
    IF(classes.asset_type = 'crypto', NULL, COALESCE(stored.calendar, 'XNYS')) AS calendar
  FROM classes
  LEFT JOIN `tradehits.asset_settings` AS stored ON classes.asset_type = stored.asset_type
)

SELECT
  asset_type,
  clock,
  now_at,
  DATE(now_at) AS today,
  buy_threshold,
  sell_threshold,
  high_threshold,
  ROUND(1 - high_threshold, 12) AS high_low_threshold,
  medium_threshold,
  ROUND(1 - medium_threshold, 12) AS medium_low_threshold,
  min_live_predictions,
  drift_warning_ratio,
  drift_critical_ratio,
  calendar
FROM settings

-- Grain: one row per asset_type, always three rows.
-- Which record of performance views, health and alerts read: `live` once it has min_live_predictions matured rows (made and
-- their outcome known by the class's clock, no back-fill) among the bars of the last 37 days (7 days against the 30 before
-- them), else `walk_forward`.
WITH matured AS (
  SELECT
    live.asset_type,
    COUNT(*) AS matured_rows
  FROM `tradehits.v_live_predictions` AS live
  INNER JOIN `tradehits.v_today` AS asset ON live.asset_type = asset.asset_type
  WHERE
    live.actual_direction IS NOT NULL
    AND NOT live.is_backfill
    AND live.created_at <= asset.now_at
    AND COALESCE(live.label_known_at <= asset.now_at, TRUE)
    AND DATE(live.datetime) > DATE_SUB(asset.today, INTERVAL 37 DAY)
    AND DATE(live.datetime) <= asset.today
  GROUP BY live.asset_type
)

SELECT
  asset.asset_type,
  IF(COALESCE(matured.matured_rows, 0) >= asset.min_live_predictions, 'live', 'walk_forward') AS prediction_source,
  COALESCE(matured.matured_rows, 0) AS live_matured_rows_37d
FROM `tradehits.v_today` AS asset
LEFT JOIN matured ON asset.asset_type = matured.asset_type

-- Grain: one row, the asset class @asset_type.
-- The rule of tradehits.v_performance_source as it read at the instant @now, whose date was @today.
SELECT
  IF(COUNTIF(live.actual_direction IS NOT NULL) >= asset.min_live_predictions, 'live', 'walk_forward')
    AS prediction_source
FROM `tradehits.v_today` AS asset
LEFT JOIN `tradehits.v_live_predictions` AS live
  ON
    asset.asset_type = live.asset_type
    AND NOT live.is_backfill
    AND live.created_at <= @now
    AND COALESCE(live.label_known_at <= @now, TRUE)
    AND live.datetime >= TIMESTAMP(DATE_SUB(@today, INTERVAL 36 DAY))
    AND live.datetime < TIMESTAMP(DATE_ADD(@today, INTERVAL 1 DAY))
WHERE asset.asset_type = @asset_type
GROUP BY asset.min_live_predictions

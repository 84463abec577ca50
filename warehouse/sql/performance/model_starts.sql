-- Grain: one row, the asset class @asset_type.
-- Since when the model that predicts at the instant @now has been predicting: what its days are compared with lies before.
-- starts_at: the newest trained_through at @now, of the published champion or of the record's newest rows (the model of
-- the fold at a past instant, when today's champion did not exist yet); NULL without either. @recent bounds the search.
-- model_version: the champion's where it is the one that starts there, else NULL.
WITH champion AS (
  SELECT
    trained_through,
    model_version
  FROM `tradehits.champions`
  WHERE asset_type = @asset_type AND trained_through <= @now
),

starts AS (
  SELECT trained_through FROM champion
  UNION ALL
  SELECT trained_through
  FROM `ml_models.walk_forward_predictions_v2`
  WHERE asset_type = @asset_type AND datetime >= @recent AND bar_known_at <= @now
),

newest AS (
  SELECT MAX(trained_through) AS starts_at FROM starts
)

SELECT
  newest.starts_at,
  champion.model_version
FROM newest
LEFT JOIN champion ON newest.starts_at = champion.trained_through

-- Grain: one row per (asset_type, symbol, datetime): every prediction of realtime_predictions.
-- With the times of its bar and of the next one. A prediction made when the next bar could be known already is a back-fill:
-- it is no evidence of live performance. A row whose bar is not stored any more has neither time, and is none.
SELECT
  prediction.*,
  bar.bar_known_at,
  bar.label_known_at,
  COALESCE(prediction.created_at >= bar.label_known_at, FALSE) AS is_backfill
FROM `ml_models.realtime_predictions` AS prediction
LEFT JOIN `ml_models.walk_forward_features_v2` AS bar
  ON
    prediction.asset_type = bar.asset_type
    AND prediction.symbol = bar.symbol
    AND prediction.datetime = bar.datetime

-- Grain: one row per (date, asset_type, signal, ensemble_confidence); date is the bar's, the last 7 days.
-- top_symbols are the (at most 10) strongest of the group. HOLD is a signal like the others, so a day without a BUY or SELL
-- shows its HOLD rows with the range of their probabilities.
WITH recent AS (
  SELECT
    DATE(prediction.datetime) AS date,
    prediction.asset_type,
    prediction.signal,
    prediction.ensemble_confidence,
    prediction.symbol,
    prediction.signal_strength,
    prediction.growth_score,
    prediction.ensemble_up_probability
  FROM `ml_models.realtime_predictions` AS prediction
  INNER JOIN `tradehits.v_today` AS asset ON prediction.asset_type = asset.asset_type
  WHERE
    DATE(prediction.datetime) > DATE_SUB(asset.today, INTERVAL 7 DAY)
    AND DATE(prediction.datetime) <= asset.today
),

ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY date, asset_type, signal, ensemble_confidence ORDER BY signal_strength DESC, symbol ASC
    ) AS strength_rank
  FROM recent
)

SELECT
  date,
  asset_type,
  signal,
  ensemble_confidence,
  COUNT(*) AS signal_count,
  ARRAY_AGG(IF(strength_rank <= 10, symbol, NULL) IGNORE NULLS ORDER BY strength_rank) AS top_symbols,
  AVG(signal_strength) AS avg_strength,
  AVG(growth_score) AS avg_growth_score,
  MIN(ensemble_up_probability) AS min_up_probability,
  MAX(ensemble_up_probability) AS max_up_probability
FROM ranked
GROUP BY date, asset_type, signal, ensemble_confidence

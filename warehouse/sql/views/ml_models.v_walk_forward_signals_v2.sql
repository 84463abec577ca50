-- Grain: one row per (asset_type, symbol, datetime) of the champion's VALIDATE record.
-- trade_recommendation asks for growth beside the probability, so it is stricter than a signal; BUY and SELL follow the
-- configured thresholds, STRONG_ ones lie at 0.70 and 0.30 and never outside them. key_factors lists what stands out, or none.
SELECT
  record.asset_type,
  record.symbol,
  record.datetime,
  record.close AS price,
  record.up_probability,
  ROUND(record.up_probability * 100, 2) AS up_probability_pct,
  record.predicted_direction,
  record.actual_direction,
  record.forward_return_pct,
  CASE
    WHEN record.up_probability >= asset.buy_threshold THEN 'BUY'
    WHEN record.up_probability <= asset.sell_threshold THEN 'SELL'
    ELSE 'HOLD'
  END AS signal,
  CASE
    WHEN record.up_probability >= asset.high_threshold OR record.up_probability <= asset.high_low_threshold THEN 'HIGH'
    WHEN
      record.up_probability >= asset.medium_threshold OR record.up_probability <= asset.medium_low_threshold
      THEN 'MEDIUM'
    ELSE 'LOW'
  END AS confidence_level,
  CASE
    WHEN
      record.up_probability >= GREATEST(0.70, asset.buy_threshold)
      AND record.growth_score >= 75 AND record.in_rise_cycle = 1
      THEN 'STRONG_BUY'
    WHEN record.up_probability >= asset.buy_threshold AND record.growth_score >= 50 THEN 'BUY'
    WHEN
      record.up_probability <= LEAST(0.30, asset.sell_threshold) AND record.growth_score <= 25 THEN 'STRONG_SELL'
    WHEN record.up_probability <= asset.sell_threshold AND record.growth_score <= 50 THEN 'SELL'
    ELSE 'HOLD'
  END AS trade_recommendation,
  COALESCE(
    NULLIF(
      RTRIM(
        CONCAT(
          IF(record.pivot_low_flag = 1, 'Pivot Low, ', ''),
          IF(record.pivot_high_flag = 1, 'Pivot High, ', ''),
          IF(record.rise_cycle_start = 1, 'Rise Start, ', IF(record.in_rise_cycle = 1, 'In Rise Cycle, ', '')),
          IF(record.golden_cross = 1, 'Golden Cross, ', ''),
          IF(record.rsi < 30, 'RSI Oversold, ', IF(record.rsi > 70, 'RSI Overbought, ', '')),
          IF(record.macd_histogram > 0, 'MACD Positive, ', ''),
          IF(record.adx > 25, 'Strong Trend, ', '')
        ),
        ', '
      ),
      ''
    ),
    'none'
  ) AS key_factors,
  record.rsi,
  record.macd_histogram,
  record.adx,
  record.atr,
  record.percent_change,
  record.growth_score,
  record.trend_regime,
  record.in_rise_cycle,
  record.rise_cycle_start,
  record.pivot_high_flag,
  record.pivot_low_flag,
  record.golden_cross,
  record.fold,
  record.bar_known_at,
  record.label_known_at,
  record.model_version,
  record.trained_through
FROM `ml_models.walk_forward_predictions_v2` AS record
INNER JOIN `tradehits.v_today` AS asset ON record.asset_type = asset.asset_type
WHERE record.data_split = 'VALIDATE'

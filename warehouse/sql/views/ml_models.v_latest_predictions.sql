-- Grain: one row per (asset_type, symbol): the prediction of its newest bar.
-- A recommendation needs a signal and at least MEDIUM confidence. A signal that no trend carries is COUNTER_TREND.
-- volatility_risk is NULL while the ATR is unknown.
WITH newest AS (
  SELECT *
  FROM `ml_models.realtime_predictions`
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY asset_type, symbol ORDER BY datetime DESC, created_at DESC) = 1
)

SELECT
  newest.*,
  CASE
    WHEN signal = 'BUY' AND ensemble_confidence = 'HIGH' THEN 'STRONG_BUY'
    WHEN signal = 'BUY' AND ensemble_confidence = 'MEDIUM' THEN 'MODERATE_BUY'
    WHEN signal = 'SELL' AND ensemble_confidence = 'HIGH' THEN 'STRONG_SELL'
    WHEN signal = 'SELL' AND ensemble_confidence = 'MEDIUM' THEN 'MODERATE_SELL'
    ELSE 'NEUTRAL'
  END AS action_recommendation,
  CASE
    WHEN SAFE_DIVIDE(atr, close) > 0.05 THEN 'HIGH'
    WHEN SAFE_DIVIDE(atr, close) > 0.02 THEN 'MEDIUM'
    WHEN SAFE_DIVIDE(atr, close) IS NOT NULL THEN 'LOW'
  END AS volatility_risk,
  CASE
    WHEN signal = 'HOLD' THEN 'NEUTRAL'
    WHEN signal = 'BUY' AND trend_regime IN ('STRONG_UPTREND', 'WEAK_UPTREND') THEN 'ALIGNED'
    WHEN signal = 'SELL' AND trend_regime IN ('STRONG_DOWNTREND', 'WEAK_DOWNTREND') THEN 'ALIGNED'
    ELSE 'COUNTER_TREND'
  END AS trend_alignment
FROM newest

-- Grain: one row per (asset_type, symbol) with at least 10 HIGH-confidence predictions of known outcome in VALIDATE.
-- base_rate is the majority share of the same rows. accuracy_lower_95 is the lower end of the Wilson interval,
--   (p + z^2 / 2n - z * sqrt(p * (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n),  z = 1.959964.
-- Returns are the real forward returns in the predicted direction (a correct short adds), in percent, before costs; total_return
-- is their sum. The best of many symbols is good by selection too: read accuracy_lower_95 beside base_rate.
WITH signals AS (
  SELECT
    asset_type,
    symbol,
    actual_direction,
    predicted_direction = actual_direction AS is_correct,
    IF(predicted_direction = 1, forward_return_pct, -forward_return_pct) AS return_pct
  FROM `ml_models.v_walk_forward_signals_v2`
  WHERE confidence_level = 'HIGH' AND actual_direction IS NOT NULL
),

symbols AS (
  SELECT
    asset_type,
    symbol,
    COUNT(*) AS total_signals,
    COUNTIF(is_correct) AS correct_signals,
    GREATEST(COUNTIF(actual_direction = 1), COUNTIF(actual_direction = 0)) AS majority_signals,
    SUM(return_pct) AS total_return,
    AVG(return_pct) AS avg_return
  FROM signals
  GROUP BY asset_type, symbol
),

rated AS (
  SELECT
    *,
    SAFE_DIVIDE(correct_signals, total_signals) AS hit_rate,
    SAFE_DIVIDE(POW(1.959964, 2), total_signals) AS z2_by_n
  FROM symbols
  WHERE total_signals >= 10
)

SELECT
  asset_type,
  symbol,
  total_signals,
  correct_signals,
  hit_rate * 100 AS accuracy,
  SAFE_DIVIDE(majority_signals, total_signals) * 100 AS base_rate,
  SAFE_DIVIDE(
    hit_rate + z2_by_n / 2
    - SQRT(z2_by_n * hit_rate * (1 - hit_rate) + POW(z2_by_n, 2) / 4),
    1 + z2_by_n
  ) * 100 AS accuracy_lower_95,
  total_return,
  avg_return,
  RANK() OVER (PARTITION BY asset_type ORDER BY hit_rate DESC, total_return DESC) AS rank_in_class
FROM rated

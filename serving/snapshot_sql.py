"""The questions a snapshot asks the warehouse, all in one read."""

from __future__ import annotations

CLASSES = """
SELECT asset_type, now_at, buy_threshold, sell_threshold, high_threshold, medium_threshold
FROM `tradehits.v_today`
"""

# A class without a champion has no row in tradehits.champions, and none here. A clock set into the past hides what was
# known later: bars, and the outcomes of bars.
WALK_FORWARD = """
WITH stored AS (
  SELECT p.*, t.now_at, TIMESTAMP_SUB(t.now_at, INTERVAL @history_days DAY) AS first_at
  FROM `ml_models.walk_forward_predictions_v2` AS p
  INNER JOIN `tradehits.v_today` AS t ON p.asset_type = t.asset_type
  INNER JOIN `tradehits.champions` AS c ON p.asset_type = c.asset_type
  WHERE p.bar_known_at <= t.now_at
),

recent AS (
  SELECT asset_type, symbol, COUNTIF(datetime >= first_at) AS recent_rows
  FROM stored
  GROUP BY asset_type, symbol
)

SELECT
  s.asset_type, s.symbol, s.datetime, s.bar_known_at, s.close AS price, s.atr, s.percent_change, s.up_probability,
  s.predicted_direction, IF(s.label_known_at <= s.now_at, s.label_known_at, NULL) AS label_known_at,
  IF(s.label_known_at <= s.now_at, s.actual_direction, NULL) AS actual_direction, s.rsi, s.macd_histogram, s.adx,
  s.growth_score, s.in_rise_cycle, s.rise_cycle_start, s.pivot_high_flag, s.pivot_low_flag, s.golden_cross,
  s.trend_regime, s.data_split, s.model_version
FROM stored AS s
INNER JOIN recent AS r ON s.asset_type = r.asset_type AND s.symbol = r.symbol
WHERE s.datetime >= s.first_at OR r.recent_rows < @history_rows
QUALIFY s.datetime >= s.first_at
  OR ROW_NUMBER() OVER (PARTITION BY s.asset_type, s.symbol ORDER BY s.datetime DESC) <= @history_rows
"""

# The window of v_signal_summary, and each symbol's newest row however old.
REALTIME = """
SELECT r.*, f.bar_known_at, f.label_known_at
FROM `ml_models.realtime_predictions` AS r
INNER JOIN `tradehits.v_today` AS t ON r.asset_type = t.asset_type
INNER JOIN `tradehits.champions` AS c ON r.asset_type = c.asset_type
LEFT JOIN `ml_models.walk_forward_features_v2` AS f
  ON r.asset_type = f.asset_type AND r.symbol = f.symbol AND r.datetime = f.datetime
WHERE COALESCE(f.bar_known_at, r.datetime) <= t.now_at
QUALIFY DATE(r.datetime) > DATE_SUB(t.today, INTERVAL @signal_days DAY)
  OR ROW_NUMBER() OVER (PARTITION BY r.asset_type, r.symbol ORDER BY r.datetime DESC) = 1
"""

# Counts by day: what accuracies and their intervals are made of.
DAYS = """
SELECT
  p.asset_type, p.data_split, DATE(p.datetime) AS day,
  p.up_probability >= t.high_threshold OR p.up_probability <= t.high_low_threshold AS is_high,
  COUNT(*) AS n, COUNTIF(p.predicted_direction = p.actual_direction) AS correct, COUNTIF(p.actual_direction = 1) AS up
FROM `ml_models.walk_forward_predictions_v2` AS p
INNER JOIN `tradehits.v_today` AS t ON p.asset_type = t.asset_type
INNER JOIN `tradehits.champions` AS c ON p.asset_type = c.asset_type
WHERE p.actual_direction IS NOT NULL AND p.label_known_at <= t.now_at
GROUP BY p.asset_type, p.data_split, day, is_high
"""

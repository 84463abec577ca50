-- Grain: one row per (asset_type, symbol, datetime): every stored daily bar of the symbols asked for.
-- Parameters: @asset_type STRING; @first_symbol, @last_symbol STRING (inclusive range, so that large classes are built in
-- chunks); @train_end, @test_end DATE (last days of TRAIN and TEST); @created_timestamp TIMESTAMP.
-- Every column but target_direction, forward_return_pct and label_known_at reads this bar and earlier bars of its own symbol
-- only. A comparison with NULL is not true, so a flag whose input is unknown is 0.
WITH bars AS (
  SELECT
    'stocks' AS asset_type,
    symbol, datetime, open, high, low, close, volume, percent_change, rsi, macd, macd_signal, macd_histogram, sma_20,
    sma_50, sma_200, ema_12, ema_20, ema_26, ema_50, ema_200, bollinger_upper, bollinger_middle, bollinger_lower, atr,
    adx, plus_di, minus_di, mfi, cmf, stoch_k, stoch_d, cci, williams_r, momentum, roc, obv, awesome_osc,
    volume_ratio, vwap_daily, bar_known_at, indicator_variant
  FROM `crypto_trading_data.stocks_daily_clean`
  WHERE @asset_type = 'stocks' AND symbol BETWEEN @first_symbol AND @last_symbol

  UNION ALL

  SELECT
    'etf' AS asset_type,
    symbol, datetime, open, high, low, close, volume, percent_change, rsi, macd, macd_signal, macd_histogram, sma_20,
    sma_50, sma_200, ema_12, ema_20, ema_26, ema_50, ema_200, bollinger_upper, bollinger_middle, bollinger_lower, atr,
    adx, plus_di, minus_di, mfi, cmf, stoch_k, stoch_d, cci, williams_r, momentum, roc, obv, awesome_osc,
    volume_ratio, vwap_daily, bar_known_at, indicator_variant
  FROM `crypto_trading_data.etfs_daily_clean`
  WHERE @asset_type = 'etf' AND symbol BETWEEN @first_symbol AND @last_symbol

  UNION ALL

  SELECT
    'crypto' AS asset_type,
    symbol, datetime, open, high, low, close, volume, percent_change, rsi, macd, macd_signal, macd_histogram, sma_20,
    sma_50, sma_200, ema_12, ema_20, ema_26, ema_50, ema_200, bollinger_upper, bollinger_middle, bollinger_lower, atr,
    adx, plus_di, minus_di, mfi, cmf, stoch_k, stoch_d, cci, williams_r, momentum, roc, obv, awesome_osc,
    volume_ratio, vwap_daily, bar_known_at, indicator_variant
  FROM `crypto_trading_data.crypto_daily_clean`
  WHERE @asset_type = 'crypto' AND symbol BETWEEN @first_symbol AND @last_symbol
),

looked_back AS (
  SELECT
    bars.*,
    ROW_NUMBER() OVER past AS bar_number,
    LAG(rsi) OVER past AS rsi_1,
    COUNT(rsi) OVER last_20 AS rsi_count_20,
    AVG(rsi) OVER last_20 AS rsi_mean_20,
    STDDEV_SAMP(rsi) OVER last_20 AS rsi_deviation_20,
    MIN(rsi) OVER last_20 AS rsi_min_20,
    MAX(rsi) OVER last_20 AS rsi_max_20,
    LAG(macd) OVER past AS macd_1,
    LAG(macd_signal) OVER past AS macd_signal_1,
    LAG(macd_histogram) OVER past AS macd_histogram_1,
    LAG(ema_12) OVER past AS ema_12_1,
    LAG(ema_26) OVER past AS ema_26_1,
    LAG(sma_50) OVER past AS sma_50_1,
    LAG(sma_200) OVER past AS sma_200_1,
    LAG(high, 1) OVER past AS high_1,
    LAG(high, 2) OVER past AS high_2,
    LAG(high, 3) OVER past AS high_3,
    LAG(high, 4) OVER past AS high_4,
    LAG(low, 1) OVER past AS low_1,
    LAG(low, 2) OVER past AS low_2,
    LAG(low, 3) OVER past AS low_3,
    LAG(low, 4) OVER past AS low_4,
    LAG(close, 5) OVER past AS close_5,
    LAG(close, 10) OVER past AS close_10,
    LAG(close, 20) OVER past AS close_20,
    LEAD(close) OVER past AS next_close,
    LEAD(bar_known_at) OVER past AS next_bar_known_at
  FROM bars
  WINDOW
    past AS (PARTITION BY symbol ORDER BY datetime),
    last_20 AS (PARTITION BY symbol ORDER BY datetime ROWS BETWEEN 19 PRECEDING AND CURRENT ROW)
)

SELECT
  asset_type, symbol, datetime, open, high, low, close, volume, percent_change,
  rsi, macd, macd_signal, macd_histogram, sma_20, sma_50, sma_200, ema_12, ema_20, ema_26, ema_50, ema_200,
  bollinger_upper, bollinger_middle, bollinger_lower, atr, adx, plus_di, minus_di, mfi, cmf, stoch_k, stoch_d, cci,
  williams_r, momentum, roc, obv, awesome_osc, volume_ratio, vwap_daily,
  bar_known_at,
  @created_timestamp AS created_timestamp,
  bar_number >= 200 AS is_warm,
  rsi - rsi_1 AS rsi_slope,
  -- Equal values are recognised exactly: their computed deviation may be a rounding error instead of 0.
  IF(rsi_count_20 = 20 AND rsi_max_20 > rsi_min_20, SAFE_DIVIDE(rsi - rsi_mean_20, rsi_deviation_20), NULL) AS rsi_zscore,
  IF(rsi > 70, 1, 0) AS rsi_overbought,
  IF(rsi < 30, 1, 0) AS rsi_oversold,
  IF(macd_histogram > macd_histogram_1, 1, 0) AS macd_rising,
  IF(macd_histogram_1 <= 0 AND macd_histogram > 0, 1, 0) AS macd_cross_up,
  CASE
    WHEN macd_1 <= macd_signal_1 AND macd > macd_signal THEN 1
    WHEN macd_1 >= macd_signal_1 AND macd < macd_signal THEN -1
    ELSE 0
  END AS macd_cross,
  SAFE_DIVIDE(macd_histogram, close) * 100 AS macd_histogram_pct,
  -- The bar two bars ago against the two before and the two after it: confirmed by this bar, never looking ahead.
  IF(high_2 > high_4 AND high_2 > high_3 AND high_2 > high_1 AND high_2 > high, 1, 0) AS pivot_high_flag,
  IF(low_2 < low_4 AND low_2 < low_3 AND low_2 < low_1 AND low_2 < low, 1, 0) AS pivot_low_flag,
  IF(ema_12 > ema_26, 1, 0) AS in_rise_cycle,
  IF(ema_12_1 <= ema_26_1 AND ema_12 > ema_26, 1, 0) AS rise_cycle_start,
  IF(ema_12_1 > ema_26_1 AND ema_12 <= ema_26, 1, 0) AS fall_cycle_start,
  IF(sma_50_1 <= sma_200_1 AND sma_50 > sma_200, 1, 0) AS golden_cross,
  IF(sma_50_1 >= sma_200_1 AND sma_50 < sma_200, 1, 0) AS death_cross,
  25 * (
    IF(rsi BETWEEN 50 AND 70, 1, 0) + IF(macd_histogram > 0, 1, 0) + IF(adx > 25, 1, 0) + IF(close > sma_200, 1, 0)
  ) AS growth_score,
  CASE
    WHEN adx IS NULL THEN 'CONSOLIDATION'
    WHEN close > sma_50 AND sma_50 > sma_200 AND adx > 25 THEN 'STRONG_UPTREND'
    WHEN close > sma_50 AND close > sma_200 THEN 'WEAK_UPTREND'
    WHEN close < sma_50 AND sma_50 < sma_200 AND adx > 25 THEN 'STRONG_DOWNTREND'
    WHEN close < sma_50 AND close < sma_200 THEN 'WEAK_DOWNTREND'
    ELSE 'CONSOLIDATION'
  END AS trend_regime,
  SAFE_DIVIDE(close - close_5, close_5) * 100 AS momentum_5d,
  SAFE_DIVIDE(close - close_10, close_10) * 100 AS momentum_10d,
  SAFE_DIVIDE(close - close_20, close_20) * 100 AS momentum_20d,
  SAFE_DIVIDE(atr, close) * 100 AS atr_pct,
  COALESCE(volume_ratio, 1) AS volume_ratio_clean,
  CASE WHEN next_close > close THEN 1 WHEN next_close <= close THEN 0 END AS target_direction,
  SAFE_DIVIDE(next_close - close, close) * 100 AS forward_return_pct,
  IF(next_close IS NULL OR close IS NULL, NULL, next_bar_known_at) AS label_known_at,
  CASE
    WHEN DATE(datetime) <= @train_end THEN 'TRAIN'
    WHEN DATE(datetime) <= @test_end THEN 'TEST'
    ELSE 'VALIDATE'
  END AS data_split,
  indicator_variant
FROM looked_back

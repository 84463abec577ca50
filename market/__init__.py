"""Pure domain of TradeHits: bars, indicators, labels, folds, signals, metrics. No IO, no clock, no environment."""

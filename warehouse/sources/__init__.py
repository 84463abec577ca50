"""Sources of bars: one module per source."""

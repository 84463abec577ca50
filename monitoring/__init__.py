"""Performance, drift and alerts."""

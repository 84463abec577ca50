"""The only door to tables: GoogleSQL in, Arrow out, on DuckDB or BigQuery."""

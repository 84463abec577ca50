"""GoogleSQL on DuckDB: the names, the rules and the macros behind them."""

from warehouse.dialect.names import TableNames
from warehouse.dialect.translate import to_duckdb

__all__ = ["TableNames", "to_duckdb"]

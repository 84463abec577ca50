"""The warehouse of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from market.errors import ConfigError

if TYPE_CHECKING:
    from configs.settings import Settings
    from warehouse.warehouse import Warehouse


def open_warehouse(settings: Settings) -> Warehouse:
    """Open the configured engine; nothing is created or locked before it is used.

    Raises:
        ConfigError: For an engine that is not built yet.
    """
    if settings.warehouse.engine != "duckdb":
        raise ConfigError(
            f"warehouse.engine '{settings.warehouse.engine}' is not built yet: only the embedded engine 'duckdb' is",
            remedy="set warehouse.engine: duckdb, or use a profile that does (sample, local, test)",
        )
    from warehouse.duckdb import DuckDBWarehouse

    return DuckDBWarehouse(
        settings.paths.warehouse_file, settings=settings.warehouse, staging=settings.paths.cache / "staging"
    )

"""The warehouse of a configuration."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from configs.settings import Settings
    from warehouse.warehouse import Warehouse

command: ContextVar[str] = ContextVar("command", default="")
"""The command that runs, set by the command line; BigQuery's jobs carry it as a label."""


def open_warehouse(settings: Settings) -> Warehouse:
    """Open the configured engine; nothing is created, connected or locked before it is used."""
    staging = settings.paths.cache / "staging"
    if settings.warehouse.engine == "bigquery":
        from warehouse.bigquery import BigQueryWarehouse

        labels = {"profile": settings.profile, "command": command.get()}
        return BigQueryWarehouse(settings.warehouse, staging=staging, labels=labels)
    from warehouse.duckdb import DuckDBWarehouse

    return DuckDBWarehouse(settings.paths.warehouse_file, settings=settings.warehouse, staging=staging)

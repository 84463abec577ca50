"""`tradehits warehouse`: what the tables hold, and giving space back."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from configs.settings import Settings
from flows.context import exclusive
from market.errors import ConfigError, WarehouseError
from warehouse.clock import wall_clock
from warehouse.engines import open_warehouse
from warehouse.retention import Dropped, drop_superseded

if TYPE_CHECKING:
    from warehouse.warehouse import TableStatistics

_MEBIBYTE = 2**20
_WIDTH = 110


def compact(settings: Settings, *, versions: bool) -> str:
    """Give space back, and say how much.

    Args:
        settings: Names the warehouse.
        versions: First drop superseded versions of bars that are older than `versions.keep_days`.

    Raises:
        ConfigError: The engine has no file to compact and `versions` is off, or every version is to be kept.
        WarehouseFileError: The disk has no room for the new file; the old one is as it was.
    """
    from warehouse.duckdb import DuckDBWarehouse

    _refuse_missing(settings)
    with exclusive(settings):
        warehouse = open_warehouse(settings)
        warehouse.ensure_schema()
        lines = _dropped_lines(drop_superseded(warehouse, settings, wall_clock())) if versions else []
        if isinstance(warehouse, DuckDBWarehouse):
            done = warehouse.compact()
            saved = 1 - done.bytes_after / done.bytes_before
            lines += [
                f"{settings.paths.warehouse_file}: {_mebibytes(done.bytes_before)} before, "
                f"{_mebibytes(done.bytes_after)} after ({saved:.0%} less)",
                f"{done.tables} tables, {done.rows:,} rows, equal in both files",
            ]
        elif not versions:
            raise ConfigError(
                f"warehouse.engine {settings.warehouse.engine} keeps no file of its own to compact",
                remedy="with --versions it drops superseded versions of bars",
            )
    return "\n".join(lines)


def statistics(settings: Settings) -> str:
    """Rows, bytes and last change of every table, and the file's size."""
    _refuse_missing(settings)
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    text = _table(warehouse.statistics())
    if settings.warehouse.engine == "duckdb":
        file = settings.paths.warehouse_file
        text += f"\n{file}: {_mebibytes(file.stat().st_size)}; `tradehits warehouse compact` gives unused space back"
    return text


def _refuse_missing(settings: Settings) -> None:
    """Neither command makes a warehouse."""
    file = settings.paths.warehouse_file
    if settings.warehouse.engine == "duckdb" and not file.exists():
        raise WarehouseError(f"there is no warehouse yet at {file}", remedy="fill it with `tradehits ingest`")


def _dropped_lines(dropped: Sequence[Dropped]) -> list[str]:
    if not dropped:
        return ["no version of a bar was superseded long enough ago to be dropped"]
    return [
        f"{one.asset_type}: {one.versions:,} superseded versions dropped; what was known before "
        f"{one.horizon_at:%Y-%m-%d %H:%M} UTC can no longer be asked"
        for one in dropped
    ]


def _table(rows: Sequence[TableStatistics]) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("table", no_wrap=True)
    for name in ("rows", "MiB", "last change (UTC)"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        changed = "" if row.last_modified_at is None else f"{row.last_modified_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(row.table, f"{row.rows:,}", f"{row.size_bytes / _MEBIBYTE:,.1f}", changed)
    out = io.StringIO()
    Console(file=out, width=_WIDTH).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _mebibytes(size: int) -> str:
    return f"{size / _MEBIBYTE:,.1f} MiB"

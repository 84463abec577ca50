"""`tradehits status`: the health view, for a person or as JSON."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from typing import Any

from configs.settings import Settings
from market.errors import WarehouseError
from warehouse.engines import open_warehouse

_SQL = "SELECT * FROM `ml_models.v_pipeline_status` ORDER BY asset_type DESC"
_STYLES = {"HEALTHY": "green", "FAIR": "cyan", "WARNING": "yellow", "NO_DATA": "dim"}
_WIDTH = 110


def pipeline_status(settings: Settings, output: str) -> str:
    """The three rows of `v_pipeline_status`.

    Args:
        settings: Name the warehouse.
        output: `table`: the figures one below the other, a column a class; `json`: a list of row objects, times in ISO.

    Raises:
        WarehouseError: There is no warehouse yet.
    """
    file = settings.paths.warehouse_file
    if settings.warehouse.engine == "duckdb" and not file.exists():
        raise WarehouseError(f"there is no warehouse yet at {file}", remedy="fill it with `tradehits run`")
    rows = open_warehouse(settings).query(_SQL).to_pylist()
    if output == "json":
        return json.dumps([{name: _plain(value) for name, value in row.items()} for row in rows], indent=2)
    return _table(rows)


def _table(rows: list[dict[str, Any]]) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for row in rows:
        table.add_column(row["asset_type"], justify="right", no_wrap=True)
    names = [name for name in rows[0] if name not in ("asset_type", "pipeline_health")]
    health = [Text(row["pipeline_health"], style=_STYLES.get(row["pipeline_health"], "bold red")) for row in rows]
    table.add_row("pipeline_health", *health)
    for name in names:
        table.add_row(name, *(_shown(row[name]) for row in rows))
    out = io.StringIO()
    Console(file=out, width=_WIDTH).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value

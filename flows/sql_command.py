"""The body of `tradehits sql`: one read-only GoogleSQL statement, rows as a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args

from market.errors import ConfigError, QueryError
from warehouse.engines import open_warehouse

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table as RichTable

    from configs.settings import Settings

Format = Literal["table", "csv", "json"]
_NARROWEST = 80


def run_sql(settings: Settings, sql: str, format: str = "table") -> str:
    """Run one SELECT and return its rows as text.

    Args:
        settings: Names the warehouse.
        sql: One GoogleSQL SELECT; any project name in backticks means the configured one.
        format: `table`; `csv` with a header line; `json`, a list of row objects. Times are UTC, ISO-8601 with Z in CSV
            and JSON; NULL is empty in CSV and null in JSON; JSON columns stay strings.

    Raises:
        ConfigError: For another format.
        NotReadOnlyError: For anything but one SELECT.
        QueryError: For a statement the engine refuses, or NaN or infinity in a JSON result.
    """
    if format not in get_args(Format):
        raise ConfigError(f"unknown format '{format}'", remedy=f"one of {', '.join(get_args(Format))}")
    table = open_warehouse(settings).query(sql)
    if format == "json":
        return _json(table)
    return _csv(table) if format == "csv" else _pretty(table)


def _json(table: pa.Table) -> str:
    rows = [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]
    try:
        return json.dumps(rows, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise QueryError(
            "the result holds NaN or infinity, which JSON cannot say", remedy="use --format csv, or SAFE_DIVIDE and IF"
        ) from error


def _csv(table: pa.Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow(["" if value is None else _cell(value) for value in row.values()])
    return out.getvalue().removesuffix("\n")


def _pretty(table: pa.Table) -> str:
    """A grid; rows that are wider than the terminal become one block each, a column a line."""
    from rich.console import Console

    width = max(Console().width, _NARROWEST)
    rows = [["NULL" if value is None else _shown(value) for value in row.values()] for row in table.to_pylist()]
    widths = [max(map(len, column)) for column in zip(table.column_names, *rows, strict=True)]
    console = Console(file=(out := io.StringIO()), width=width)
    if sum(widths) + 3 * len(widths) <= width or not rows:
        console.width = max(width, sum(widths) + 3 * len(widths))
        console.print(_grid(table, rows))
    else:
        for number, row in enumerate(rows, start=1):
            console.print(_block(table.column_names, row, number))
    lines = (line.rstrip() for line in out.getvalue().rstrip().splitlines())
    return "\n".join([*lines, f"{table.num_rows} row{'' if table.num_rows == 1 else 's'}"])


def _grid(table: pa.Table, rows: list[list[str]]) -> RichTable:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for field in table.schema:
        grid.add_column(Text(field.name), justify="right" if _is_number(field.type) else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*map(Text, row))
    return grid


def _block(names: list[str], row: list[str], number: int) -> RichTable:
    from rich.table import Table
    from rich.text import Text

    block = Table(box=None, show_header=False, pad_edge=False, title=f"row {number}", title_justify="left")
    block.add_column(no_wrap=True)
    block.add_column(overflow="fold")
    for name, value in zip(names, row, strict=True):
        block.add_row(Text(name), Text(value))
    return block


def _plain(value: Any) -> Any:
    """A value that `json.dumps` knows."""
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, date | Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _cell(value: Any) -> str:
    plain = _plain(value)
    if isinstance(plain, bool):
        return str(plain).lower()
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list | dict) else str(plain)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return _cell(value)


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))

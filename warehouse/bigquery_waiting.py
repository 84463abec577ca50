"""A staged write, and what SQL about it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from market.errors import SchemaError
from warehouse.bigquery_parameters import Bound, bound
from warehouse.schema import Table
from warehouse.warehouse import Write

_RANGES = ("TIMESTAMP", "DATE")


@dataclass(frozen=True)
class Waiting:
    """One write whose rows fit their table and wait in `path` (empty without rows).

    Attributes:
        expressions: Per column of the table, the GoogleSQL that turns the staged value into the table's.
        bounds: Per DATE or TIMESTAMP column of the key, its smallest and largest value: with them BigQuery leaves out
            the partitions that no staged key can be in.
    """

    write: Write
    table: Table
    path: str
    rows: int
    expressions: tuple[str, ...] = ()
    bounds: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def scope(table: Table, write: Write, prefix: str) -> tuple[str, list[Bound]]:
    """`replace`'s scope as a condition, and its parameters, typed by the table."""
    types, values, parts = {}, {}, []
    for name, value in write.where.items():
        column = table.column(name)
        if column is None:
            raise SchemaError(
                f"{table.name}: unknown column '{name}' in `where`",
                remedy=f"one of {', '.join(one.name for one in table.columns)}",
            )
        parameter = f"{prefix}_{name}"
        types[parameter], values[parameter] = column.type, value
        parts.append(f"`{name}` IS NOT DISTINCT FROM @{parameter}")
    return " AND ".join(parts), bound(values, types)


def ranged_columns(table: Table) -> list[str]:
    """Key columns whose range can leave out partitions."""
    columns = [table.column(name) for name in table.key]
    return [column.name for column in columns if column is not None and column.type in _RANGES]

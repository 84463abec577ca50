"""Numbers beyond FLOAT64: an error in GoogleSQL, an infinity on DuckDB."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from market.errors import QueryError
from warehouse.dialect.rules_nan import may_hold_nan
from warehouse.dialect.translate import parse_select


def refuse_overflow(table: pa.Table, sql: str, parameters: Mapping[str, Any]) -> None:
    """Refuse a result with NaN or infinity from a statement that can only have made it by an overflow.

    Tables hold neither, so they come from a parameter, from IEEE_DIVIDE, from text, or from an overflow.

    Raises:
        QueryError: As BigQuery words it; the column is named.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not pa.types.is_floating(column.type) or pc.all(pc.is_finite(column)).as_py() in (True, None):
            continue
        if may_hold_nan(parse_select(sql)) or not all(map(_is_finite, parameters.values())):
            return
        raise QueryError(
            f"double overflow: column '{name}' is beyond the largest FLOAT64",
            remedy="use smaller numbers, or SAFE_DIVIDE and IEEE_DIVIDE where a division may overflow",
        )


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)

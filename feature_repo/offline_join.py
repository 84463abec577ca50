"""Which source row answers an entity row: DuckDB ASOF joins over keys and times, no feature read."""

from __future__ import annotations

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from feature_repo.offline_engine import columns, identifier
from feature_repo.offline_entities import EntityFrame
from feature_repo.offline_source import ROW
from feature_repo.offline_views import RequestedView
from market.errors import FeatureError

NO_ROW = -1
Rows = npt.NDArray[np.int64]


def matching_rows(
    connection: duckdb.DuckDBPyConnection, entities: EntityFrame, view: RequestedView, *, created_by_then: bool
) -> Rows:
    """The number of the source row that answers each entity row, `NO_ROW` where none does.

    It is the newest row known at or before the instant and still valid at it; of rows of one instant the one created
    last (a missing creation time counts as the oldest), and of those the last in the file.

    Args:
        connection: An open engine.
        entities: Checked entity rows.
        view: The view to join.
        created_by_then: Only rows created at or before the instant count.

    Raises:
        FeatureError: A key is text on one side and no text on the other.
    """
    rows = np.full(entities.table.num_rows, NO_ROW, np.int64)
    if not rows.size:
        return rows
    asked = _entity_table(entities, view)
    _refuse_other_key_types(asked, view)
    connection.register("entity_rows", asked)
    try:
        names = _key_names(view)
        using = f"USING ({columns(names)})" if names else "ON TRUE"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE wanted AS SELECT CAST(row_number() OVER () AS INTEGER) AS id, *"
            f" FROM (SELECT DISTINCT {columns(names) or '0 AS none'} FROM entity_rows)"
        )
        connection.execute(_history_sql(view, asked, created_by_then=created_by_then))
        valid = "" if view.ttl_microseconds is None else f"WHERE asked.moment - event <= {view.ttl_microseconds}"
        found = connection.execute(
            f"""
            WITH asked AS (SELECT position, moment, id FROM entity_rows JOIN wanted {using})
            SELECT position, row FROM asked ASOF JOIN history ON asked.id = history.id AND asked.moment >= history.known
            {valid}
            """
        ).fetchnumpy()
    finally:
        connection.unregister("entity_rows")
    rows[found["position"]] = found["row"]
    return rows


def _entity_table(entities: EntityFrame, view: RequestedView) -> pa.Table:
    keys = [entities.table.column(column) for column in view.keys.values()]
    moments = entities.microseconds()
    position = pa.array(np.arange(len(moments), dtype=np.int64))
    return pa.table([*keys, moments, position], names=[*_key_names(view), "moment", "position"])


def _key_names(view: RequestedView) -> list[str]:
    return [f"key_{number}" for number in range(len(view.keys))]


def _history_sql(view: RequestedView, asked: pa.Table, *, created_by_then: bool) -> str:
    """A table of the source's candidate rows, one for each key and instant from which it is the answer."""
    files = view.files
    names = _key_names(view)
    event = files.microseconds(view.timestamp)
    created = files.microseconds(view.created) if view.created else "NULL"
    low, high = _window(asked, view)
    keys = [f"{identifier(column)} AS {name}" for column, name in zip(view.keys, names, strict=True)]
    time = f"CAST({identifier(view.timestamp)} AS TIMESTAMPTZ)"
    window = f"{time} <= make_timestamptz({high})" + (f" AND {time} >= make_timestamptz({low})" if low else "")
    scan = files.scan(", ".join([*keys, f"{event} AS event", f"{created} AS created", f"{ROW} AS row"]), window)
    joined = f"JOIN wanted USING ({columns(names)})" if names else "CROSS JOIN wanted"
    candidates = f"candidates AS (SELECT id, event, created, row FROM ({scan}) {joined})"
    query = _known_when_created(candidates) if created_by_then and view.created else _known_at_event(candidates)
    return f"CREATE OR REPLACE TEMP TABLE history AS {query}"


def _known_at_event(candidates: str) -> str:
    return f"""
        WITH {candidates}
        SELECT id, event AS known, event,
          arg_max(row, ROW(coalesce(created, -9223372036854775808), row)) AS row
        FROM candidates GROUP BY id, event
    """


def _known_when_created(candidates: str) -> str:
    """A row counts once it is both known and created, and only while no better row does.

    Better is what the tie-break says; a row that is not better than all that were there before it is never the answer.
    """
    return f"""
        WITH {candidates},
        ranked AS (
          SELECT id, event, row, greatest(event, created) AS known,
            row_number() OVER (PARTITION BY id ORDER BY event, created, row) AS rank
          FROM candidates WHERE created IS NOT NULL
        ),
        compared AS (
          SELECT *, max(rank) OVER (
            PARTITION BY id ORDER BY known, rank DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
          ) AS best_before
          FROM ranked
        )
        SELECT id, known, event, row FROM compared WHERE best_before IS NULL OR rank > best_before
    """


def _window(asked: pa.Table, view: RequestedView) -> tuple[int | None, int]:
    """Event times that can answer any of the rows: the file's other row groups are never read."""
    moments = asked.column("moment").to_numpy()
    low = None if view.ttl_microseconds is None else int(moments.min()) - view.ttl_microseconds
    return low, int(moments.max())


def _refuse_other_key_types(asked: pa.Table, view: RequestedView) -> None:
    for (column, given), name in zip(view.keys.items(), _key_names(view), strict=True):
        stored, offered = view.files.schema.field(column).type, asked.schema.field(name).type
        if _is_text(stored) != _is_text(offered):
            raise FeatureError(
                f"entity column {given} is {offered}, {view.name} has {stored}", remedy="give the key the view's type"
            )


def _is_text(dtype: pa.DataType) -> bool:
    value = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value))

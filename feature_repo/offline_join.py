"""Which source row answers an entity row: DuckDB ASOF joins over keys and times, no feature read."""

from __future__ import annotations

import itertools

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
_ROWS_A_JOIN = 10_000_000
"""Entity and source rows that are joined at once: about 1 GB."""
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
        keys = _prepare(connection, view, asked)
    finally:
        connection.unregister("entity_rows")
    valid = "" if view.ttl_microseconds is None else f"WHERE asked.moment - event <= {view.ttl_microseconds}"
    for first, last in _ranges(connection, keys):
        connection.execute(_history_sql(first, last, created_by_then=created_by_then and view.created is not None))
        found = connection.execute(
            f"""
            WITH asked AS (SELECT * FROM asked_rows WHERE id BETWEEN {first} AND {last})
            SELECT position, row FROM asked ASOF JOIN history ON asked.id = history.id AND asked.moment >= history.known
            {valid}
            """
        ).fetchnumpy()
        rows[found["position"]] = found["row"]
    return rows


def _prepare(connection: duckdb.DuckDBPyConnection, view: RequestedView, asked: pa.Table) -> int:
    """Number the keys that are asked for; keep entity rows and candidates by these numbers. Returns how many."""
    names = _key_names(view)
    joined = f"JOIN wanted USING ({columns(names)})" if names else "CROSS JOIN wanted"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE wanted AS SELECT CAST(row_number() OVER () AS INTEGER) AS id, *"
        f" FROM (SELECT DISTINCT {columns(names) or '0 AS none'} FROM entity_rows)"
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE asked_rows AS SELECT id, moment, position FROM entity_rows {joined}"
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE candidates AS SELECT id, event, created, row"
        f" FROM ({_scan_sql(view, asked)}) {joined}"
    )
    ((keys,),) = connection.execute("SELECT count(*) FROM wanted").fetchall()
    return int(keys)


def _ranges(connection: duckdb.DuckDBPyConnection, keys: int) -> list[tuple[int, int]]:
    """First and last key number of parts that are joined one after the other, so that a large join need not spill."""
    ((rows,),) = connection.execute(
        "SELECT (SELECT count(*) FROM asked_rows) + (SELECT count(*) FROM candidates)"
    ).fetchall()
    parts = min(keys, -(-rows // _ROWS_A_JOIN))
    edges = [keys * part // parts for part in range(parts + 1)]
    return [(first + 1, last) for first, last in itertools.pairwise(edges)]


def _entity_table(entities: EntityFrame, view: RequestedView) -> pa.Table:
    keys = [entities.table.column(column) for column in view.keys.values()]
    moments = entities.microseconds()
    position = pa.array(np.arange(len(moments), dtype=np.int64))
    return pa.table([*keys, moments, position], names=[*_key_names(view), "moment", "position"])


def _key_names(view: RequestedView) -> list[str]:
    return [f"key_{number}" for number in range(len(view.keys))]


def _scan_sql(view: RequestedView, asked: pa.Table) -> str:
    """Keys and times of the source's rows that can answer any entity row."""
    files = view.files
    created = files.microseconds(view.created) if view.created else "CAST(NULL AS BIGINT)"
    low, high = _window(asked, view)
    keys = [f"{identifier(column)} AS {name}" for column, name in zip(view.keys, _key_names(view), strict=True)]
    time = f"CAST({identifier(view.timestamp)} AS TIMESTAMPTZ)"
    window = f"{time} <= make_timestamptz({high})" + ("" if low is None else f" AND {time} >= make_timestamptz({low})")
    event = files.microseconds(view.timestamp)
    return files.scan(", ".join([*keys, f"{event} AS event", f"{created} AS created", f"{ROW} AS row"]), window)


def _history_sql(first: int, last: int, *, created_by_then: bool) -> str:
    """A table of the candidates of some keys, one for each key and instant from which it is the answer."""
    query = _KNOWN_WHEN_CREATED if created_by_then else _KNOWN_AT_EVENT
    part = f"part AS (SELECT * FROM candidates WHERE id BETWEEN {first} AND {last})"
    return f"CREATE OR REPLACE TEMP TABLE history AS WITH {part} {query}"


# Nearly always there is one row of a key and instant; only where there are more are they compared.
_KNOWN_AT_EVENT = """
    , grouped AS MATERIALIZED (
      SELECT id, event, max(row) AS row, count(*) AS writings FROM part GROUP BY id, event
    )
    SELECT id, event AS known, event, row FROM grouped WHERE writings = 1
    UNION ALL
    SELECT id, event, event, arg_max(part.row, ROW(coalesce(created, -9223372036854775808), part.row))
    FROM part JOIN (SELECT id, event FROM grouped WHERE writings > 1) AS several USING (id, event) GROUP BY id, event
"""

# A row counts once it is both known and created, and only while no better row does. Better is what the tie-break says;
# a row that is not better than all that were there before it is never the answer.
_KNOWN_WHEN_CREATED = """
    , ranked AS (
      SELECT id, event, row, greatest(event, created) AS known,
        row_number() OVER (PARTITION BY id ORDER BY event, created, row) AS rank
      FROM part WHERE created IS NOT NULL
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

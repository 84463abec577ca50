"""Features of given source rows, fetched by row number."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import numpy as np
import pyarrow as pa

from feature_repo.offline_engine import identifier
from feature_repo.offline_join import NO_ROW, Rows
from feature_repo.offline_source import ROW, ParquetFiles

_DENSE = 4
"""A range of at most so many times the wanted rows is read whole: cheaper than looking each row up."""


def gather(
    connection: duckdb.DuckDBPyConnection, files: ParquetFiles, rows: Rows, features: Mapping[str, str]
) -> pa.Table:
    """The features of `rows`, in their order; all NULL for `NO_ROW`.

    Args:
        connection: An open engine.
        files: The source.
        rows: Row numbers, repeated or not, in any order.
        features: Column of the answer -> column in the files.
    """
    wanted = _distinct(rows[rows != NO_ROW])
    numbers, found = _read(connection, files, wanted, features)
    if numbers.size == rows.size and np.array_equal(numbers, rows):
        return found
    absent = rows == NO_ROW
    indices = np.searchsorted(numbers, np.where(absent, 0, rows))
    return found.combine_chunks().take(pa.array(indices, mask=absent))


def _distinct(rows: Rows) -> Rows:
    """Sorted and each row once. Most reads are so already, and sorting costs as much as reading the features."""
    steps = np.diff(rows)
    if np.all(steps > 0):
        return rows
    ordered = rows if np.all(steps >= 0) else np.sort(rows)
    return ordered[np.concatenate(([True], np.diff(ordered) > 0))]


def _read(
    connection: duckdb.DuckDBPyConnection, files: ParquetFiles, wanted: Rows, features: Mapping[str, str]
) -> tuple[Rows, pa.Table]:
    """Row numbers in rising order, the wanted ones among them, and their features."""
    selected = [f"{identifier(column)} AS {identifier(name)}" for name, column in features.items()]
    select = ", ".join([*selected, ROW])
    tables = [connection.sql(files.scan(select, "FALSE")).to_arrow_table()] if not wanted.size else []
    for part in _runs(wanted, files.group_starts):
        low, high = int(part[0]), int(part[-1])
        where = f"{ROW} BETWEEN {low} AND {high}"
        if high - low >= _DENSE * part.size:
            where += f" AND {ROW} IN (SELECT number FROM wanted_rows)"
            connection.register("wanted_rows", pa.table({"number": part}))
        tables.append(connection.sql(files.scan(select, where, rows=(low, high))).to_arrow_table())
    table = pa.concat_tables(tables)
    numbers = table.column(ROW).to_numpy()
    if np.any(numbers[1:] < numbers[:-1]):
        order = np.argsort(numbers)
        numbers, table = numbers[order], table.combine_chunks().take(pa.array(order))
    return numbers, table.drop_columns(ROW)


def _runs(wanted: Rows, group_starts: Rows) -> list[Rows]:
    """The wanted rows, cut wherever a row group without any lies between two of them."""
    groups = np.searchsorted(group_starts, wanted, side="right")
    return [part for part in np.split(wanted, np.flatnonzero(np.diff(groups) > 1) + 1) if part.size]

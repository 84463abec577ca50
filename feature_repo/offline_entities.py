"""The entity rows of a point-in-time read, checked before anything is joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from market.errors import FeatureError

TIME_COLUMN = "event_timestamp"
_UTC_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class EntityFrame:
    """Entity rows as a table.

    Attributes:
        table: The caller's columns in the caller's order.
        time_column: Which of them says the instant; never NULL, always with a zone.
    """

    table: pa.Table
    time_column: str

    @classmethod
    def checked(
        cls, given: pd.DataFrame | str, *, join_columns: Sequence[str], feature_columns: Sequence[str]
    ) -> EntityFrame:
        """A frame that can be joined.

        Args:
            given: A DataFrame, or the path of a parquet file.
            join_columns: Columns that the views are joined by.
            feature_columns: Columns of the answer, none of which the frame may have.

        Raises:
            FeatureError: No such file, columns that are missing or in the answer's way, a time without zone, or NULL in
                a key or a time.
        """
        table = _read(given)
        time_column = _time_column(table)
        needed = list(dict.fromkeys([*join_columns, time_column]))
        missing = [name for name in needed if name not in table.column_names]
        if missing:
            raise FeatureError(f"entity frame without {', '.join(missing)}", remedy=f"give {', '.join(needed)}")
        clashing = [name for name in feature_columns if name in table.column_names]
        if clashing:
            raise FeatureError(
                f"entity frame already has {', '.join(clashing)}",
                remedy="drop or rename these columns, or ask for full feature names",
            )
        dtype = table.schema.field(time_column).type
        if table.num_rows and (not pa.types.is_timestamp(dtype) or dtype.tz is None):
            raise FeatureError(
                f"{time_column} is {dtype}, not a time with a zone",
                remedy="use .dt.tz_localize('UTC') if it is UTC",
            )
        empty = [name for name in needed if table.column(name).null_count]
        if empty:
            raise FeatureError(f"entity frame has NULL in {', '.join(empty)}", remedy="drop these rows")
        return cls(table, time_column)

    @property
    def names(self) -> list[str]:
        """The frame's columns."""
        return list(self.table.column_names)

    def microseconds(self) -> pa.Array:
        """Each row's instant as microseconds since 1970."""
        column = self.table.column(self.time_column).combine_chunks()
        if not len(column):
            return pa.array([], pa.int64())
        return column.cast(_UTC_TIME, safe=False).cast(pa.int64())

    def time_range(self) -> tuple[datetime | None, datetime | None]:
        """First and last instant; None without rows."""
        if not self.table.num_rows:
            return None, None
        found = pc.min_max(self.microseconds()).as_py()
        first, last = (np.datetime64(found[end], "us").astype(datetime).replace(tzinfo=UTC) for end in ("min", "max"))
        return first, last


def _read(given: pd.DataFrame | str) -> pa.Table:
    if isinstance(given, pd.DataFrame):
        try:
            return pa.Table.from_pandas(given, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            # For instance naive and zoned times in one column of objects.
            raise FeatureError(
                f"entity frame with a column of mixed types: {error}", remedy="give every column one type"
            ) from error
    if not Path(given).is_file():
        raise FeatureError(
            f"no entity rows at '{given[:80]}'", remedy="give a DataFrame or the path of a parquet file; SQL is not run"
        )
    return pq.read_table(given)


def _time_column(table: pa.Table) -> str:
    """`event_timestamp`, or the only column of times, as in stock Feast."""
    if TIME_COLUMN in table.column_names:
        return TIME_COLUMN
    times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    return times[0] if len(times) == 1 else TIME_COLUMN

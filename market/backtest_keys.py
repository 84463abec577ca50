"""Keys of bars and predictions: checked, and matched with each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from market.assets import ASSET_TYPES, AssetType
from market.backtest_columns import bad_rows
from market.compiled import compiled
from market.errors import BacktestError

KEY: Final = ("asset_type", "symbol", "datetime")


@dataclass(frozen=True)
class Keys:
    """The keys of n sorted rows, one series after the other.

    Attributes:
        asset_types: Asset class of each series, ascending with `symbols`.
        symbols: Symbol of each series.
        start: First row of each series, and n at the end, shape (series + 1,).
        day: Day of each row since 1970-01-01, strictly ascending within a series, shape (n,).
    """

    asset_types: tuple[AssetType, ...]
    symbols: tuple[str, ...]
    start: npt.NDArray[np.int64]
    day: npt.NDArray[np.int32]


def checked_keys(frame: pl.DataFrame, what: str) -> Keys:
    """The keys of a frame that is sorted by `KEY` and has none twice.

    Args:
        frame: With the columns of `KEY`; `datetime` a date or an instant in UTC, one a day.
        what: What the rows are, for messages.

    Raises:
        BacktestError: No rows, a missing column or value, an unknown asset class, or keys unsorted or twice.
    """
    _refuse_incomplete(frame, what)
    day = frame["datetime"].cast(pl.Date).to_physical().rechunk().to_numpy()
    first = np.flatnonzero(_begins(frame["asset_type"]) | _begins(frame["symbol"]))
    asset_types = tuple(cast(AssetType, str(one)) for one in frame["asset_type"].gather(first))
    symbols = tuple(str(one) for one in frame["symbol"].gather(first))
    unknown = set(asset_types) - set(ASSET_TYPES)
    if unknown:
        raise BacktestError(
            f"unknown asset class {sorted(unknown)[0]!r} in {what}",
            field="asset_type",
            remedy=f"use {', '.join(ASSET_TYPES)}",
        )
    order = list(zip(asset_types, symbols, strict=True))
    for number in range(1, len(order)):
        if order[number] <= order[number - 1]:
            raise _unsorted(what, "symbol", int(first[number]) + 1)
    _refuse_disorder(day, first, what)
    return Keys(asset_types, symbols, np.append(first, frame.height).astype(np.int64), day)


def match(wanted: Keys, there: Keys) -> npt.NDArray[np.int64]:
    """The row in `there` of every row in `wanted`, ascending.

    Raises:
        BacktestError: One is not there.
    """
    number = {key: at for at, key in enumerate(zip(there.asset_types, there.symbols, strict=True))}
    series = [number.get(key, -1) for key in zip(wanted.asset_types, wanted.symbols, strict=True)]
    found = _match(wanted.start, wanted.day, np.array(series, dtype=np.int64), there.start, there.day)
    missing = np.flatnonzero(found < 0)
    if missing.size:
        row = int(missing[0])
        at = int(np.searchsorted(wanted.start, row, side="right")) - 1
        day = str(wanted.day[row].astype("datetime64[D]"))
        raise BacktestError(
            f"prediction without a bar: {wanted.asset_types[at]} {wanted.symbols[at]} {day}"
            f" ({missing.size} of {found.size} predictions)",
            field="datetime",
            row=row + 1,
            remedy="load bars of the same symbols and window as the predictions",
        )
    return found


def _refuse_incomplete(frame: pl.DataFrame, what: str) -> None:
    if not frame.height:
        raise BacktestError(f"no {what}", remedy=f"check dates, asset class and source: there are no {what} to test on")
    for name in KEY:
        if name not in frame.columns:
            raise BacktestError(f"the column is missing in {what}", field=name, remedy="select the whole key")
        nulls = frame[name].is_null()
        if nulls.any():
            raise bad_rows(nulls.to_numpy(), name, f"{what} have no {name}", "drop or complete the rows")
    if frame["datetime"].dtype.base_type() not in (pl.Date, pl.Datetime):
        raise BacktestError(f"{frame['datetime'].dtype} is no time", field="datetime", remedy="cast it to Datetime")


def _refuse_disorder(day: npt.NDArray[np.int32], first: npt.NDArray[np.int64], what: str) -> None:
    ahead = np.diff(day, prepend=day[0] - 1)
    ahead[first] = 1
    if (ahead == 0).any():
        raise bad_rows(
            ahead == 0, "datetime", f"two {what} of one symbol and day", "keep one row per asset_type, symbol, datetime"
        )
    if (ahead < 0).any():
        raise _unsorted(what, "datetime", int((ahead < 0).argmax()) + 1)


def _unsorted(what: str, field: str, row: int) -> BacktestError:
    return BacktestError(
        f"{what} are not sorted by {', '.join(KEY)}", field=field, row=row, remedy=f"sort them: frame.sort{KEY}"
    )


def _begins(column: pl.Series) -> npt.NDArray[np.bool_]:
    """Where a column's value differs from the row before; the first row begins too."""
    return (column != column.shift(1)).fill_null(True).to_numpy()


@compiled
def _match(
    start: npt.NDArray[np.int64],
    day: npt.NDArray[np.int32],
    series: npt.NDArray[np.int64],
    there_start: npt.NDArray[np.int64],
    there_day: npt.NDArray[np.int32],
) -> npt.NDArray[np.int64]:
    """Rows by a walk over two sorted lists; -1 where there is none."""
    found = np.full(day.size, -1, dtype=np.int64)
    for s in range(series.size):
        if series[s] < 0:
            continue
        at, end = there_start[series[s]], there_start[series[s] + 1]
        for row in range(start[s], start[s + 1]):
            while at < end and there_day[at] < day[row]:
                at += 1
            if at < end and there_day[at] == day[row]:
                found[row] = at
    return found

"""The bar schema, and the strict door: a frame of bars passes whole or not at all.

`market.inspection` is the lenient one, which leaves rows out by configured policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

import polars as pl

from market.assets import ASSET_TYPES, AssetType
from market.bar_checks import (
    BAR_KEY,
    PRICES,
    SOURCE_ROW,
    bar_checks,
    find_faults,
    key_checks,
    order_checks,
    raise_first,
)
from market.errors import BadBarsError
from market.sessions import UTC_INSTANT, known_at_or_null
from market.symbols import canonical_symbol

__all__ = [
    "BAR_KEY",
    "BAR_SCHEMA",
    "PRICES",
    "SOURCE_ROW",
    "check_bars",
    "typed_bars",
    "with_canonical_symbols",
    "with_neighbours",
]

BAR_SCHEMA = pl.Schema(
    {
        "asset_type": pl.String(),
        "symbol": pl.String(),
        "datetime": UTC_INSTANT,
        "open": pl.Float64(),
        "high": pl.Float64(),
        "low": pl.Float64(),
        "close": pl.Float64(),
        "volume": pl.Float64(),
    }
)
"""Bars of one interval: sorted by and unique on `BAR_KEY`, no NULL, no NaN."""


def check_bars(
    frame: pl.DataFrame,
    *,
    file: str,
    now: datetime,
    calendars: Mapping[AssetType, str],
    delay_minutes: int,
    first_row: int = 1,
    with_source_row: bool = False,
) -> pl.DataFrame:
    """Check daily bars and bring them into canonical form. Nothing is repaired: a fault is an error.

    Args:
        frame: Columns of `BAR_SCHEMA` in any order, others are ignored; numbers of any width, instants in any zone. A
            column `source_row` says each row's number in the file where that is not its position.
        file: Name shown in errors.
        now: Bars known only after this instant are refused.
        calendars: Calendar of each class that trades in sessions.
        delay_minutes: From a session's close until its bar is published.
        first_row: Number of the first row in the file (2 below a CSV header).
        with_source_row: Keep each row's number in the file as column `source_row`.

    Returns:
        `BAR_SCHEMA`, canonical symbols, sorted by and unique on `BAR_KEY`.

    Raises:
        BadBarsError: With file, row, column, remedy and the number of rows that share the fault.
        ConfigError: A class has no calendar, or its calendar does not reach the bars.
    """
    rows = typed_bars(frame, file=file, first_row=first_row)
    raise_first(find_faults(rows, key_checks()), file=file)
    rows, unreadable = with_canonical_symbols(rows)
    if unreadable:
        _raise_unreadable(rows, unreadable[0], file=file)
    # Stamps after `now` are refused anyway; a calendar that reached them could be centuries long.
    capped = rows.select("asset_type", "symbol", pl.col("datetime").clip(upper_bound=now))
    rows = rows.with_columns(known_at=known_at_or_null(capped, calendars=calendars, delay_minutes=delay_minutes))
    rows = with_neighbours(rows)
    raise_first(find_faults(rows, (*bar_checks(now), *order_checks())), file=file)
    columns = [*BAR_SCHEMA.names(), SOURCE_ROW] if with_source_row else BAR_SCHEMA.names()
    return rows.select(columns)


def typed_bars(frame: pl.DataFrame, *, file: str, first_row: int = 1) -> pl.DataFrame:
    """`BAR_SCHEMA` and `source_row`, whatever the widths and zones of the frame; values are not looked at.

    Raises:
        BadBarsError: A column is missing or of a type that cannot hold its values, or there are no rows.
    """
    for column in BAR_SCHEMA:
        if column not in frame.columns:
            remedy = f"rename or add it; a file of bars has {', '.join(BAR_SCHEMA)}"
            if column == "asset_type":
                remedy = f"add a column asset_type that says {' or '.join(ASSET_TYPES)} in every row"
            raise BadBarsError("the column is missing", file=file, column=column, remedy=remedy)
        if remedy := _type_remedy(column, frame.schema[column]):
            raise BadBarsError(f"type {frame.schema[column]} is not usable", file=file, column=column, remedy=remedy)
    if frame.is_empty():
        raise BadBarsError("no rows", file=file, remedy="give a file that holds at least one bar")
    stamps = frame["datetime"].dt.convert_time_zone("UTC")
    row = pl.int_range(first_row, first_row + pl.len(), dtype=pl.UInt32)
    numbers = frame[SOURCE_ROW].cast(pl.UInt32) if SOURCE_ROW in frame.columns else row
    return (
        frame.select(BAR_SCHEMA.names()).with_columns(stamps).cast(BAR_SCHEMA).with_columns(numbers.alias(SOURCE_ROW))
    )


def _type_remedy(column: str, dtype: pl.DataType) -> str:
    """What to do about a column's type; empty when the type is usable."""
    if column in ("asset_type", "symbol"):
        return "" if dtype in (pl.String, pl.Categorical, pl.Enum) else "write text"
    if column == "datetime":
        if not isinstance(dtype, pl.Datetime):
            return "write timestamps with a time zone: a daily bar is its session date at 00:00 UTC"
        return "" if dtype.time_zone else "the time zone is missing: write timestamps with a time zone, best UTC"
    return "" if dtype.is_numeric() else "write numbers"


@dataclass(frozen=True)
class UnreadableSymbol:
    """A symbol without a canonical form: the row it first stands in, and why."""

    asset_type: AssetType
    symbol: str
    row: int
    error: BadBarsError

    @property
    def message(self) -> str:
        """Why, without the place."""
        return self.error.message.removeprefix(f"column '{self.error.column}': ")


def with_canonical_symbols(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[UnreadableSymbol]]:
    """Canonical symbols, and `series`: a dense number of (asset_type, symbol) that sorts as they do.

    Files mostly hold a symbol's rows together, so text is compared with the row before and looked up once a run. The
    symbol as written is kept as `symbol_as_written`; rows whose symbol has no canonical form have NULL in `symbol`, and
    each such symbol is named in the order of the file.
    """
    pair = ("asset_type", "symbol")
    starts = pl.any_horizontal(pl.col(column).ne_missing(pl.col(column).shift()) for column in pair)
    rows = rows.with_columns(starts=starts).with_columns(run=pl.col("starts").cum_sum() - 1)
    runs = rows.filter("starts").select(*pair, SOURCE_ROW)
    names = runs.unique(pair, keep="first", maintain_order=True)
    canonical = [_canonical(*name) for name in names.rows()]
    unreadable = [name for name in canonical if isinstance(name, UnreadableSymbol)]
    values = pl.Series([name if isinstance(name, str) else None for name in canonical], dtype=pl.String)
    names = names.select(*pair, canonical=values).with_columns(
        series=pl.struct("asset_type", "canonical").rank("dense")
    )
    runs = runs.join(names, on=pair, how="left", maintain_order="left")
    if unreadable:
        rows = rows.with_columns(symbol_as_written="symbol")
    rows = rows.with_columns(
        symbol=runs["canonical"].gather(rows["run"]), series=runs["series"].gather(rows["run"])
    ).drop("starts", "run")
    return rows, unreadable


def _canonical(asset_type: AssetType, symbol: str, row: int) -> str | UnreadableSymbol:
    try:
        return canonical_symbol(asset_type, symbol)
    except BadBarsError as error:
        return UnreadableSymbol(asset_type, symbol, row, error)


def _raise_unreadable(rows: pl.DataFrame, found: UnreadableSymbol, *, file: str) -> NoReturn:
    same = (pl.col("asset_type") == found.asset_type) & (pl.col("symbol_as_written") == found.symbol)
    count = rows.filter(same).height
    raise BadBarsError(
        f"{found.message} ({count:,} rows)",
        file=file,
        row=found.row,
        column=found.error.column,
        remedy=found.error.remedy,
    ) from found.error


def with_neighbours(rows: pl.DataFrame, *, inside: Sequence[str] = ("series",)) -> pl.DataFrame:
    """Sort by key and say what stood before.

    Args:
        rows: With `series`, in the order of the file.
        inside: Columns equal in two rows of which one can come after the other.

    Returns:
        `previous_at` is the stamp before in the file's order, `twin_row` an earlier row of the same key.
    """
    if not rows["series"].is_sorted():
        rows = rows.sort("series", maintain_order=True)
    before = pl.all_horizontal(pl.col(column) == pl.col(column).shift() for column in inside)
    rows = rows.with_columns(previous_at=pl.when(before).then(pl.col("datetime").shift()))
    same_series = pl.col("series") == pl.col("series").shift()
    rising = rows.select((pl.col("datetime") > pl.col("datetime").shift()).filter(same_series).all()).item()
    if rising:
        return rows.with_columns(twin_row=pl.lit(None, dtype=pl.UInt32))
    rows = rows.sort("series", "datetime", maintain_order=True)
    same = same_series & (pl.col("datetime") == pl.col("datetime").shift())
    return rows.with_columns(twin_row=pl.when(same).then(pl.col(SOURCE_ROW).shift()))

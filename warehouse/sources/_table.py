"""The table of a text file, read as a stream: cells as text first, then as numbers and instants by stated rules."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NoReturn

import polars as pl

from configs.sources import CsvOptions
from market.bars import PRICES, SOURCE_ROW
from market.errors import BadBarsError
from warehouse.sources._files import CLASS_NAMES
from warehouse.sources._header import Header
from warehouse.sources._stamps import stamps_like

_NUMBERS = (*PRICES, "volume")
_STAMP_REMEDY = "write all stamps of a file alike; a time that clocks skip or repeat is none"
_NUMBER_REMEDY = "write 1234.5 without grouping or currency (1234,5: decimal_comma: true); leave unknown cells empty"


def read_table(text: Path, header: Header, options: CsvOptions, place: dict[str, str], *, file: str) -> pl.DataFrame:
    """Cells of a text file as bars.

    Args:
        text: Plain UTF-8.
        header: Where the table begins and what its columns are.
        options: How numbers and stamps are written.
        place: Class and symbol where no column says them.
        file: Name shown in errors.

    Returns:
        Columns of bars and `source_row`, the line in the file; blank lines left out, prices adjusted when asked. Empty
        cells are NULL: what that means is for `market.bars` to say.

    Raises:
        BadBarsError: A cell is not what its column holds, or a line has more cells than the header.
    """
    table = _scanned(text, header)
    cells = {name: _cell(position) for name, position in header.column.items()}
    values = {name: _number(cells[name], options) for name in (*_NUMBERS, "adjusted_close") if name in cells}
    values |= {name: cells[name] for name in ("asset_type", "symbol", "interval") if name in cells}
    values |= {name: pl.lit(value) for name, value in place.items()}
    values["asset_type"] = _asset_class(values["asset_type"])
    try:
        sample = table.select(SOURCE_ROW, stamp=cells["datetime"]).drop_nulls("stamp").head(1).collect()
        row, stamp = sample.row(0) if sample.height else (header.lines + 1, "2024-01-31")
        column = header.names[header.column["datetime"]]
        stamps = stamps_like(stamp, cells["datetime"], options, file=file, row=row, column=column)
        values["datetime"] = stamps.session_stamp(values["asset_type"])
        unread = {
            name: (values[name].is_null() & cells[name].is_not_null()).alias(f"unread_{name}")
            for name in ("datetime", *_NUMBERS, "adjusted_close")
            if name in cells
        }
        columns = [value.alias(name) for name, value in values.items()]
        bars = table.select(SOURCE_ROW, *columns, *unread.values()).collect(engine="streaming")
        for name in unread:
            if bars[f"unread_{name}"].any():
                _refuse_cell(name, bars, table, header, stamps.written, file=file)
    except pl.exceptions.PolarsError as error:
        raise _broken_line(text, header, error, file=file) from error
    bars = bars.drop(f"unread_{name}" for name in unread)
    if options.newest_first:
        bars = bars.reverse()
    return _adjusted(bars) if options.adjust else bars


def _scanned(text: Path, header: Header) -> pl.LazyFrame:
    """All cells as text, named by position; a blank line has no cell and is dropped after lines were counted."""
    schema = {str(position): pl.String() for position in range(len(header.names))}
    table = pl.scan_csv(
        text,
        has_header=False,
        skip_lines=header.lines,
        separator=header.delimiter,
        schema=schema,
        row_index_name=SOURCE_ROW,
        row_index_offset=header.lines + 1,
        missing_columns="insert",
        raise_if_empty=False,
    )
    return table.filter(~pl.all_horizontal(pl.col(name).is_null() for name in schema))


def _cell(position: int) -> pl.Expr:
    stripped = pl.col(str(position)).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _number(cell: pl.Expr, options: CsvOptions) -> pl.Expr:
    """With a decimal comma a point can only group thousands, so it cannot be read."""
    if options.decimal_comma:
        cell = pl.when(~cell.str.contains(".", literal=True)).then(cell.str.replace(",", ".", literal=True))
    return cell.cast(pl.Float64, strict=False)


def _asset_class(value: pl.Expr) -> pl.Expr:
    lower = value.str.to_lowercase()
    return lower.replace_strict(CLASS_NAMES, default=value, return_dtype=pl.String)


def _adjusted(bars: pl.DataFrame) -> pl.DataFrame:
    """One positive factor a bar, so that the order of its prices stays."""
    factor = pl.col("adjusted_close") / pl.col("close")
    return bars.with_columns(pl.col(price) * factor for price in PRICES)


def _refuse_cell(
    name: str, bars: pl.DataFrame, table: pl.LazyFrame, header: Header, written: str, *, file: str
) -> NoReturn:
    rows = bars.filter(f"unread_{name}")[SOURCE_ROW]
    row, position = int(rows.min() or 0), header.column[name]  # type: ignore[arg-type]
    text = table.filter(pl.col(SOURCE_ROW) == row).select(str(position)).collect().item()
    what = f"cannot be read like the file's first: {written}" if name == "datetime" else "is no number"
    remedy = _STAMP_REMEDY if name == "datetime" else _NUMBER_REMEDY
    raise BadBarsError(
        f"{text[:40]!r} {what}" + (f" ({rows.len():,} rows like this)" if rows.len() > 1 else ""),
        file=file,
        row=row,
        column=header.names[position],
        remedy=remedy,
    )


def _broken_line(text: Path, header: Header, error: Exception, *, file: str) -> BadBarsError:
    """Polars does not say which line broke the table; a slower reader finds it."""
    with text.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines, delimiter=header.delimiter)
        for cells in reader:
            if reader.line_num > header.lines and len(cells) > len(header.names):
                return BadBarsError(
                    f"{len(cells)} cells, but the header has {len(header.names)}",
                    file=file,
                    row=reader.line_num,
                    remedy="quote cells that hold the delimiter, write numbers without grouping, or set delimiter",
                )
    return BadBarsError(
        f"no table: {str(error).splitlines()[0]}",
        file=file,
        remedy="look for a quotation mark that is never closed",
    )

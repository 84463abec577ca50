"""Source `csv`: text files, or folders of them (.csv, .csv.gz, .txt), one bar a line.

Columns are found by their usual names or by configuration. A class comes from a column, else from the folder (stocks/,
etf/, etfs/, crypto/), else from the caller; a symbol from a column, else from the folder (`symbol=...`), else from the
file's name. Cells are read as text and turned into numbers and instants by rules; a cell that no rule reads is an error
with its line and column. A file is parsed as a stream: memory is that of its bars, not of its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from configs.settings import Settings
from configs.sources import CsvOptions
from market.assets import AssetType
from market.errors import BadBarsError
from market.inspection import RawBars
from warehouse.sources._files import CLASS_NAMES, SourceFile, list_files
from warehouse.sources._header import Header, read_header
from warehouse.sources._table import read_table
from warehouse.sources._text import plain_utf8
from warehouse.sources.base import RawSource, of_class, raw_of_class, read_strictly

_SUFFIXES = (".csv", ".csv.gz", ".txt")
_INTERVAL_AND_PERIOD = re.compile(
    r"[-_ .](\d+(?:s|m|min|h|hour|d|day|w|wk|week|mo|month)|hourly|daily|weekly|monthly)([-_]\d{4}(-\d{2}){0,2})?$",
    re.IGNORECASE,
)
_INTERVALS = dict.fromkeys(("1d", "1day", "daily"), "1d") | dict.fromkeys(
    ("1h", "1hour", "60m", "60min", "hourly"), "1h"
)
_NO_SYMBOLS = frozenset(
    ("bars", "data", "daily", "download", "export", "history", "ohlcv", "prices", "quotes", "table", *CLASS_NAMES)
)


@dataclass(frozen=True)
class CsvSource:
    """Bars from text files; read and checked once, at the first `read`."""

    files: tuple[SourceFile, ...]
    options: CsvOptions
    settings: Settings
    now: datetime
    asset_type: AssetType | None
    name: str = "csv"
    is_simulated: bool = False

    def read(self, asset_type: AssetType | None = None) -> pl.DataFrame:
        """See `Source.read`."""
        return of_class(self._bars, asset_type, source=self.name)

    def raw(self, asset_type: AssetType | None = None) -> list[RawBars]:
        """See `RawSource.raw`."""
        return raw_of_class([self._raw(file) for file in self.files], asset_type)

    def _raw(self, file: SourceFile) -> RawBars:
        name = str(file.path)
        with plain_utf8(file.path, encoding=self.options.encoding) as text:
            header = read_header(text, self.options, file=name)
            place = _place(file, header, self.asset_type)
            return RawBars(name, read_table(text, header, self.options, place, file=name))

    @cached_property
    def _bars(self) -> pl.DataFrame:
        return read_strictly(self.raw(), settings=self.settings, now=self.now)


def open_source(
    *, options: CsvOptions, settings: Settings, now: datetime, asset_type: AssetType | None = None
) -> RawSource:
    """Open text files."""
    files = list_files(options.paths, source="csv", suffixes=_SUFFIXES)
    return CsvSource(files=files, options=options, settings=settings, now=now, asset_type=asset_type)


def _place(file: SourceFile, header: Header, asset_type: AssetType | None) -> dict[str, str]:
    """Class, symbol and interval of a file that has no column for them.

    Raises:
        BadBarsError: Nothing says the class or the symbol, or the file's name says another interval than day or hour.
    """
    name, interval = _named(file.path)
    place = {"interval": interval} if interval and "interval" not in header.column else {}
    if "asset_type" not in header.column:
        said = file.asset_type or asset_type
        if said is None:
            raise BadBarsError(
                "nothing says the asset class of the file: no column, no folder",
                file=str(file.path),
                column="asset_type",
                remedy="give --asset-type, put the file into a folder called stocks, etf or crypto, or add the column",
            )
        place["asset_type"] = said
    if "symbol" not in header.column:
        place["symbol"] = file.symbol or _symbol_of_name(name, file.path)
    return place


def _named(path: Path) -> tuple[str, str]:
    """What a file's name says: `BTCUSDT-1d-2024-01.csv.gz` → BTCUSDT and 1d; `AAPL.csv` → AAPL and nothing."""
    stem = re.sub(r"(\.csv|\.txt)?(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    found = _INTERVAL_AND_PERIOD.search(stem)
    if not found:
        return stem, ""
    written = found[1].lower()
    if written not in _INTERVALS:
        raise BadBarsError(
            f"the file's name says its bars are of {found[1]}; only those of a day or an hour are read",
            file=str(path),
            remedy="give daily bars; if they are, rename the file",
        )
    return stem[: found.start()], _INTERVALS[written]


def _symbol_of_name(name: str, path: Path) -> str:
    if name.lower() in _NO_SYMBOLS:
        raise BadBarsError(
            "nothing says the symbol: no column, and the file's name is no symbol",
            file=str(path),
            column="symbol",
            remedy="add a column symbol, name it in columns, or call the file by its symbol",
        )
    return name

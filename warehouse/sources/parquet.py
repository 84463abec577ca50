"""Source `parquet`: files, or folders of them, with the columns of `market.bars.BAR_SCHEMA` and maybe `interval`.

A file without `asset_type` or `symbol` takes them from its folders (`asset_type=crypto/symbol=BTC%2FUSDT`, or a folder
called stocks, etf or crypto). A class's rows may be spread over files. Every file is checked on its own, and a key in
two files is an error; all files are checked before a row is handed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from configs.settings import Settings
from configs.sources import ParquetOptions
from market.assets import AssetType
from market.bars import BAR_SCHEMA
from market.errors import SourceError
from market.inspection import RawBars
from warehouse.sources._files import SourceFile, head_and_tail, list_files
from warehouse.sources.base import RawSource, of_class, raw_of_class, read_strictly

_MAGIC = b"PAR1"
_ENCRYPTED_MAGIC = b"PARE"
_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True)
class ParquetSource:
    """Bars from parquet files; read and checked once, at the first `read`."""

    files: tuple[SourceFile, ...]
    settings: Settings
    now: datetime
    asset_type: AssetType | None
    name: str = "parquet"
    is_simulated: bool = False

    def read(self, asset_type: AssetType | None = None) -> pl.DataFrame:
        """See `Source.read`."""
        return of_class(self._bars, asset_type, source=self.name)

    def raw(self, asset_type: AssetType | None = None) -> list[RawBars]:
        """See `RawSource.raw`."""
        parts = [RawBars(str(file.path), _with_place(_read(file.path), file, self.asset_type)) for file in self.files]
        return raw_of_class(parts, asset_type)

    @cached_property
    def _bars(self) -> pl.DataFrame:
        return read_strictly(self.raw(), settings=self.settings, now=self.now)


def open_source(
    *, options: ParquetOptions, settings: Settings, now: datetime, asset_type: AssetType | None = None
) -> RawSource:
    """Open parquet files."""
    files = list_files(options.paths, source="parquet", suffixes=_SUFFIXES)
    return ParquetSource(files=files, settings=settings, now=now, asset_type=asset_type)


def _with_place(frame: pl.DataFrame, file: SourceFile, asset_type: AssetType | None) -> pl.DataFrame:
    """What the file itself does not say: its folders', then the caller's class."""
    said = {"asset_type": file.asset_type or asset_type, "symbol": file.symbol}
    return frame.with_columns(
        **{name: pl.lit(value) for name, value in said.items() if value is not None and name not in frame.columns}
    )


def _read(path: Path) -> pl.DataFrame:
    """The columns of bars that the file has; `check_bars` says which are missing.

    Read by pyarrow: on damaged pages and fixed-offset zones polars panics where pyarrow raises.
    """
    _require_parquet(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            columns = [column for column in (*BAR_SCHEMA, "interval") if column in file.schema_arrow.names]
            table = file.read(columns=columns)
        table.validate(full=True)
        return cast(pl.DataFrame, pl.from_arrow(_plain_table(table)))
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is damaged or unreadable: {error}", remedy="write or download it again") from error


def _plain_table(table: pa.Table) -> pa.Table:
    """No metadata, and only types that polars holds: instants in UTC (whatever their label), decimals as floats."""
    return pa.table(
        {name: _plain_column(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    )


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        return column.cast(pa.timestamp(column.type.unit, "UTC"))
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    return column


def _require_parquet(path: Path) -> None:
    head, tail = head_and_tail(path)
    magic = {head[:4], tail[-4:]}
    if _ENCRYPTED_MAGIC in magic:
        raise SourceError(f"{path} is an encrypted parquet file", remedy="write it without encryption")
    if head[:4] != _MAGIC:
        raise SourceError(
            f"{path} is no parquet file",
            remedy="use --source csv for text, or convert it; a file's name alone does not make it parquet",
        )
    if tail[-4:] != _MAGIC:
        raise SourceError(f"{path} is cut off: its end is missing", remedy="write or download it again")

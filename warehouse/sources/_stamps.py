"""Stamps written as text: how a column writes them, and the polars expression that reads them.

The first stamp of a file says how all are written; one that is written otherwise cannot be read and is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from configs.sources import CsvOptions
from market.errors import BadBarsError
from market.sessions import AROUND_THE_CLOCK, UTC_INSTANT

_SECOND_1990, _SECOND_2100 = 631_152_000, 4_102_444_800
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DATES = {
    r"\d{4}-\d{2}-\d{2}": "%Y-%m-%d",
    r"\d{4}/\d{2}/\d{2}": "%Y/%m/%d",
    r"\d{8}": "%Y%m%d",
}
_TIME = r"\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}(:\d{2}([.]\d+)?)?"
_ZONE = r"\s?(Z|UTC|[+-]\d{2}:?\d{2})"
_NUMBER = r"\d{9,19}([.]0*)?"


@dataclass(frozen=True)
class Stamps:
    """How stamps are written.

    Attributes:
        written: For messages.
        instant: Text → UTC instant, NULL where it cannot be read.
        local: Text → date and time as written; None when stamps are dates or numbers.
    """

    written: str
    instant: pl.Expr
    local: pl.Expr | None = None

    def session_stamp(self, asset_type: pl.Expr) -> pl.Expr:
        """Bars' stamps: a stock's or ETF's bar at midnight of the zone it is written in has that date for session."""
        if self.local is None:
            return self.instant
        midnight = self.local.dt.time() == pl.time(0, 0)
        in_sessions = ~asset_type.is_in(list(AROUND_THE_CLOCK))
        date = self.local.dt.replace_time_zone("UTC").cast(UTC_INSTANT)
        return pl.when(midnight & in_sessions & self.instant.is_not_null()).then(date).otherwise(self.instant)


def stamps_like(sample: str, text: pl.Expr, options: CsvOptions, *, file: str, row: int, column: str) -> Stamps:
    """How to read a column whose first stamp is `sample`.

    A date alone is a session's date and needs no zone. Numbers are epochs: their unit is the one that puts them between
    1990 and 2100 (no two do), or `epoch_unit`.

    Raises:
        BadBarsError: The stamp has no time zone and none is configured, or cannot be understood.
    """
    if options.datetime_format:
        return _formatted(text, options, file=file, row=row, column=column)
    if options.epoch_unit:
        return _epoch(text, options.epoch_unit)
    for pattern, date_format in _DATES.items():
        if re.fullmatch(pattern, sample):
            return Stamps(f"dates like {sample}", _midnight(text.str.to_date(date_format, strict=False)))
    if re.fullmatch(_TIME + _ZONE, sample):
        return _zoned(text)
    if re.fullmatch(_TIME, sample):
        return _naive(text, _local(text), options, sample, file=file, row=row, column=column)
    if re.fullmatch(_NUMBER, sample):
        value = float(sample)
        for unit, scale in _UNITS.items():
            if _SECOND_1990 * scale <= value < _SECOND_2100 * scale:
                return _epoch(text, unit)
    raise BadBarsError(
        f"{sample[:40]!r} is no date or time that reads in one way only",
        file=file,
        row=row,
        column=column,
        remedy="write 2024-01-31 or 2024-01-31T00:00:00Z, or set datetime_format (such as %d.%m.%Y) or epoch_unit",
    )


def _formatted(text: pl.Expr, options: CsvOptions, *, file: str, row: int, column: str) -> Stamps:
    written = str(options.datetime_format)
    if "%z" in written:
        instant = text.str.to_datetime(written, strict=False, time_unit="us").dt.convert_time_zone("UTC")
        return Stamps(f"written {written}", instant.cast(UTC_INSTANT))
    if any(mark in written for mark in ("%H", "%I", "%T", "%R", "%X", "%c", "%s")):
        local = text.str.to_datetime(written, strict=False, time_unit="us")
        return _naive(text, local, options, written, file=file, row=row, column=column)
    return Stamps(f"written {written}", _midnight(text.str.to_date(written, strict=False)))


def _midnight(day: pl.Expr) -> pl.Expr:
    return day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _epoch(text: pl.Expr, unit: str) -> Stamps:
    """Numbers outside 1990 to 2100 in this unit are of another unit, or no stamps."""
    value = text.str.strip_suffix(".0").cast(pl.Int64, strict=False)
    inside = value.is_between(_SECOND_1990 * _UNITS[unit], _SECOND_2100 * _UNITS[unit], closed="left")
    micros = value // 1000 if unit == "ns" else value * (10**6 // _UNITS[unit])
    return Stamps(f"numbers of {unit} since 1970", pl.when(inside).then(micros).cast(pl.Datetime("us", "UTC")))


def _local(text: pl.Expr) -> pl.Expr:
    """Date and time as written, any zone cut off."""
    plain = text.str.replace_all("/", "-").str.replace(r"^(\d{4}-\d{2}-\d{2})T", "$1 ").str.replace(_ZONE + "$", "")
    with_seconds = plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    return pl.coalesce(with_seconds, plain.str.to_datetime("%Y-%m-%d %H:%M", strict=False, time_unit="us"))


def _zoned(text: pl.Expr) -> Stamps:
    zone = text.str.extract(_ZONE + "$")
    sign = pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    digits = zone.str.replace_all("[^0-9]", "").str.zfill(4)
    minutes = sign * (
        digits.str.slice(0, 2).cast(pl.Int64, strict=False) * 60 + digits.str.slice(2, 2).cast(pl.Int64, strict=False)
    )
    local = _local(text)
    instant = pl.when(zone.is_not_null()).then(local - pl.duration(minutes=minutes))
    return Stamps("times with a zone", instant.dt.replace_time_zone("UTC"), local)


def _naive(
    text: pl.Expr, local: pl.Expr, options: CsvOptions, sample: str, *, file: str, row: int, column: str
) -> Stamps:
    if options.time_zone is None:
        raise BadBarsError(
            f"{sample!r} has no time zone",
            file=file,
            row=row,
            column=column,
            remedy="set time_zone, such as time_zone: UTC, or write a daily bar's date alone",
        )
    has_zone = text.str.contains(_ZONE + "$")
    naive = pl.when(~has_zone).then(local)
    instant = naive.dt.replace_time_zone(options.time_zone, ambiguous="null", non_existent="null")
    return Stamps(f"times in {options.time_zone}", instant.dt.convert_time_zone("UTC"), local)

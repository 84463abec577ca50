"""The header of a text file: its delimiter, and which of its columns is which of ours."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from configs.sources import CsvOptions
from market.bars import BAR_SCHEMA
from market.errors import BadBarsError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

ALIASES: dict[str, tuple[str, ...]] = {
    "asset_type": ("asset type", "asset class", "assettype"),
    "symbol": ("ticker", "pair", "instrument"),
    "datetime": ("date", "timestamp", "time", "date time", "open time", "opentime", "trade date", "day"),
    "open": ("open price", "o"),
    "high": ("high price", "h"),
    "low": ("low price", "l"),
    "close": ("close price", "c", "last"),
    "volume": ("vol", "v"),
    "interval": ("timeframe",),
    "adjusted_close": ("adj close", "adjclose", "adj. close"),
}
"""Usual names of our columns; compared in lower case, with _ as a blank and without < >."""

_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Header:
    """Where the table begins and what its columns are.

    Attributes:
        delimiter: One character.
        names: Columns of the file, in its order.
        lines: Lines before the first bar.
        column: Our name → position in `names`.
    """

    delimiter: str
    names: tuple[str, ...]
    lines: int
    column: Mapping[str, int]


def read_header(text: Path, options: CsvOptions, *, file: str) -> Header:
    """Find delimiter and columns.

    Raises:
        BadBarsError: No delimiter, or more than one, gives a known header; a column is named twice, missing, or may be
            one of several.
    """
    with text.open(encoding="utf-8", newline="") as lines:
        head = list(islice(lines, options.skip_lines + 1))
    row = options.skip_lines + (0 if options.header else 1)
    if len(head) <= options.skip_lines:
        raise BadBarsError(
            "the file ends before its table begins",
            file=file,
            row=len(head),
            remedy="check skip_lines; the file may be cut off",
        )
    line = head[-1]
    delimiter = options.delimiter or _sniffed(line, options, file=file)
    names = tuple(name.strip() for name in options.header or _fields(line, delimiter))
    _refuse_twins(names, file=file, row=row)
    column = _resolved(names, options, file=file, row=row)
    return Header(delimiter, names, row, column)


def _sniffed(line: str, options: CsvOptions, *, file: str) -> str:
    """The delimiter under which most columns are known; without a header line, the one that gives the right number."""
    fields = {mark: _fields(line, mark) for mark in DELIMITERS}
    if options.header:
        scores = {mark: int(len(fields[mark]) == len(options.header)) for mark in DELIMITERS}
    else:
        scores = {mark: len(_known(fields[mark], options)) for mark in DELIMITERS}
    best = max(scores.values())
    winners = [mark for mark, score in scores.items() if score == best]
    if best == 0 or len(winners) > 1:
        looks_like_bars = any(_NUMBER.fullmatch(cell.strip()) for cell in re.split(r"[,;\t|]", line))
        raise BadBarsError(
            f"no delimiter among {', '.join(DELIMITERS.values())} splits {line.strip()[:80]!r} into known columns",
            file=file,
            row=options.skip_lines + 1,
            remedy="the file has no header line: name its columns in `header`"
            if looks_like_bars
            else "set delimiter, skip_lines if the table begins further down, or columns if its names are unusual",
        )
    return winners[0]


def _fields(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _known(names: Sequence[str], options: CsvOptions) -> list[str]:
    said = set(options.columns.values())
    usual = {*ALIASES, *(alias for aliases in ALIASES.values() for alias in aliases)}
    return [name for name in names if name.strip() in said or _plain(name) in usual]


def _plain(name: str) -> str:
    plain = re.sub(r"[\s_]+", " ", name.strip().strip("<>").strip().lower())
    return plain.replace(" ", "_") if plain.replace(" ", "_") in ALIASES else plain


def _refuse_twins(names: Sequence[str], *, file: str, row: int) -> None:
    for name in names:
        if name and names.count(name) > 1:
            raise BadBarsError(
                "the column is there twice", file=file, row=row, column=name, remedy="drop or rename one of them"
            )


def _resolved(names: Sequence[str], options: CsvOptions, *, file: str, row: int) -> dict[str, int]:
    """Our names → positions: as configured, else our own name, else the only usual one."""
    column: dict[str, int] = {}
    for ours, aliases in ALIASES.items():
        theirs = options.columns.get(ours)  # type: ignore[call-overload]
        if theirs is not None:
            if theirs not in names:
                raise BadBarsError(
                    f"columns says {ours} is {theirs!r}, but the file has no such column",
                    file=file,
                    row=row,
                    column=theirs,
                    remedy=f"one of {', '.join(names)}",
                )
            column[ours] = names.index(theirs)
            continue
        free = [name for name in names if name not in options.columns.values()]
        exact = [name for name in free if _plain(name) == ours]
        found = exact or [name for name in free if _plain(name) in aliases]
        if len(found) > 1:
            raise BadBarsError(
                f"{' and '.join(map(repr, found))} may both be {ours}",
                file=file,
                row=row,
                column=found[1],
                remedy=f"say which: columns: {{{ours}: {found[0]}}}",
            )
        if found:
            column[ours] = names.index(found[0])
    _refuse_missing(column, names, options, file=file, row=row)
    return column


def _refuse_missing(
    column: Mapping[str, int], names: Sequence[str], options: CsvOptions, *, file: str, row: int
) -> None:
    wanted = [name for name in BAR_SCHEMA if name not in ("asset_type", "symbol")]
    for name in [*wanted, "adjusted_close"] if options.adjust else wanted:
        if name not in column:
            raise BadBarsError(
                f"the column is missing; the file has {', '.join(map(repr, names))}",
                file=file,
                row=row,
                column=name,
                remedy=f"name the one that holds it: columns: {{{name}: ...}}",
            )

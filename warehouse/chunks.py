"""Symbols in ranges small enough to hold in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

T = TypeVar("T")

CHUNK_ROWS = 400_000
"""Rows of about 50 columns that a build holds at once: some 200 MB, and as much again for the engine's windows."""


@dataclass(frozen=True)
class SymbolRange:
    """Neighbouring symbols, both ends included."""

    first: str
    last: str


def symbol_ranges(counts: pl.DataFrame, chunk_rows: int | None = None) -> list[SymbolRange]:
    """Split symbols into ranges of at most `chunk_rows` rows, one symbol at least.

    Args:
        counts: `symbol` (unique) and `rows`.
        chunk_rows: Default `CHUNK_ROWS`.
    """
    limit = CHUNK_ROWS if chunk_rows is None else chunk_rows
    ranges: list[SymbolRange] = []
    held = 0
    for symbol, rows in counts.select("symbol", "rows").sort("symbol").iter_rows():
        if ranges and held + rows <= limit:
            ranges[-1] = SymbolRange(ranges[-1].first, symbol)
            held += rows
        else:
            ranges.append(SymbolRange(symbol, symbol))
            held = rows
    return ranges


def within(frame: pl.DataFrame, part: SymbolRange) -> pl.DataFrame:
    """The rows of a range's symbols."""
    return frame.filter(pl.col("symbol").is_between(pl.lit(part.first), pl.lit(part.last)))


def ahead(compute: Callable[[SymbolRange], T], ranges: Sequence[SymbolRange]) -> Iterator[T]:
    """Results in the order of the ranges, the next one computed while the caller works with the last."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(compute, part) for part in ranges[:1]]
        for part in ranges[1:]:
            done = waiting.pop().result()
            waiting.append(pool.submit(compute, part))
            yield done
            del done
        for last in waiting:
            yield last.result()

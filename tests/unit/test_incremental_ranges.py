"""Symbols split into ranges of bounded rows."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from warehouse.chunks import SymbolRange, symbol_ranges, within


def counts(rows: dict[str, int]) -> pl.DataFrame:
    return pl.DataFrame({"symbol": list(rows), "rows": list(rows.values())}, schema={"symbol": pl.String, "rows": int})


def test_neighbours_share_a_range_until_it_is_full() -> None:
    found = symbol_ranges(counts({"C": 3, "A": 4, "B": 6, "D": 7}), 10)
    assert found == [SymbolRange("A", "B"), SymbolRange("C", "D")]


def test_a_symbol_larger_than_a_range_has_one_of_its_own() -> None:
    assert symbol_ranges(counts({"A": 4, "B": 11, "C": 4}), 10) == [
        SymbolRange("A", "A"), SymbolRange("B", "B"), SymbolRange("C", "C"),
    ]  # fmt: skip


def test_no_symbols_have_no_ranges() -> None:
    assert symbol_ranges(counts({}), 10) == []


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 20), max_size=12), st.integers(1, 40))
def test_every_symbol_lies_in_exactly_one_range(rows: dict[str, int], limit: int) -> None:
    frame = counts(rows)
    parts = [within(frame, part) for part in symbol_ranges(frame, limit)]
    assert sorted(symbol for part in parts for symbol in part["symbol"]) == sorted(rows)
    assert all(part["rows"].sum() <= limit or part.height == 1 for part in parts)

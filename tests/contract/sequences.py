"""Random sequences of writes, and the dictionary by key that each of them must equal."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from market.errors import DuplicateKeyError
from tests.contract.warehouse_engines import bars, stored
from warehouse.warehouse import Warehouse, Write

KEYS = st.tuples(st.sampled_from(["stocks", "etf"]), st.sampled_from(["A", "B"]), st.integers(0, 3))
CLOSES = st.one_of(st.none(), st.floats(-1e9, 1e9))
ROWS = st.dictionaries(KEYS, CLOSES, max_size=6)
STEPS = st.lists(st.tuples(st.sampled_from(["merge", "append", "skip", "replace", "replace stocks"]), ROWS), max_size=6)


def _model(table, mode, rows):
    """The table after the write, and (inserted, updated, deleted, skipped); None when the write is refused."""
    known = rows.keys() & table.keys()
    if mode == "merge":
        return {**table, **rows}, (len(rows) - len(known), len(known), 0, 0)
    if mode == "append":
        return None if known else ({**table, **rows}, (len(rows), 0, 0, 0))
    if mode == "skip":
        return {**rows, **table}, (len(rows) - len(known), 0, 0, len(known))
    kept = {key: value for key, value in table.items() if mode == "replace stocks" and key[0] != "stocks"}
    return {**kept, **rows}, (len(rows), 0, len(table) - len(kept), 0)


def _how(mode):
    if mode == "skip":
        return {"mode": "append", "skip_existing": True}
    return {"mode": "replace", "where": {"asset_type": "stocks"}} if mode == "replace stocks" else {"mode": mode}


def apply_steps(warehouse: Warehouse, steps: list[tuple[str, dict[Any, Any]]]) -> None:
    """Write step by step; after each one the table, and the counts, are the dictionary's."""
    table: dict[Any, Any] = {}
    for mode, rows in steps:
        if mode == "replace stocks":
            rows = {key: value for key, value in rows.items() if key[0] == "stocks"}
        write = Write("ml_models.bars", rows=bars(*((*key, value) for key, value in rows.items())), **_how(mode))
        expected = _model(table, mode, rows)
        if expected is None:
            try:
                warehouse.write([write])
            except DuplicateKeyError:
                continue
            raise AssertionError("append of a known key was let through")
        table, counts = expected
        [result] = warehouse.write([write])
        assert (result.inserted, result.updated, result.deleted, result.skipped) == counts
        assert stored(warehouse) == [(*key, table[key]) for key in sorted(table)]

"""The declared sample of reports: the same rows on every engine, chosen as anybody can choose them again."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.reports_sample import DAYS, MONTHS, Population, allocate, draw
from tests.contract.warehouse_engines import BIGQUERY, bars, empty_engine
from warehouse.warehouse import Warehouse, Write

TABLE = "ml_models.bars"
START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = [f"S{i:02d}" for i in range(12)]
N_DAYS = 75


@pytest.fixture(params=["duckdb-scratch", BIGQUERY])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    engine = empty_engine(request.param, request, tmp_path)
    rows = [("stocks", symbol, day, float(day)) for symbol in SYMBOLS for day in range(N_DAYS)]
    engine.write([Write(TABLE, rows=bars(*rows, ("crypto", "BTC/USDT", 3, 1.0)), mode="append")])
    return engine


def population(stratum: str = MONTHS) -> Population:
    scope = "asset_type = @asset_type AND datetime < @end"
    end = START + timedelta(days=N_DAYS)
    return Population(
        f"`{TABLE}`", ("symbol", "datetime", "close"), scope, stratum, "months", {"asset_type": "stocks", "end": end}
    )


def chosen_by_hand(rows: int, seed: int) -> set[tuple[str, int]]:
    """Every stratum's first rows in the order of the hash, in plain Python."""
    by_month: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
    for symbol in SYMBOLS:
        for day in range(N_DAYS):
            stamp = START + timedelta(days=day)
            text = f"{seed}|{symbol}|{int(stamp.timestamp())}"
            by_month[stamp.month].append((hashlib.md5(text.encode()).hexdigest(), symbol, day))
    quotas = allocate([len(by_month[month]) for month in sorted(by_month)], rows)
    return {
        (symbol, day)
        for month, quota in zip(sorted(by_month), quotas, strict=True)
        for _, symbol, day in sorted(by_month[month])[:quota]
    }


def keys(warehouse: Warehouse, rows: int, seed: int) -> set[tuple[str, int]]:
    with warehouse.read() as read:
        sample = draw(read, population(), rows, seed)
    return {(symbol, (stamp - START).days) for symbol, stamp, _ in sample.rows.iter_rows()}


def test_the_rows_drawn_are_those_with_the_smallest_hashes_of_their_stratum(filled: Warehouse) -> None:
    assert keys(filled, 100, 23) == chosen_by_hand(100, 23)
    assert keys(filled, 7, 24) == chosen_by_hand(7, 24)
    assert keys(filled, 100, 23) != keys(filled, 100, 24)


def test_a_sample_declares_what_it_stands_for(filled: Warehouse) -> None:
    with filled.read() as read:
        part = draw(read, population(), 100, 23)
        days = draw(read, population(DAYS), 100, 23)
        whole = draw(read, population(), 900, 23)
        nothing = draw(
            read, Population(f"`{TABLE}`", ("symbol", "datetime"), "symbol = 'none'", MONTHS, "months"), 9, 1
        )
    assert part.words() == "100 of 900 rows, drawn in proportion from 3 strata (months) with seed 23"
    assert part.rows["datetime"].dt.month().value_counts(sort=True).rows() == [(1, 41), (2, 39), (3, 20)]
    assert (days.strata, days.rows["datetime"].n_unique()) == (75, 75)
    assert whole.words() == "all 900 rows"
    assert whole.rows.height == whole.total == 900
    assert (nothing.total, nothing.rows.height, nothing.rows.columns) == (0, 0, ["symbol", "datetime"])


def test_a_stratum_gives_its_share_and_the_largest_remainders_one_more() -> None:
    assert allocate([372, 348, 180], 100) == [41, 39, 20]
    assert allocate([1, 1, 1], 2) == [1, 1, 0]
    assert allocate([5, 5], 20) == [5, 5]
    assert allocate([1_000_000, 1], 10) == [10, 0]


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=40), st.integers(1, 20_000))
def test_shares_add_up_and_none_is_more_than_one_row_away_from_proportion(totals: list[int], rows: int) -> None:
    quotas = allocate(totals, rows)
    population_size = sum(totals)
    assert sum(quotas) == min(rows, population_size)
    assert all(0 <= quota <= total for quota, total in zip(quotas, totals, strict=True))
    share = min(1.0, rows / population_size)
    assert all(abs(quota - share * total) < 1 for quota, total in zip(quotas, totals, strict=True))

"""Each fault of the inflated construction does what it says, and nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from training.dataset import Dataset
from training.explain_faults import copied_rows, lookahead_pivots, one_split, unknown_is_down
from training.explain_steps import constructions

START = datetime(2024, 1, 1, tzinfo=UTC)
FAULTS = ("copies", "lookahead_pivots", "unknown_is_down", "one_split", "service")


def table(closes: dict[str, list[float]]) -> pl.DataFrame:
    """An honest training table, sorted by (datetime, symbol)."""
    rows = [
        {
            "asset_type": "etf",
            "symbol": symbol,
            "datetime": START + timedelta(days=day),
            "bar_known_at": START + timedelta(days=day, hours=21),
            "close": close,
            "target_direction": None if day + 1 == len(series) else int(series[day + 1] > close),
            "forward_return_pct": None if day + 1 == len(series) else 100 * (series[day + 1] / close - 1),
            "label_known_at": None if day + 1 == len(series) else START + timedelta(days=day + 1, hours=21),
        }
        for symbol, series in closes.items()
        for day, close in enumerate(series)
    ]
    return pl.DataFrame(rows, infer_schema_length=None).sort("datetime", "symbol")


def of(frame: pl.DataFrame, symbol: str, column: str) -> list[object]:
    return frame.filter(pl.col("symbol") == symbol)[column].to_list()


def test_look_ahead_pivots_are_what_comparing_a_bar_with_the_next_two_gives() -> None:
    random = np.random.default_rng(3)
    highs = {symbol: random.integers(1, 12, 60).astype(float) for symbol in ("A", "B")}
    flags = [
        {"symbol": symbol, "datetime": START + timedelta(days=day), "high": series[day]}
        | {"pivot_high_flag": float(day >= 4 and series[day - 2] > np.delete(series[day - 4 : day + 1], 2).max())}
        for symbol, series in highs.items()
        for day in range(60)
    ]
    honest = pl.DataFrame(flags).with_columns(pivot_low_flag=pl.lit(0.0)).sort("datetime", "symbol")
    early = lookahead_pivots(honest)
    for symbol, series in highs.items():
        expected = [
            float(2 <= day < 58 and series[day] > np.delete(series[day - 2 : day + 3], 2).max()) for day in range(60)
        ]
        assert of(early, symbol, "pivot_high_flag") == expected
        assert sum(expected) > 5
    assert early.drop("pivot_high_flag").equals(honest.drop("pivot_high_flag"))


def test_a_copied_row_is_followed_by_itself_so_that_only_the_last_copy_keeps_its_direction() -> None:
    copied = copied_rows(table({"A": [1.0, 2.0, 3.0, 1.5], "B": [5.0, 6.0]}), 3)
    assert of(copied, "A", "target_direction") == [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, None]
    assert of(copied, "B", "target_direction") == [0, 0, 1, 0, 0, None]
    assert copied.select("datetime", "symbol").rows() == sorted(copied.select("datetime", "symbol").rows())
    assert of(copied, "B", "label_known_at")[1:3] == [START + timedelta(hours=21), START + timedelta(days=1, hours=21)]


@pytest.mark.parametrize("copies", [2, 7])
def test_copies_leave_one_up_label_for_every_up_bar(copies: int) -> None:
    closes = list(100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 200))))
    honest = table({"A": closes})
    copied = copied_rows(honest, copies)
    assert copied.height == 200 * copies
    assert copied["target_direction"].sum() == honest["target_direction"].sum()


def test_a_single_copy_changes_nothing() -> None:
    honest = table({"A": [1.0, 2.0, 1.0], "B": [5.0, 6.0, 5.5]})
    assert copied_rows(honest, 1).equals(honest)


def test_an_unknown_label_becomes_a_down_that_claims_to_be_known_at_the_close() -> None:
    faulty = unknown_is_down(table({"A": [1.0, 2.0, 3.0]}))
    assert of(faulty, "A", "target_direction") == [1, 1, 0]
    assert of(faulty, "A", "label_known_at")[2] == START + timedelta(days=2, hours=21)


def test_one_split_trains_up_to_its_date_and_tests_after_the_other_one() -> None:
    stamps = np.arange("2022-12-29", "2024-01-05", dtype="datetime64[D]").astype("datetime64[us]")
    label = np.zeros(len(stamps), dtype=np.float32)
    label[[0, -1]] = np.nan
    dataset = Dataset(
        asset_type="etf",
        features=("rsi",),
        matrix=np.zeros((len(stamps), 1), dtype=np.float32),
        label=label,
        datetime=stamps,
        known_at=stamps,
        label_known_at=stamps,
        keys=pl.DataFrame(),
        content_hash="",
    )
    trained, tested = one_split(dataset, date(2022, 12, 31), date(2023, 12, 31))
    assert [str(day)[:10] for day in stamps[trained]] == ["2022-12-30", "2022-12-31"]
    assert [str(day)[:10] for day in stamps[tested]] == ["2024-01-01", "2024-01-02", "2024-01-03"]


def faults(construction: object) -> dict[str, object]:
    return {name: getattr(construction, name) for name in FAULTS}


@pytest.mark.parametrize("duplicates", [1, 7])
def test_every_step_has_exactly_one_fault_less_than_the_one_before_and_the_last_has_none(duplicates: int) -> None:
    steps = constructions(duplicates=duplicates, train_end=date(2022, 12, 31), test_end=date(2023, 12, 31))
    road = [faults(step) for step in steps if not step.is_control]
    for before, after in pairwise(road):
        assert sum(before[name] != after[name] for name in FAULTS) == 1
    assert road[0] == {
        "copies": duplicates,
        "lookahead_pivots": True,
        "unknown_is_down": True,
        "one_split": True,
        "service": "validated_16",
    }
    assert road[-1] == {
        "copies": 1,
        "lookahead_pivots": False,
        "unknown_is_down": False,
        "one_split": False,
        "service": "default",
    }


@pytest.mark.parametrize("duplicates", [1, 7])
def test_the_control_repeats_the_look_ahead_step_that_stands_before_it(duplicates: int) -> None:
    steps = constructions(duplicates=duplicates, train_end=date(2022, 12, 31), test_end=date(2023, 12, 31))
    (place,) = (number for number, step in enumerate(steps) if step.is_control)
    assert faults(steps[place]) == faults(steps[place - 1])
    assert steps[place].lookahead_pivots
    assert not steps[place + 1].lookahead_pivots

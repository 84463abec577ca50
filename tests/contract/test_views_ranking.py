"""Rankings of backtests and of symbols against plain Python, on random rows full of ties and gaps."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from market.signals import Thresholds, confidence
from market.statistics import wilson_interval
from tests.contract.table_rows import empty, insert, scratch_warehouse, select, utc
from warehouse.warehouse import Warehouse

RESULTS = "ml_models.backtest_results"
RECORD = "ml_models.walk_forward_predictions_v2"
CLASSES = ("stocks", "etf", "crypto")
# Few values, the bounds of every grade among them, so that ranks tie and grades are met exactly.
SHARPES = (None, -1.0, 0.49, 0.5, 1.0, 1.5, 2.0, 2.5)
WIN_RATES = (None, 44.9, 45.0, 50.0, 55.0, 60.0, 70.0)
FACTORS = (None, 0.8, 1.2, 1.5, 2.0, 3.0)
NOTES = (None, "", "reaches into TEST", "legacy_v2", "copied; legacy_v2")
GRADES = (("A", 2.0, 60.0, 2.0), ("B", 1.5, 55.0, 1.5), ("C", 1.0, 50.0, 1.2), ("D", 0.5, 45.0, None))


@pytest.fixture(scope="module")
def shared() -> Warehouse:
    return scratch_warehouse()


@pytest.fixture
def warehouse(shared: Warehouse) -> Iterator[Warehouse]:
    yield shared
    empty(shared)


def grade(row: dict[str, Any]) -> str:
    """The best grade all of whose demands are met; what is unknown meets none."""
    found = (row["sharpe_ratio"], row["win_rate"], row["profit_factor"])
    for name, *demands in GRADES:
        pairs = zip(found, demands, strict=True)
        if all(least is None or (value is not None and value >= least) for value, least in pairs):
            return name
    return "F"


def rank(values: list[float | None], own: float | None) -> int:
    """1 is best, equals share a rank, unknown values come last."""
    return 1 + sum(one is not None and (own is None or one > own) for one in values)


@pytest.mark.parametrize("seed", range(4))
def test_the_comparison_is_what_counting_by_hand_gives(warehouse: Warehouse, seed: int) -> None:
    draw = random.Random(seed)
    rows = [
        {
            "backtest_id": f"b{number}",
            "asset_type": draw.choice((*CLASSES, "all")),
            "sharpe_ratio": draw.choice(SHARPES),
            "total_return_pct": draw.choice((None, -5.0, 0.0, 5.0, 10.0)),
            "win_rate": draw.choice(WIN_RATES),
            "profit_factor": draw.choice(FACTORS),
            "notes": draw.choice(NOTES),
        }
        for number in range(150)
    ]
    insert(warehouse, RESULTS, rows)
    kept = [row for row in rows if "legacy_v2" not in (row["notes"] or "")]
    peers: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in kept:
        peers[row["asset_type"]].append(row)
    ranks = {"sharpe_rank": "sharpe_ratio", "return_rank": "total_return_pct", "winrate_rank": "win_rate"}
    expected = {
        row["backtest_id"]: {
            "grade": grade(row),
            **{
                name: rank([one[column] for one in peers[row["asset_type"]]], row[column])
                for name, column in ranks.items()
            },
        }
        for row in kept
    }
    found = {
        row["backtest_id"]: {name: row[name] for name in ("grade", *ranks)}
        for row in select(warehouse, "SELECT * FROM `ml_models.v_backtest_comparison`")
    }
    assert found == expected
    assert {one["grade"] for one in found.values()} == set("ABCDF")
    assert len(kept) < len(rows)


def drawn_record(draw: random.Random) -> list[dict[str, Any]]:
    """Rows of a record: quarters of a percent, so that sums are exact and totals tie."""
    rows = []
    for asset_type in CLASSES:
        for symbol in (f"S{number}" for number in range(12)):
            leaning = draw.choice((0.65, 0.35, 0.9, 0.1, 0.65, 0.35, 0.6))
            for day in range(draw.choice((10, 14, 16, 24))):
                change = draw.choice((None, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0))
                p = leaning if draw.random() < 0.9 else round(draw.random(), 2)
                rows.append(
                    {
                        "asset_type": asset_type,
                        "symbol": symbol,
                        "datetime": utc("2024-01-01") + timedelta(days=day),
                        "up_probability": p,
                        "predicted_direction": 1 if p >= 0.5 else 0,
                        "actual_direction": None if change is None else int(change > 0),
                        "forward_return_pct": change,
                        "data_split": draw.choice(("VALIDATE",) * 9 + ("TEST",)),
                    }
                )
    return rows


def performers(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """By symbol: what its HIGH rows of VALIDATE with a known outcome earned in the predicted direction."""
    signals: dict[tuple[str, str], list[tuple[int, int, float]]] = defaultdict(list)
    for row in rows:
        high = confidence(row["up_probability"], Thresholds()) == "HIGH"
        if high and row["data_split"] == "VALIDATE" and row["actual_direction"] is not None:
            signals[row["asset_type"], row["symbol"]].append(
                (row["predicted_direction"], row["actual_direction"], row["forward_return_pct"])
            )
    found = {}
    for key, made in signals.items():
        right = sum(predicted == actual for predicted, actual, _ in made)
        ups = sum(actual for _, actual, _ in made)
        total = sum(change if predicted else -change for predicted, _, change in made)
        if len(made) >= 10:
            found[key] = {
                "total_signals": len(made),
                "correct_signals": right,
                "accuracy": 100 * right / len(made),
                "base_rate": 100 * max(ups, len(made) - ups) / len(made),
                "accuracy_lower_95": 100 * wilson_interval(right, len(made)).low,
                "total_return": total,
                "avg_return": total / len(made),
            }
    for (asset_type, _), one in found.items():
        peers = [other for (kind, _), other in found.items() if kind == asset_type]
        own = (one["accuracy"], one["total_return"])
        one["rank_in_class"] = 1 + sum((other["accuracy"], other["total_return"]) > own for other in peers)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_best_performers_are_what_counting_by_hand_gives(warehouse: Warehouse, seed: int) -> None:
    rows = drawn_record(random.Random(seed))
    insert(warehouse, RECORD, rows)
    expected = performers(rows)
    stored = select(warehouse, "SELECT * FROM `ml_models.v_best_performers`")
    found = {(row["asset_type"], row["symbol"]): row for row in stored}
    assert found.keys() == expected.keys()
    assert len(stored) == len(found) >= 8
    for key, own in expected.items():
        assert {name: found[key][name] for name in own} == pytest.approx(own, abs=1e-4), key
        assert found[key]["rank_in_class"] == own["rank_in_class"]

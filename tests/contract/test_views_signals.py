"""Views of predictions: numbers worked out by hand on a few rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from market.signals import Thresholds, action_recommendation, confidence, signal
from market.statistics import wilson_interval
from tests.contract.table_rows import empty, insert, scratch_warehouse, select, utc
from warehouse.warehouse import Warehouse

RECORD = "ml_models.walk_forward_predictions_v2"
LIVE = "ml_models.realtime_predictions"
SETTINGS = "tradehits.asset_settings"


@pytest.fixture(scope="module")
def shared() -> Warehouse:
    return scratch_warehouse()


@pytest.fixture
def warehouse(shared: Warehouse) -> Iterator[Warehouse]:
    yield shared
    empty(shared)


def recorded(symbol: str, p: float, **values: Any) -> dict[str, Any]:
    """A VALIDATE row of the champion's record."""
    return {
        "asset_type": "stocks",
        "symbol": symbol,
        "datetime": utc("2024-06-03"),
        "close": 50.0,
        "up_probability": p,
        "predicted_direction": 1 if p >= 0.5 else 0,
        "data_split": "VALIDATE",
    } | values


def live(symbol: str, day: str, **values: Any) -> dict[str, Any]:
    return {"asset_type": "stocks", "symbol": symbol, "datetime": utc(day), "signal": "HOLD"} | values


def signals_of(warehouse: Warehouse, column: str) -> dict[str, Any]:
    rows = select(warehouse, "SELECT * FROM `ml_models.v_walk_forward_signals_v2`")
    return {row["symbol"]: row[column] for row in rows}


def test_thresholds_belong_to_the_stronger_side_in_sql_as_in_the_domain(warehouse: Warehouse) -> None:
    expected = {
        0.65: ("HIGH", "BUY"),
        0.6499999: ("MEDIUM", "BUY"),
        0.60: ("MEDIUM", "BUY"),
        0.5999999: ("MEDIUM", "HOLD"),
        0.55: ("MEDIUM", "HOLD"),
        0.5499999: ("LOW", "HOLD"),
        0.5: ("LOW", "HOLD"),
        0.4500001: ("LOW", "HOLD"),
        0.45: ("MEDIUM", "HOLD"),
        0.4000001: ("MEDIUM", "HOLD"),
        0.40: ("MEDIUM", "SELL"),
        0.3500001: ("MEDIUM", "SELL"),
        0.35: ("HIGH", "SELL"),
    }
    insert(warehouse, RECORD, [recorded(str(p), p) for p in expected])
    rows = select(warehouse, "SELECT * FROM `ml_models.v_walk_forward_signals_v2`")
    assert {row["up_probability"]: (row["confidence_level"], row["signal"]) for row in rows} == expected
    assert {p: (confidence(p, Thresholds()), signal(p, Thresholds())) for p in expected} == expected


def test_thresholds_are_those_of_the_asset_class(warehouse: Warehouse) -> None:
    own = {"buy_threshold": 0.52, "sell_threshold": 0.48, "high_threshold": 0.53, "medium_threshold": 0.51}
    insert(warehouse, SETTINGS, [{"asset_type": "crypto", "clock": "wall"} | own])
    insert(warehouse, RECORD, [recorded("A", 0.53), recorded("B/USDT", 0.53, asset_type="crypto")])
    assert signals_of(warehouse, "confidence_level") == {"A": "LOW", "B/USDT": "HIGH"}
    assert signals_of(warehouse, "signal") == {"A": "HOLD", "B/USDT": "BUY"}


def test_a_recommendation_asks_for_probability_growth_and_cycle(warehouse: Warehouse) -> None:
    cases: list[tuple[float, int | None, int | None, str]] = [
        (0.70, 75, 1, "STRONG_BUY"),
        (0.6999, 75, 1, "BUY"),
        (0.70, 50, 1, "BUY"),
        (0.70, 75, 0, "BUY"),
        (0.60, 50, 0, "BUY"),
        (0.60, 25, 1, "HOLD"),
        (0.5999, 100, 1, "HOLD"),
        (0.30, 25, 0, "STRONG_SELL"),
        (0.3001, 25, 0, "SELL"),
        (0.30, 50, 0, "SELL"),
        (0.40, 50, 1, "SELL"),
        (0.40, 75, 0, "HOLD"),
        (0.4001, 0, 0, "HOLD"),
        (0.70, None, None, "HOLD"),
    ]
    rows = [recorded(f"{p} {growth} {up}", p, growth_score=growth, in_rise_cycle=up) for p, growth, up, _ in cases]
    insert(warehouse, RECORD, rows)
    expected = {f"{p} {growth} {up}": recommendation for p, growth, up, recommendation in cases}
    assert signals_of(warehouse, "trade_recommendation") == expected


def test_a_recommendation_never_buys_below_a_stricter_buy_threshold(warehouse: Warehouse) -> None:
    own = {"buy_threshold": 0.75, "sell_threshold": 0.25, "high_threshold": 0.8, "medium_threshold": 0.6}
    insert(warehouse, SETTINGS, [{"asset_type": "stocks", "clock": "wall"} | own])
    strong = {"growth_score": 100, "in_rise_cycle": 1}
    insert(warehouse, RECORD, [recorded("A", 0.74, **strong), recorded("B", 0.75, **strong)])
    insert(warehouse, RECORD, [recorded("C", 0.26, growth_score=0), recorded("D", 0.25, growth_score=0)])
    found = signals_of(warehouse, "trade_recommendation")
    assert found == {"A": "HOLD", "B": "STRONG_BUY", "C": "HOLD", "D": "STRONG_SELL"}


def test_signals_are_the_validate_rows_with_price_percent_and_factors(warehouse: Warehouse) -> None:
    insert(
        warehouse,
        RECORD,
        [
            recorded("A", 0.57123, pivot_low_flag=1, rise_cycle_start=1, in_rise_cycle=1, rsi=29.9, adx=25.1),
            recorded("B", 0.29, in_rise_cycle=1, golden_cross=1, pivot_high_flag=1, macd_histogram=0.1, rsi=70.1),
            recorded("C", 0.5, rsi=70.0, adx=25.0, macd_histogram=0.0, in_rise_cycle=0),
            recorded("D", 0.9, data_split="TEST"),
            recorded("E", 0.9, data_split="TRAIN"),
        ],
    )
    assert signals_of(warehouse, "price") == {"A": 50.0, "B": 50.0, "C": 50.0}
    assert signals_of(warehouse, "up_probability_pct") == {"A": 57.12, "B": 29.0, "C": 50.0}
    assert signals_of(warehouse, "key_factors") == {
        "A": "Pivot Low, Rise Start, RSI Oversold, Strong Trend",
        "B": "Pivot High, In Rise Cycle, Golden Cross, RSI Overbought, MACD Positive",
        "C": "none",
    }


def test_the_latest_prediction_is_the_newest_bars_and_not_the_newest_written(warehouse: Warehouse) -> None:
    insert(
        warehouse,
        LIVE,
        [
            live("A", "2024-06-27", close=1.0, created_at=utc("2024-06-29")),
            live("A", "2024-06-28", close=2.0, created_at=utc("2024-06-28")),
            live("A", "2024-06-26", close=3.0, created_at=utc("2024-06-30"), asset_type="etf"),
        ],
    )
    rows = select(warehouse, "SELECT * FROM `ml_models.v_latest_predictions` ORDER BY asset_type")
    assert [(row["asset_type"], row["symbol"], row["close"]) for row in rows] == [
        ("etf", "A", 3.0),
        ("stocks", "A", 2.0),
    ]


def latest(warehouse: Warehouse, column: str) -> dict[str, Any]:
    rows = select(warehouse, "SELECT * FROM `ml_models.v_latest_predictions`")
    return {row["symbol"]: row[column] for row in rows}


def test_a_recommended_action_agrees_with_the_domain(warehouse: Warehouse) -> None:
    levels = ("HIGH", "MEDIUM", "LOW")
    cases = {f"{called} {level}": (called, level) for called in ("BUY", "SELL", "HOLD") for level in levels}
    insert(
        warehouse,
        LIVE,
        [live(name, "2024-06-28", signal=called, ensemble_confidence=level) for name, (called, level) in cases.items()],
    )
    found = latest(warehouse, "action_recommendation")
    assert found == {name: action_recommendation(*case) for name, case in cases.items()}
    assert (found["BUY HIGH"], found["SELL MEDIUM"], found["BUY LOW"]) == ("STRONG_BUY", "MODERATE_SELL", "NEUTRAL")


def test_volatility_risk_is_the_atr_in_percent_of_the_close(warehouse: Warehouse) -> None:
    expected = {5.01: "HIGH", 5.0: "MEDIUM", 2.01: "MEDIUM", 2.0: "LOW", 0.0: "LOW", None: None}
    insert(warehouse, LIVE, [live(str(atr), "2024-06-28", close=100.0, atr=atr) for atr in expected])
    assert latest(warehouse, "volatility_risk") == {str(atr): risk for atr, risk in expected.items()}


def test_a_signal_is_aligned_with_a_trend_or_counter_to_it_and_a_hold_is_neutral(warehouse: Warehouse) -> None:
    expected = {
        ("BUY", "STRONG_UPTREND"): "ALIGNED",
        ("BUY", "WEAK_UPTREND"): "ALIGNED",
        ("BUY", "WEAK_DOWNTREND"): "COUNTER_TREND",
        ("BUY", "CONSOLIDATION"): "COUNTER_TREND",
        ("SELL", "WEAK_DOWNTREND"): "ALIGNED",
        ("SELL", "STRONG_DOWNTREND"): "ALIGNED",
        ("SELL", "STRONG_UPTREND"): "COUNTER_TREND",
        ("HOLD", "STRONG_UPTREND"): "NEUTRAL",
        ("HOLD", None): "NEUTRAL",
    }
    rows = [live(f"{called} {regime}", "2024-06-28", signal=called, trend_regime=regime) for called, regime in expected]
    insert(warehouse, LIVE, rows)
    found = latest(warehouse, "trend_alignment")
    assert found == {f"{called} {regime}": alignment for (called, regime), alignment in expected.items()}


def test_the_signal_summary_counts_the_last_seven_days_of_the_replayed_clock(warehouse: Warehouse) -> None:
    insert(warehouse, SETTINGS, [{"asset_type": "stocks", "clock": "end_of_data", "now_at": utc("2024-06-28 20:15")}])
    low = {"ensemble_confidence": "LOW", "signal_strength": 2.0}
    strong = low | {"signal_strength": 4.0}
    insert(
        warehouse,
        LIVE,
        [
            live("OLD", "2024-06-21", **low),
            live("FIRST", "2024-06-22", **low),
            live("LAST", "2024-06-28", ensemble_up_probability=0.51, growth_score=50, **low),
            live("MORE", "2024-06-28", ensemble_up_probability=0.49, growth_score=25, **strong),
            live("BUYS", "2024-06-28", signal="BUY", ensemble_confidence="MEDIUM", signal_strength=20.0),
            live("AHEAD", "2024-06-29", **low),
        ],
    )
    rows = select(warehouse, "SELECT * FROM `ml_models.v_signal_summary` ORDER BY date, signal")
    assert [(str(row["date"]), row["signal"], row["signal_count"], row["top_symbols"]) for row in rows] == [
        ("2024-06-22", "HOLD", 1, ["FIRST"]),
        ("2024-06-28", "BUY", 1, ["BUYS"]),
        ("2024-06-28", "HOLD", 2, ["MORE", "LAST"]),
    ]
    hold = rows[2]
    assert (hold["avg_strength"], hold["avg_growth_score"]) == (3.0, 37.5)
    assert (hold["min_up_probability"], hold["max_up_probability"]) == (0.49, 0.51)


def test_the_signal_summary_names_the_ten_strongest_and_breaks_ties_by_name(warehouse: Warehouse) -> None:
    insert(warehouse, SETTINGS, [{"asset_type": "stocks", "clock": "x", "now_at": utc("2024-06-28 20:15")}])
    names = [f"S{i:02d}" for i in range(12)]
    insert(warehouse, LIVE, [live(n, "2024-06-28", signal_strength=float(i // 2)) for i, n in enumerate(names)])
    (row,) = select(warehouse, "SELECT * FROM `ml_models.v_signal_summary`")
    assert row["signal_count"] == 12
    assert row["top_symbols"] == ["S10", "S11", "S08", "S09", "S06", "S07", "S04", "S05", "S02", "S03"]


def outcomes(
    symbol: str, p: float, results: list[tuple[int | None, float | None]], **values: Any
) -> list[dict[str, Any]]:
    """HIGH rows of one symbol on following days: (actual direction, forward return in percent)."""
    return [
        recorded(
            symbol,
            p,
            datetime=utc("2024-01-01") + timedelta(days=i),
            actual_direction=actual,
            forward_return_pct=change,
            **values,
        )
        for i, (actual, change) in enumerate(results)
    ]


def test_best_performers_earn_real_returns_in_the_predicted_direction(warehouse: Warehouse) -> None:
    up, down = (1, 2.0), (0, -1.0)
    insert(
        warehouse,
        RECORD,
        [
            *outcomes("LONG", 0.65, [up] * 8 + [down] * 4),
            *outcomes("SHORT", 0.35, [down] * 9 + [up] * 3),
            *outcomes("FLAT", 0.65, [up] * 9 + [(0, 0.0)] * 3),
            *outcomes("NINE", 0.9, [up] * 9),
            *outcomes("UNKNOWN", 0.9, [up] * 9 + [(None, None)]),
            *outcomes("MEDIUM", 0.6499, [up] * 20),
            *outcomes("TEST", 0.9, [up] * 20, data_split="TEST"),
            *outcomes("C/USDT", 0.9, [up] * 10, asset_type="crypto"),
        ],
    )
    rows = {row["symbol"]: row for row in select(warehouse, "SELECT * FROM `ml_models.v_best_performers`")}
    assert {symbol: row["rank_in_class"] for symbol, row in rows.items()} == {
        "FLAT": 1,
        "SHORT": 2,
        "LONG": 3,
        "C/USDT": 1,
    }
    assert [rows["LONG"][name] for name in ("total_signals", "correct_signals")] == [12, 8]
    assert rows["LONG"]["accuracy"] == pytest.approx(100 * 8 / 12)
    assert rows["LONG"]["base_rate"] == pytest.approx(100 * 8 / 12)
    assert rows["LONG"]["total_return"] == pytest.approx(8 * 2.0 - 4 * 1.0)
    assert rows["LONG"]["avg_return"] == pytest.approx(1.0)
    assert [rows["SHORT"][name] for name in ("correct_signals", "total_return")] == [
        9,
        pytest.approx(9 * 1.0 - 3 * 2.0),
    ]
    assert rows["SHORT"]["base_rate"] == pytest.approx(75.0)
    # 9 of 12: (0.75 + z²/24 - z·sqrt(0.75·0.25/12 + z²/576)) / (1 + z²/12) with z = 1.96
    z = 1.959964
    by_hand = (0.75 + z**2 / 24 - z * math.sqrt(0.1875 / 12 + z**2 / 576)) / (1 + z**2 / 12)
    assert by_hand == pytest.approx(0.4677, abs=1e-4)
    assert rows["SHORT"]["accuracy_lower_95"] == pytest.approx(100 * by_hand)
    assert rows["SHORT"]["accuracy_lower_95"] == pytest.approx(100 * wilson_interval(9, 12).low, abs=1e-4)
    assert rows["C/USDT"]["accuracy_lower_95"] == pytest.approx(100 * wilson_interval(10, 10).low, abs=1e-4)


def test_equal_accuracy_and_return_share_a_rank(warehouse: Warehouse) -> None:
    same = [(1, 1.0)] * 10
    insert(
        warehouse, RECORD, [*outcomes("A", 0.9, same), *outcomes("B", 0.9, same), *outcomes("C", 0.9, [(1, 0.5)] * 10)]
    )
    rows = select(warehouse, "SELECT symbol, rank_in_class FROM `ml_models.v_best_performers` ORDER BY symbol")
    assert [(row["symbol"], row["rank_in_class"]) for row in rows] == [("A", 1), ("B", 1), ("C", 3)]

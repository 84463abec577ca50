"""The feature query against an independent twin, value by value, and against literal cases."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.contract.feature_twin import features as twin_features
from tests.contract.table_rows import empty, insert, scratch_warehouse, select, table, utc
from warehouse.features import feature_query
from warehouse.warehouse import Warehouse, Write

FEATURES = "ml_models.walk_forward_features_v2"
CLEAN = "crypto_trading_data.stocks_daily_clean"
COPIED = [column.name for column in table(CLEAN).columns if column.name != "ingested_at"]
LABELS = {"target_direction", "forward_return_pct", "label_known_at"}
TRAIN_END, TEST_END = date(2020, 3, 31), date(2020, 6, 30)
WRITTEN_AT = utc("2024-01-01 12:00")


@pytest.fixture(scope="module")
def shared() -> Warehouse:
    return scratch_warehouse()


@pytest.fixture
def warehouse(shared: Warehouse) -> Iterator[Warehouse]:
    yield shared
    empty(shared)


def parameters(**given: Any) -> dict[str, Any]:
    return {
        "asset_type": "stocks",
        "first_symbol": "",
        "last_symbol": "\uffff",
        "train_end": TRAIN_END,
        "test_end": TEST_END,
        "created_timestamp": WRITTEN_AT,
    } | given


def features_of(warehouse: Warehouse, **given: Any) -> dict[str, list[dict[str, Any]]]:
    """Feature rows by symbol, in time order."""
    found: dict[str, list[dict[str, Any]]] = {}
    rows = select(warehouse, feature_query(), parameters(**given))
    for row in sorted(rows, key=lambda row: (row["symbol"], row["datetime"])):
        found.setdefault(row["symbol"], []).append(row)
    return found


def bar(day: int, symbol: str = "A", **values: Any) -> dict[str, Any]:
    """A bar on the given day from 2020-01-01 on; columns that are not given are NULL."""
    stamp = utc("2020-01-01") + timedelta(days=day)
    known_at = stamp + timedelta(hours=21, minutes=15)
    return {"symbol": symbol, "datetime": stamp, "bar_known_at": known_at, "indicator_variant": "wilder"} | values


def series(column: str, values: list[Any], **others: list[Any]) -> list[dict[str, Any]]:
    """One bar for each value of `column`; other columns run along."""
    columns = {column: values} | others
    return [bar(i, **{name: given[i] for name, given in columns.items()}) for i in range(len(values))]


def flags(warehouse: Warehouse, bars: list[dict[str, Any]], feature: str) -> list[Any]:
    insert(warehouse, CLEAN, bars)
    return [row[feature] for row in features_of(warehouse)["A"]]


def random_bars(rng: random.Random, symbol: str, count: int) -> list[dict[str, Any]]:
    """Bars whose values collide with each other and with every threshold, and are often missing."""
    grids: dict[str, list[float]] = {
        "rsi": [29.5, 30.0, 30.5, 49.9, 50.0, 61.3, 70.0, 70.5],
        "adx": [10.0, 25.0, 25.5, 40.0],
        "macd": [-1.0, 0.0, 0.5],
        "macd_signal": [-1.0, 0.0, 0.5],
        "macd_histogram": [-0.25, 0.0, 0.3],
        "volume_ratio": [0.5, 1.0, 2.5],
        "atr": [0.0, 0.7, 3.1],
        "volume": [0.0, 1000.0],
    }
    prices = [99.0, 100.0, 100.7, 101.0, 103.3]
    frozen_rsi = 0
    rows = []
    for day in range(count):
        values: dict[str, Any] = {name: rng.choice(grid) for name, grid in grids.items()}
        for name in ("open", "high", "low", "close", "sma_50", "sma_200", "ema_12", "ema_26", "percent_change"):
            values[name] = rng.choice(prices)
        values = {name: None if rng.random() < 0.06 else value for name, value in values.items()}
        frozen_rsi = 24 if frozen_rsi == 0 and rng.random() < 0.02 else max(0, frozen_rsi - 1)
        if frozen_rsi:
            values["rsi"] = 61.3
        elif values["rsi"] is None and rng.random() < 0.8:
            values["rsi"] = 44.1
        rows.append(bar(day, symbol, **values))
    return rows


def assert_equal_rows(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        for name, value in wanted.items():
            place = f"{name} of {row['symbol']} at {row['datetime']:%Y-%m-%d}"
            if isinstance(value, float):
                assert row[name] is not None, place
                assert math.isclose(row[name], value, rel_tol=1e-9, abs_tol=1e-11), f"{place}: {row[name]} != {value}"
            else:
                assert row[name] == value, f"{place}: {row[name]} != {value}"


@pytest.mark.parametrize("seed", range(6))
def test_every_feature_and_label_equals_its_twin_on_bars_full_of_ties_and_gaps(warehouse: Warehouse, seed: int) -> None:
    rng = random.Random(seed)
    lengths = {"A": 260, "B": 40, "C": 5, "D": 1, "E": 203}
    bars = {symbol: random_bars(rng, symbol, count) for symbol, count in lengths.items()}
    shuffled = [row for rows in bars.values() for row in rows]
    rng.shuffle(shuffled)
    insert(warehouse, CLEAN, shuffled)
    found = features_of(warehouse)
    assert set(found) == set(bars)
    seen = set()
    for symbol, rows in bars.items():
        expected = twin_features(rows, train_end=TRAIN_END, test_end=TEST_END)
        assert_equal_rows(found[symbol], expected)
        assert_equal_rows(found[symbol], [{name: row.get(name) for name in COPIED} for row in rows])
        seen |= {name for row in expected for name in row}
    keys = {"asset_type", "created_timestamp"}
    assert seen | set(COPIED) | keys == {column.name for column in table(FEATURES).columns}


def test_the_query_gives_the_tables_columns_in_the_tables_order(warehouse: Warehouse) -> None:
    given = warehouse.query(feature_query(), parameters())
    assert given.column_names == [column.name for column in table(FEATURES).columns]


def test_the_query_writes_into_the_feature_table(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, series("close", [1.0, 2.0, 2.0]))
    warehouse.write(
        [
            Write(
                FEATURES,
                sql=feature_query(),
                parameters=parameters(),
                mode="replace",
                where={"asset_type": "stocks"},
            )
        ]
    )
    stored = select(warehouse, f"SELECT * FROM `{FEATURES}` ORDER BY datetime")
    assert [row["target_direction"] for row in stored] == [1, 0, None]
    assert [row["asset_type"] for row in stored] == ["stocks"] * 3
    assert {row["created_timestamp"] for row in stored} == {WRITTEN_AT}
    assert {row["indicator_variant"] for row in stored} == {"wilder"}


def test_every_prefix_of_a_history_has_the_same_features_and_only_its_last_bar_lacks_a_label(
    warehouse: Warehouse,
) -> None:
    whole = random_bars(random.Random(99), "WHOLE", 230)
    lengths = [1, 2, 4, 5, 6, 19, 20, 21, 100, 199, 200, 229]
    prefixes = [dict(row, symbol=f"P{length:03d}") for length in lengths for row in whole[:length]]
    insert(warehouse, CLEAN, [*whole, *prefixes])
    found = features_of(warehouse)
    discovered = {column.name for column in table(FEATURES).columns} - LABELS - {"symbol"}
    for length in lengths:
        prefix = found[f"P{length:03d}"]
        expected = found["WHOLE"][:length]
        assert_equal_rows(prefix, [{name: row[name] for name in discovered} for row in expected])
        assert_equal_rows(prefix[:-1], [{name: row[name] for name in LABELS} for row in expected[:-1]])
        assert {name: prefix[-1][name] for name in LABELS} == dict.fromkeys(LABELS)


def test_a_symbol_range_gives_the_same_rows_as_the_whole_class(warehouse: Warehouse) -> None:
    rng = random.Random(5)
    insert(warehouse, CLEAN, [row for symbol in "ABCD" for row in random_bars(rng, symbol, 30)])
    whole = features_of(warehouse)
    chunks = features_of(warehouse, last_symbol="B") | features_of(warehouse, first_symbol="C", last_symbol="D")
    assert list(features_of(warehouse, first_symbol="B", last_symbol="C")) == ["B", "C"]
    for symbol, rows in whole.items():
        assert_equal_rows(chunks[symbol], rows)


def test_an_asset_class_reads_its_own_table_only(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, series("close", [1.0]))
    insert(warehouse, "crypto_trading_data.crypto_daily_clean", [bar(0, "BTC/USDT", close=2.0)])
    assert list(features_of(warehouse, asset_type="crypto")) == ["BTC/USDT"]
    assert list(features_of(warehouse)) == ["A"]
    assert features_of(warehouse, asset_type="etf") == {}


def test_a_pivot_high_is_told_two_bars_after_the_peak(warehouse: Warehouse) -> None:
    assert flags(warehouse, series("high", [1.0, 2.0, 5.0, 3.0, 4.0, 3.0]), "pivot_high_flag") == [0, 0, 0, 0, 1, 0]


def test_a_pivot_low_is_told_two_bars_after_the_trough(warehouse: Warehouse) -> None:
    assert flags(warehouse, series("low", [9.0, 8.0, 5.0, 7.0, 6.0, 7.0]), "pivot_low_flag") == [0, 0, 0, 0, 1, 0]


def spoilt(places: tuple[int, ...], column: str, values: list[Any], spoiler: Any) -> list[dict[str, Any]]:
    """For each place a symbol whose value there is the spoiler."""
    return [
        bar(day, f"P{place}", **{column: spoiler if day == place else value})
        for place in places
        for day, value in enumerate(values)
    ]


def test_an_equal_high_among_the_five_is_no_pivot(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, spoilt((0, 1, 3, 4), "high", [1.0, 2.0, 5.0, 3.0, 4.0], 5.0))
    found = features_of(warehouse)
    assert {symbol: rows[4]["pivot_high_flag"] for symbol, rows in found.items()} == {
        "P0": 0,
        "P1": 0,
        "P3": 0,
        "P4": 0,
    }


def test_a_pivot_needs_all_five_bars(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, spoilt((0, 1, 2, 3, 4, 9), "low", [9.0, 8.0, 5.0, 7.0, 6.0], None))
    found = {symbol: rows[4]["pivot_low_flag"] for symbol, rows in features_of(warehouse).items()}
    assert found == {"P0": 0, "P1": 0, "P2": 0, "P3": 0, "P4": 0, "P9": 1}


def test_four_bars_have_no_pivot(warehouse: Warehouse) -> None:
    assert flags(warehouse, series("high", [1.0, 5.0, 2.0, 1.0]), "pivot_high_flag") == [0, 0, 0, 0]


def test_labels_follow_the_next_close_a_tie_is_down_and_the_last_bar_has_none(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, series("close", [100.0, 110.0, 110.0, 99.0]))
    rows = features_of(warehouse)["A"]
    assert [row["target_direction"] for row in rows] == [1, 0, 0, None]
    assert [row["forward_return_pct"] for row in rows] == pytest.approx([10.0, 0.0, -10.0, None])
    next_known = [utc("2020-01-02 21:15"), utc("2020-01-03 21:15"), utc("2020-01-04 21:15"), None]
    assert [row["label_known_at"] for row in rows] == next_known


def test_a_rise_cycle_starts_once_and_its_end_starts_a_fall(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, series("ema_12", [None, 1.0, 2.0, 3.0, 2.0, 1.0, 3.0], ema_26=[2.0] * 7))
    rows = features_of(warehouse)["A"]
    assert [row["in_rise_cycle"] for row in rows] == [0, 0, 0, 1, 0, 0, 1]
    assert [row["rise_cycle_start"] for row in rows] == [0, 0, 0, 1, 0, 0, 1]
    assert [row["fall_cycle_start"] for row in rows] == [0, 0, 0, 0, 1, 0, 0]


def test_a_cycle_whose_beginning_is_unknown_has_no_start(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, series("ema_12", [3.0, 3.0, None, 3.0], ema_26=[2.0] * 4))
    rows = features_of(warehouse)["A"]
    assert [row["in_rise_cycle"] for row in rows] == [1, 1, 0, 1]
    assert [row["rise_cycle_start"] for row in rows] == [0, 0, 0, 0]


def test_golden_and_death_crosses_need_a_side_before_and_a_side_now(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, series("sma_50", [9.0, 10.0, 11.0, 10.0, 9.0, 10.0, 9.0, None], sma_200=[10.0] * 8))
    rows = features_of(warehouse)["A"]
    assert [row["golden_cross"] for row in rows] == [0, 0, 1, 0, 0, 0, 0, 0]
    assert [row["death_cross"] for row in rows] == [0, 0, 0, 0, 1, 0, 1, 0]


def test_macd_crosses_of_signal_and_of_zero(warehouse: Warehouse) -> None:
    bars = series(
        "macd",
        [0.0, 1.0, 2.0, 1.0, 0.0, None, 2.0],
        macd_signal=[1.0] * 7,
        macd_histogram=[-1.0, 0.0, 1.0, 0.0, -1.0, None, 1.0],
    )
    insert(warehouse, CLEAN, bars)
    rows = features_of(warehouse)["A"]
    assert [row["macd_cross"] for row in rows] == [0, 0, 1, 0, -1, 0, 0]
    assert [row["macd_cross_up"] for row in rows] == [0, 0, 1, 0, 0, 0, 0]
    assert [row["macd_rising"] for row in rows] == [0, 1, 1, 0, 0, 0, 0]


def test_rsi_thresholds_are_exclusive_and_growth_bounds_inclusive(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, series("rsi", [29.9, 30.0, 49.9, 50.0, 70.0, 70.1, None]))
    rows = features_of(warehouse)["A"]
    assert [row["rsi_oversold"] for row in rows] == [1, 0, 0, 0, 0, 0, 0]
    assert [row["rsi_overbought"] for row in rows] == [0, 0, 0, 0, 0, 1, 0]
    assert [row["growth_score"] for row in rows] == [0, 0, 0, 25, 25, 0, 0]


def test_growth_counts_four_conditions_of_25_points(warehouse: Warehouse) -> None:
    everything = {"rsi": 60.0, "macd_histogram": 0.1, "adx": 25.1, "close": 10.1, "sma_200": 10.0}
    bounds = {"macd_histogram": 0.0, "adx": 25.0, "close": 10.0}
    bars = [bar(0, **everything), *(bar(i + 1, **(everything | {k: v})) for i, (k, v) in enumerate(bounds.items()))]
    bars.append(bar(4, **(everything | {"sma_200": None})))
    assert flags(warehouse, bars, "growth_score") == [100, 75, 75, 75, 75]


def test_a_regime_needs_strict_order_and_all_its_inputs(warehouse: Warehouse) -> None:
    expected = {
        (12.0, 11.0, 10.0, 25.1): "STRONG_UPTREND",
        (12.0, 11.0, 10.0, 25.0): "WEAK_UPTREND",
        (12.0, 10.0, 11.0, 40.0): "WEAK_UPTREND",
        (12.0, 10.0, 10.0, 40.0): "WEAK_UPTREND",
        (11.0, 11.0, 10.0, 40.0): "CONSOLIDATION",
        (10.5, 11.0, 10.0, 40.0): "CONSOLIDATION",
        (8.0, 9.0, 10.0, 25.1): "STRONG_DOWNTREND",
        (8.0, 9.0, 10.0, 25.0): "WEAK_DOWNTREND",
        (8.0, 10.0, 9.0, 40.0): "WEAK_DOWNTREND",
        (9.0, 9.0, 10.0, 40.0): "CONSOLIDATION",
        (12.0, 11.0, 10.0, None): "CONSOLIDATION",
        (8.0, 9.0, 10.0, None): "CONSOLIDATION",
        (None, 11.0, 10.0, 40.0): "CONSOLIDATION",
        (12.0, None, 10.0, 40.0): "CONSOLIDATION",
        (12.0, 11.0, None, 40.0): "CONSOLIDATION",
    }
    names = ("close", "sma_50", "sma_200", "adx")
    insert(warehouse, CLEAN, [bar(i, **dict(zip(names, inputs, strict=True))) for i, inputs in enumerate(expected)])
    rows = features_of(warehouse)["A"]
    assert {tuple(row[name] for name in names): row["trend_regime"] for row in rows} == expected


def test_a_z_score_needs_twenty_known_values_that_are_not_all_equal(warehouse: Warehouse) -> None:
    flat = [0.1 + 0.2] * 19
    found = flags(warehouse, series("rsi", [*flat, 0.1 + 0.2, 20.3, None, *flat]), "rsi_zscore")
    assert found[:20] == [None] * 20
    assert found[20] == pytest.approx(20.0 * 19 / 20 / math.sqrt(20.0), abs=1e-9)
    assert found[21:] == [None] * 20


def test_a_bar_is_warm_from_its_two_hundredth_on(warehouse: Warehouse) -> None:
    assert flags(warehouse, series("close", [1.0] * 201), "is_warm") == [False] * 199 + [True, True]


def test_momentum_looks_back_5_10_and_20_bars(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, series("close", [100.0] * 5 + [110.0] * 5 + [121.0] * 10 + [132.0]))
    rows = features_of(warehouse)["A"]
    assert [rows[i]["momentum_5d"] for i in (4, 5, 19)] == pytest.approx([None, 10.0, 0.0])
    assert [rows[i]["momentum_10d"] for i in (9, 10)] == pytest.approx([None, 21.0])
    assert [rows[i]["momentum_20d"] for i in (19, 20)] == pytest.approx([None, 32.0])


def test_ratios_to_a_zero_close_are_unknown(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, [bar(0, close=0.0, atr=1.0, macd_histogram=1.0), bar(1, close=2.0, atr=1.0)])
    first, second = features_of(warehouse)["A"]
    assert (first["atr_pct"], first["macd_histogram_pct"], first["forward_return_pct"]) == (None, None, None)
    assert (second["atr_pct"], second["macd_histogram_pct"]) == (50.0, None)


def test_splits_end_on_the_configured_days_inclusive(warehouse: Warehouse) -> None:
    stamps = ["2020-03-31", "2020-04-01", "2020-06-30", "2020-07-01"]
    bars = [dict(bar(0), datetime=utc(stamp)) for stamp in stamps]
    assert flags(warehouse, bars, "data_split") == ["TRAIN", "TEST", "TEST", "VALIDATE"]


def test_a_missing_volume_ratio_is_one_in_the_clean_column_only(warehouse: Warehouse) -> None:
    insert(warehouse, CLEAN, series("volume_ratio", [None, 0.0, 2.5]))
    rows = features_of(warehouse)["A"]
    assert [row["volume_ratio_clean"] for row in rows] == [1.0, 0.0, 2.5]
    assert [row["volume_ratio"] for row in rows] == [None, 0.0, 2.5]


def test_bars_are_ordered_by_their_stamp_across_gaps(warehouse: Warehouse) -> None:
    days: list[datetime] = [utc("2020-01-03"), utc("2020-01-06"), utc("2020-01-07")]
    bars = [dict(bar(0), datetime=day, rsi=value) for day, value in zip(days, [40.0, 45.0, 43.0], strict=True)]
    assert flags(warehouse, bars[::-1], "rsi_slope") == [None, 5.0, -2.0]

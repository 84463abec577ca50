"""Daily performance: one statement against a slow twin, windows by hand, and a table that follows what is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from configs.settings import Settings, load_settings
from monitoring.conditions import Moment
from monitoring.performance import performance, refresh, source_at
from tests.contract.performance_world import (
    PERFORMANCE,
    TODAY,
    Prediction,
    ago,
    called_live,
    moment_at,
    record,
    store,
    twin,
    with_rule,
    writes,
)
from tests.contract.table_rows import empty, insert, midnight, scratch_warehouse, select, utc
from warehouse.warehouse import Warehouse

SETTINGS_TABLE = "tradehits.asset_settings"


@pytest.fixture(scope="module")
def shared() -> Warehouse:
    return scratch_warehouse()


@pytest.fixture
def warehouse(shared: Warehouse) -> Iterator[Warehouse]:
    yield shared
    empty(shared)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return with_rule(load_settings("test"))


def found(
    warehouse: Warehouse, settings: Settings, moment: Moment, first: date | None = None
) -> dict[tuple[str, date], dict[str, Any]]:
    with warehouse.read() as read:
        rows = performance(read, settings, moment, first=first)
    return {(row["prediction_source"], row["date"]): row for row in rows.to_dicts()}


def table(warehouse: Warehouse) -> pl.DataFrame:
    return pl.DataFrame(warehouse.query(f"SELECT * FROM `{PERFORMANCE}` ORDER BY asset_type, prediction_source, date"))


def agrees(ours: dict[tuple[str, date], dict[str, Any]], theirs: dict[tuple[str, date], dict[str, Any]]) -> None:
    assert list(ours) == list(theirs)
    for key, expected in theirs.items():
        for name, value in expected.items():
            told = ours[key][name]
            if isinstance(value, float):
                assert told == pytest.approx(value, rel=1e-9, abs=1e-12), (key, name)
            else:
                assert told == value, (key, name)


PROBABILITIES = st.sampled_from([0.0, 0.3, 0.35, 0.4, 0.44, 0.45, 0.4999, 0.5, 0.55, 0.56, 0.6, 0.65, 0.9, 1.0])
CALLED = st.tuples(st.sampled_from(["BUY", "SELL", "HOLD"]), st.sampled_from(["HIGH", "MEDIUM", "LOW"]))


@st.composite
def histories(draw: st.DrawFn, least: int = 0) -> list[Prediction]:
    keys = draw(
        st.lists(
            st.tuples(st.sampled_from(["live", "walk_forward"]), st.integers(-2, 60), st.sampled_from("ABC")),
            unique=True,
            min_size=least,
            max_size=60,
        )
    )
    return [
        Prediction(
            source,
            ago(back),
            symbol,
            draw(PROBABILITIES),
            draw(st.sampled_from([True, False, None])),
            draw(st.sampled_from([1.0, 1.9, 3.0, 9.0])),
            draw(st.sampled_from([0.9, 1.0, 2.0])),
            draw(st.booleans()),
            draw(CALLED),
        )
        for source, back, symbol in keys
    ]


FEW_FULL, DEEP = pytest.param(4, 25, id="few"), pytest.param(40, 0, marks=pytest.mark.slow, id="many")
"""Examples, and predictions in each of them at least: a few full histories on every run, any history in the study."""


@pytest.mark.parametrize(("count", "least"), [pytest.param(8, 25, id="few"), DEEP])
def test_every_column_equals_a_slow_twin(shared: Warehouse, count: int, least: int) -> None:
    @examples(max_examples=count)
    @given(predictions=histories(least), back=st.integers(0, 40), smallest=st.sampled_from([1, 4]))
    def agree(predictions: list[Prediction], back: int, smallest: int) -> None:
        _agrees_with_the_twin(shared, predictions, back, smallest)

    agree()


def _agrees_with_the_twin(shared: Warehouse, predictions: list[Prediction], back: int, smallest: int) -> None:
    settings = with_rule(load_settings("test"), warning=2 * smallest, critical=smallest, days=min(smallest, 2))
    moment = moment_at(ago(back))
    store(shared, predictions)
    agrees(found(shared, settings, moment), twin(predictions, settings, moment))


@pytest.mark.parametrize(("count", "least"), [FEW_FULL, DEEP])
def test_a_moment_in_the_past_gives_what_that_day_gave(
    shared: Warehouse, settings: Settings, count: int, least: int
) -> None:
    @examples(max_examples=count)
    @given(predictions=histories(least), back=st.integers(0, 40))
    def agree(predictions: list[Prediction], back: int) -> None:
        _was_so_then(shared, settings, predictions, moment_at(ago(back)))

    agree()


def _was_so_then(shared: Warehouse, settings: Settings, predictions: list[Prediction], moment: Moment) -> None:
    known_then = [
        replace(one, up=one.up if one.known_at <= moment.now or not one.has_bar else None)
        for one in predictions
        if one.day <= moment.date and (one.source != "live" or one.made_at <= moment.now)
    ]
    store(shared, known_then)
    with shared.read() as read:
        then, source_then = performance(read, settings, moment), source_at(read, moment)
    store(shared, predictions)
    with shared.read() as read:
        assert performance(read, settings, moment).equals(then)
        assert source_at(read, moment) == source_then


def test_the_metrics_of_a_day_are_scikit_learns(warehouse: Warehouse, settings: Settings) -> None:
    random = np.random.default_rng(7)
    p, y = random.uniform(size=300), random.integers(0, 2, 300)
    store(warehouse, [Prediction("walk_forward", ago(2), f"S{i}", p[i], bool(y[i])) for i in range(300)])
    (row,) = found(warehouse, settings, moment_at()).values()
    up = p >= 0.5
    tn, fp, fn, tp = sk.confusion_matrix(y, up).ravel()
    cells = ("true_negatives", "false_positives", "false_negatives", "true_positives")
    assert [row[name] for name in cells] == [tn, fp, fn, tp]
    expected = {
        "accuracy_pct": 100 * sk.accuracy_score(y, up),
        "brier_score": sk.brier_score_loss(y, p),
        "log_loss": sk.log_loss(y, p),
        "precision_score": sk.precision_score(y, up),
        "recall_score": sk.recall_score(y, up),
        "f1_score": sk.f1_score(y, up),
        "base_rate_pct": 100 * max(y.mean(), 1 - y.mean()),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_one_day_worked_out_by_hand(warehouse: Warehouse, settings: Settings) -> None:
    day = ago(2)
    rows = [
        Prediction("walk_forward", day, "A", 0.70, True),  # BUY, HIGH, right
        Prediction("walk_forward", day, "B", 0.60, False),  # BUY, MEDIUM, wrong
        Prediction("walk_forward", day, "C", 0.45, False),  # HOLD, MEDIUM, right
        Prediction("walk_forward", day, "D", 0.50, True),  # HOLD, LOW, right: one half is UP
        Prediction("walk_forward", day, "E", 0.35, True),  # SELL, HIGH, wrong
    ]
    store(warehouse, rows)
    (row,) = found(warehouse, settings, moment_at()).values()
    counts = ("total_predictions", "correct_predictions", "buy_signals", "sell_signals", "hold_signals")
    assert [row[name] for name in counts] == [5, 3, 2, 1, 2]
    cells = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    assert [row[name] for name in cells] == [2, 1, 1, 1]
    levels = [row[f"accuracy_{level}_conf"] for level in ("high", "medium", "low")]
    assert levels == [50.0, 50.0, 100.0]
    shares = [row[name] for name in ("accuracy_pct", "base_rate_pct", "up_share_pct")]
    assert shares == pytest.approx([60.0, 60.0, 60.0])
    assert row["avg_up_probability"] == pytest.approx(0.52)
    assert row["brier_score"] == pytest.approx((0.09 + 0.36 + 0.2025 + 0.25 + 0.4225) / 5)
    assert row["log_loss"] == pytest.approx(-math.log(0.7 * 0.4 * 0.55 * 0.5 * 0.35) / 5)
    assert [row[name] for name in ("precision_score", "recall_score", "f1_score")] == pytest.approx([2 / 3] * 3)
    assert (row["rolling_7d_accuracy"], row["rolling_30d_accuracy"], row["baseline_accuracy"]) == (60.0, 60.0, None)
    assert (row["drift_detected"], row["drift_type"]) == (None, None)


def test_windows_are_calendar_days_and_the_baseline_ends_where_the_last_seven_begin(
    warehouse: Warehouse, settings: Settings
) -> None:
    # one prediction on each edge of each window of the row of 2 days ago; powers of two tell who was counted
    sizes = {2: 1, 8: 2, 9: 4, 31: 8, 32: 16, 38: 32, 39: 64}
    store(warehouse, [one for back, size in sizes.items() for one in record(back, hits=size)])
    row = found(warehouse, settings, moment_at())["walk_forward", ago(2)]
    # 7 days: 2 to 8 days ago; the 30 before them: 9 to 38 days ago
    assert (row["recent_predictions"], row["recent_days"]) == (1 + 2, 2)
    assert (row["baseline_predictions"], row["baseline_days"]) == (4 + 8 + 16 + 32, 4)
    store(warehouse, [*record(2, hits=1), *record(31, hits=0, misses=1), *record(32, hits=0, misses=1)])
    row = found(warehouse, settings, moment_at())["walk_forward", ago(2)]
    assert row["rolling_30d_accuracy"] == 50.0, "31 days ago is the 30th day, 32 days ago the 31st"


def test_counts_are_pooled_and_days_are_not_averaged(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, [*record(3, hits=1), *record(2, hits=0, misses=9)])
    row = found(warehouse, settings, moment_at())["walk_forward", ago(2)]
    assert row["rolling_7d_accuracy"] == 10.0
    assert row["rolling_30d_accuracy"] == 10.0


def test_a_week_has_five_days_of_stocks_and_seven_of_crypto_and_missing_days_leave_no_row(
    warehouse: Warehouse, settings: Settings
) -> None:
    weekdays = [one for one in range(2, 44) if ago(one).weekday() < 5]
    store(warehouse, [row for back in weekdays for row in record(back, hits=2)])
    row = found(warehouse, settings, moment_at())["walk_forward", ago(2)]  # a Wednesday
    assert (row["recent_days"], row["recent_predictions"], row["baseline_days"]) == (5, 10, 22)
    assert not [key for key in found(warehouse, settings, moment_at()) if key[1].weekday() > 4]
    every_day = [row for back in range(2, 44) for row in record(back, hits=2)]
    store(warehouse, every_day, "crypto")
    row = found(warehouse, settings, moment_at(asset_type="crypto"))["walk_forward", ago(2)]
    assert (row["recent_days"], row["recent_predictions"], row["baseline_days"]) == (7, 14, 30)
    with_a_hole = [one for one in every_day if not ago(12) <= one.day <= ago(5)]
    store(warehouse, with_a_hole, "crypto")
    row = found(warehouse, settings, moment_at(asset_type="crypto"))["walk_forward", ago(2)]
    assert (row["recent_days"], row["baseline_days"]) == (3, 26)


def test_live_is_the_ensemble_as_it_was_called_without_back_fills(warehouse: Warehouse, settings: Settings) -> None:
    called = Prediction("live", ago(2), "A", 0.52, True, called=("BUY", "HIGH"))
    rows = [
        called,
        replace(called, symbol="B", made_days=1.9),  # made when the outcome could be known
        replace(called, symbol="C", made_days=1.9, has_bar=False),  # nobody can say when: it counts
        replace(called, symbol="D", up=None),
    ]
    store(warehouse, rows)
    row = found(warehouse, settings, moment_at())["live", ago(2)]
    assert (row["total_predictions"], row["buy_signals"], row["accuracy_high_conf"]) == (2, 2, 100.0)


def test_signals_of_the_record_follow_the_thresholds_in_force(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, record(2, hits=3, probability=0.53))
    assert found(warehouse, settings, moment_at())["walk_forward", ago(2)]["buy_signals"] == 0
    eager = {"buy_threshold": 0.53, "sell_threshold": 0.4, "high_threshold": 0.53, "medium_threshold": 0.52}
    now = {"asset_type": "stocks", "clock": "x", "now_at": utc("2024-06-28 20:15"), **eager}
    insert(warehouse, SETTINGS_TABLE, [now])
    row = found(warehouse, settings, moment_at())["walk_forward", ago(2)]
    assert (row["buy_signals"], row["accuracy_high_conf"], row["accuracy_low_conf"]) == (3, 100.0, None)


def test_no_prediction_and_one_symbol_are_answered(warehouse: Warehouse, settings: Settings) -> None:
    assert found(warehouse, settings, moment_at()) == {}
    assert refresh(warehouse, settings, [moment_at(asset_type=name) for name in ("stocks", "etf", "crypto")]) == 0
    store(warehouse, record(2, hits=1))
    assert refresh(warehouse, settings, [moment_at()]) == 1
    row = table(warehouse).to_dicts()[0]
    assert (row["accuracy_pct"], row["base_rate_pct"], row["baseline_accuracy"]) == (100.0, 100.0, None)


# the table


def test_the_table_holds_every_column_of_the_statement(warehouse: Warehouse, settings: Settings) -> None:
    history = [one for back in range(2, 50) for one in record(back, hits=2, misses=1)]
    store(warehouse, [*history, *called_live(record(2, hits=1))])
    assert refresh(warehouse, settings, [moment_at()]) == 49
    stored = {(row["prediction_source"], row["date"]): row for row in table(warehouse).to_dicts()}
    asked = found(warehouse, settings, moment_at())
    assert list(stored) == list(asked)
    for key, row in stored.items():
        assert {name: asked[key].get(name, moment_at().now) for name in row} == row
    assert {row["created_at"] for row in stored.values()} == {moment_at().now}


def test_a_second_refresh_writes_nothing_and_a_new_day_is_one_row(warehouse: Warehouse, settings: Settings) -> None:
    history = [one for back in range(3, 60) for one in record(back, hits=2, misses=1)]
    store(warehouse, history)
    assert refresh(warehouse, settings, [moment_at(ago(1))]) == 57
    before = table(warehouse)
    assert refresh(warehouse, settings, [moment_at(ago(1))]) == 0
    assert refresh(warehouse, settings, [moment_at()]) == 0, "another today, and nothing new"
    assert table(warehouse).equals(before)
    warehouse.write(writes([*history, *record(2, hits=3)]))
    assert refresh(warehouse, settings, [moment_at()]) == 1
    after = table(warehouse)
    assert after.head(-1).equals(before)
    assert after["created_at"].to_list() == [moment_at(ago(1)).now] * 57 + [moment_at().now]


def test_a_late_label_changes_its_day_and_the_windows_that_hold_it(warehouse: Warehouse, settings: Settings) -> None:
    history = [one for back in range(2, 60) for one in record(back, hits=2, misses=1)]
    late = Prediction("walk_forward", ago(50), "LATE", 0.55, None)
    store(warehouse, [*history, late])
    refresh(warehouse, settings, [moment_at()])
    before = table(warehouse)
    warehouse.write(writes([*history, replace(late, up=True)]))
    written = refresh(warehouse, settings, [moment_at()])
    after = table(warehouse)
    same = pl.concat([before, after]).is_unique().not_()
    changed = sorted((TODAY - day).days for day in after.filter(~same.tail(after.height))["date"])
    # its day and the 36 after it: 7- and 30-day windows, then the baseline
    assert changed == list(range(14, 51))
    assert written == len(changed) == 37
    fresh = twin([*history, replace(late, up=True)], settings, moment_at())
    stored = {(row["prediction_source"], row["date"]): row for row in after.to_dicts()}
    agrees(stored, {key: {n: v for n, v in row.items() if n in after.columns} for key, row in fresh.items()})


def test_a_corrected_outcome_is_seen_although_every_count_stays(warehouse: Warehouse, settings: Settings) -> None:
    rows = [
        Prediction("live", ago(3), "A", 0.52, True),
        Prediction("live", ago(3), "B", 0.58, False),
    ]
    store(warehouse, rows)
    refresh(warehouse, settings, [moment_at()])
    warehouse.write(writes([replace(rows[0], up=False), replace(rows[1], up=True)]))
    assert refresh(warehouse, settings, [moment_at()]) == 1
    assert table(warehouse)["brier_score"].to_list() == pytest.approx([(0.52**2 + 0.42**2) / 2])


def test_a_replaced_record_takes_its_days_with_it_and_leaves_the_other_source(
    warehouse: Warehouse, settings: Settings
) -> None:
    live = called_live(record(40, hits=1))
    store(warehouse, [*record(40, hits=1), *record(3, hits=2), *record(2, hits=1), *live])
    refresh(warehouse, settings, [moment_at(ago(1))])
    warehouse.write(writes([*record(3, hits=2), *record(2, hits=1, misses=1), *live]))
    # the day 40 days ago is gone; the baselines of both other days lost it, and the newer one has another accuracy
    assert refresh(warehouse, settings, [moment_at()]) == 2
    rows = [(row["prediction_source"], (TODAY - row["date"]).days) for row in table(warehouse).to_dicts()]
    assert rows == [("live", 40), ("walk_forward", 3), ("walk_forward", 2)]
    created = {row["date"]: row["created_at"] for row in table(warehouse).to_dicts()}
    assert created[ago(3)] == moment_at(ago(1)).now, "what stayed as it was keeps its time"
    warehouse.write(writes([]))
    assert refresh(warehouse, settings, [moment_at()]) == 3
    assert table(warehouse).is_empty()


def test_rows_after_the_moment_stay(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, [*record(20, hits=1), *record(2, hits=1)])
    refresh(warehouse, settings, [moment_at()])
    before = table(warehouse)
    assert refresh(warehouse, settings, [moment_at(ago(10))]) == 0
    assert table(warehouse).equals(before)


def test_other_ratios_judge_every_stored_day_anew(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, [*record(20, hits=10), *record(2, hits=9, misses=1)])
    refresh(warehouse, settings, [moment_at()])
    assert table(warehouse)["drift_detected"].to_list() == [None, False]
    strict = with_rule(settings, drift_warning_ratio=0.95)
    assert refresh(warehouse, strict, [moment_at()]) == 1
    assert table(warehouse)["drift_detected"].to_list() == [None, True]
    assert table(warehouse)["drift_type"].to_list() == [None, "ACCURACY_DRIFT"]


def test_figures_that_are_not_defined_are_null_and_never_nan(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, record(2, hits=2, up=False))
    refresh(warehouse, settings, [moment_at()])
    row = table(warehouse).to_dicts()[0]
    undefined = ("precision_score", "recall_score", "f1_score", "accuracy_high_conf", "baseline_accuracy")
    assert [row[name] for name in undefined] == [None] * 5
    assert not [name for name, value in row.items() if isinstance(value, float) and not math.isfinite(value)]


def test_certain_and_wrong_costs_one_float_epsilon_of_probability(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, [Prediction("walk_forward", ago(2), "A", 1.0, False)])
    row = found(warehouse, settings, moment_at())["walk_forward", ago(2)]
    assert row["log_loss"] == pytest.approx(-math.log(2**-52), rel=1e-12)
    assert row["brier_score"] == 1.0


# which source


@pytest.mark.parametrize(("matured", "source"), [(2, "walk_forward"), (3, "live")])
def test_the_source_at_a_moment_follows_what_had_matured_by_then(
    warehouse: Warehouse, matured: int, source: str
) -> None:
    now = {"asset_type": "stocks", "clock": "x", "now_at": moment_at().now, "min_live_predictions": 3}
    insert(warehouse, SETTINGS_TABLE, [now])
    base = Prediction("live", ago(36), "A", 0.52, True)
    others = [
        replace(base, symbol="OLD", day=ago(37)),
        replace(base, symbol="OPEN", day=ago(1), up=None),
        replace(base, symbol="LATER", day=ago(1), known_days=9),
        replace(base, symbol="FILLED", made_days=2.5),
    ]
    store(warehouse, [*(replace(base, symbol=f"S{i}") for i in range(matured)), *others])
    rows = select(warehouse, "SELECT * FROM `tradehits.v_performance_source` WHERE asset_type = 'stocks'")
    with warehouse.read() as read:
        assert source_at(read, moment_at()) == source == rows[0]["prediction_source"]
        assert source_at(read, moment_at(ago(36))) == "walk_forward", "its outcomes were not known yet"


@pytest.mark.parametrize(("count", "least"), [FEW_FULL, DEEP])
def test_the_view_and_the_moment_agree_on_any_history(shared: Warehouse, count: int, least: int) -> None:
    now = {"asset_type": "stocks", "clock": "x", "now_at": moment_at().now, "min_live_predictions": 5}
    empty(shared)
    insert(shared, SETTINGS_TABLE, [now])

    @examples(max_examples=count)
    @given(predictions=histories(least))
    def agree(predictions: list[Prediction]) -> None:
        store(shared, predictions)
        rows = select(shared, "SELECT * FROM `tradehits.v_performance_source` WHERE asset_type = 'stocks'")
        with shared.read() as read:
            assert source_at(read, moment_at()) == rows[0]["prediction_source"]

    agree()
    empty(shared)


def test_a_first_date_narrows_the_rows_and_changes_none(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, [one for back in range(2, 90) for one in record(back, hits=back % 3, misses=1)])
    everything = found(warehouse, settings, moment_at())
    newest = found(warehouse, settings, moment_at(), first=ago(6))
    assert newest == {key: row for key, row in everything.items() if key[1] >= ago(6)}
    assert len(newest) == 5


def test_no_probability_of_the_record_counts_before_its_bar_closed(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, record(2, hits=1))
    early = Moment("stocks", ago(2), datetime.combine(ago(2), datetime.min.time(), midnight(TODAY).tzinfo))
    assert found(warehouse, settings, early) == {}
    assert found(warehouse, settings, Moment("stocks", ago(1), midnight(ago(1)) + timedelta(hours=21.6)))

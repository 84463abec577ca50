"""Detectors on stored predictions: which days they compare, when they raise, when they clear, what they never read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from configs.settings import Settings, load_settings
from market.sequential import DaySums
from monitoring.conditions import Condition, Moment
from monitoring.detectors import Detected, detect, judge
from monitoring.detectors_read import confidences, hits, misses, picks, read_record
from monitoring.performance import Source
from tests.contract.table_rows import empty, scratch_warehouse
from tests.detector_world import (
    BASELINE,
    FIRST,
    START,
    SYMBOLS,
    V2,
    after,
    champion,
    predictions,
    store,
    store_live,
)
from warehouse.champions import champion_write
from warehouse.warehouse import Warehouse

METRICS = ["accuracy_sequential", "selection_sequential", "brier_sequential", "estimated_accuracy"]


@pytest.fixture(scope="module")
def shared() -> Warehouse:
    return scratch_warehouse()


@pytest.fixture
def warehouse(shared: Warehouse) -> Iterator[Warehouse]:
    yield shared
    empty(shared)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings("test")


def found(
    warehouse: Warehouse, settings: Settings, moment: Moment, source: Source = "walk_forward"
) -> dict[str, Condition]:
    with warehouse.read() as read:
        return {one.metric_name: one for one in judge(read, settings, moment, source)}


def detected(warehouse: Warehouse, settings: Settings, moment: Moment, source: Source = "walk_forward") -> Detected:
    with warehouse.read() as read:
        return detect(read, settings, moment, source)


def test_a_model_as_good_as_its_record_raises_nothing(warehouse, settings):
    store(warehouse, predictions([0.6] * (BASELINE + 40)))

    conditions = found(warehouse, settings, after(BASELINE + 39))

    assert list(conditions) == METRICS
    assert {one.severity for one in conditions.values()} == {None}
    assert {one.alert_type for one in conditions.values()} == {"ACCURACY_DRIFT"}
    accuracy = conditions["accuracy_sequential"]
    assert accuracy.current_value == pytest.approx(60, abs=3) and accuracy.baseline_value == pytest.approx(60, abs=1)
    assert accuracy.threshold_value == pytest.approx(50 + (accuracy.baseline_value - 50) / 2)
    assert "no lasting change of accuracy" in accuracy.message and "in 39 days since 2023-07-20" in accuracy.message


def test_a_model_that_lost_its_edge_is_critical_and_says_what_how_much_and_since_when(warehouse, settings):
    store(warehouse, predictions([0.62] * (BASELINE + 10) + [0.48] * 25))

    conditions = found(warehouse, settings, after(BASELINE + 34))

    accuracy = conditions["accuracy_sequential"]
    assert accuracy.severity == "CRITICAL"
    assert accuracy.current_value == pytest.approx(48, abs=3)
    since = accuracy.message.split("days since ")[1][:10]
    assert abs(date.fromisoformat(since) - (FIRST + timedelta(days=BASELINE + 10)).date()) <= timedelta(days=4)
    assert "; 50% of its lead over chance or more is gone, by the better end of a 95% bound" in accuracy.message
    assert "at most once in 12,000 days" in accuracy.message
    assert "tradehits train --asset-type stocks" in accuracy.remedy
    assert conditions["selection_sequential"].severity == "CRITICAL"
    assert conditions["brier_sequential"].severity == "CRITICAL"
    assert conditions["estimated_accuracy"].severity is None, "it stays as sure as ever, and is wrong"


def test_a_model_that_lost_less_than_half_of_its_edge_is_a_warning(warehouse, settings):
    store(warehouse, predictions([0.70] * BASELINE + [0.63] * 60))
    accuracy = found(warehouse, settings, after(BASELINE + 59))["accuracy_sequential"]
    assert accuracy.severity == "WARNING"
    assert "that 50% of its lead over chance or more is gone is not sure" in accuracy.message


def test_an_alarm_stands_day_after_day_while_days_are_bad(warehouse, settings):
    store(warehouse, predictions([0.62] * (BASELINE + 5) + [0.49] * 45))
    raised = [
        found(warehouse, settings, after(BASELINE + day))["accuracy_sequential"].severity is not None
        for day in range(2, 50, 3)
    ]
    first = raised.index(True)
    assert not any(raised[:first]) and all(raised[first:])
    assert 2 <= first <= 6


def test_a_new_champion_clears_the_alarm_before_it_has_predicted_anything(warehouse, settings):
    rows = predictions([0.62] * (BASELINE + 10) + [0.48] * 25)
    store(warehouse, rows)
    moment = after(BASELINE + 34)
    assert found(warehouse, settings, moment)["accuracy_sequential"].severity == "CRITICAL"

    store(warehouse, rows, starts=moment.now, version=V2)
    conditions = found(warehouse, settings, moment)

    assert list(conditions) == METRICS
    assert {one.severity for one in conditions.values()} == {None}
    assert conditions["accuracy_sequential"].current_value is None
    assert "no outcome of the new model is known yet" in conditions["accuracy_sequential"].message
    assert "has not predicted yet" in conditions["estimated_accuracy"].message


def test_at_a_past_day_the_model_of_that_days_fold_is_judged(warehouse, settings):
    """Today's champion was trained later than the day asked about: it is not the one that predicted then."""
    store(warehouse, predictions([0.62] * (BASELINE + 10) + [0.48] * 25))
    warehouse.write([champion_write(champion(V2, FIRST + timedelta(days=900)))])
    accuracy = found(warehouse, settings, after(BASELINE + 34))["accuracy_sequential"]
    assert accuracy.severity == "CRITICAL"


@pytest.mark.parametrize("source", ["walk_forward", "live"])
def test_what_became_known_later_changes_nothing(warehouse, settings, source):
    rows = predictions([0.62] * (BASELINE + 5) + [0.5] * 40)
    moment = after(BASELINE + 18)
    store(warehouse, rows)
    store_live(warehouse, rows.filter(pl.col("bar_known_at") >= START))
    whole = detected(warehouse, settings, moment, source)
    empty(warehouse)

    known = rows.filter(pl.col("bar_known_at") <= moment.now).with_columns(
        actual_direction=pl.when(pl.col("label_known_at") <= moment.now).then(pl.col("actual_direction"))
    )
    store(warehouse, known)
    store_live(warehouse, known.filter(pl.col("bar_known_at") >= START))
    assert (
        detected(warehouse, settings, moment, "walk_forward" if source == "walk_forward" else source).conditions[:3]
        == whole.conditions[:3]
    )
    assert whole.conditions[0].severity == "CRITICAL"


def test_live_predictions_are_compared_with_the_record_and_back_fills_and_other_models_do_not_count(
    warehouse, settings
):
    rows = predictions([0.62] * (BASELINE + 60))
    store(warehouse, rows)
    own = rows.filter(pl.col("bar_known_at") >= START)
    wrong = predictions([0.45] * (BASELINE + 60), seed=2).filter(pl.col("bar_known_at") >= START)
    days = pl.col("datetime") - pl.lit(START)
    store_live(warehouse, own.filter(days < pl.duration(days=20)))
    store_live(warehouse, wrong.filter(days.is_between(pl.duration(days=20), pl.duration(days=39))), made_hours=46)
    store_live(warehouse, wrong.filter(days >= pl.duration(days=40)), version=V2)

    live = found(warehouse, settings, after(BASELINE + 59), "live")["accuracy_sequential"]
    record = found(warehouse, settings, after(BASELINE + 59))["accuracy_sequential"]

    assert live.severity is None
    assert "in 20 days since" in live.message and "in 59 days since" in record.message
    assert live.baseline_value == record.baseline_value


def test_live_predictions_that_are_worse_than_the_record_raise(warehouse, settings):
    store(warehouse, predictions([0.62] * (BASELINE + 30)))
    store_live(warehouse, predictions([0.47] * (BASELINE + 30), seed=2).filter(pl.col("bar_known_at") >= START))
    assert found(warehouse, settings, after(BASELINE + 29), "live")["accuracy_sequential"].severity == "CRITICAL"
    assert found(warehouse, settings, after(BASELINE + 29))["accuracy_sequential"].severity is None


def test_a_model_that_becomes_unsure_is_told_before_the_outcomes_are_known(warehouse, settings):
    store(warehouse, predictions([0.6] * (BASELINE + 10), unsure_from=BASELINE + 8))

    one_day = found(warehouse, settings, after(BASELINE + 8))["estimated_accuracy"]
    two_days = found(warehouse, settings, after(BASELINE + 9))["estimated_accuracy"]

    assert (one_day.severity, two_days.severity) == (None, "CRITICAL")
    assert two_days.current_value == pytest.approx(50.5, abs=0.1)
    assert two_days.baseline_value == pytest.approx(60, abs=0.2)
    assert two_days.threshold_value == pytest.approx(57.5, abs=0.2)
    assert "60 newest predictions to 2023-07-29" in two_days.message
    assert "the model has become unsure" in two_days.message


def test_sums_of_days_are_those_of_their_rows(warehouse, settings):
    rows = predictions([0.6] * (BASELINE + 3))
    store(warehouse, rows)
    with warehouse.read() as read:
        record = read_record(read, settings, after(BASELINE + 2), "walk_forward")
    assert record is not None
    assert (record.baseline.height, record.own.height, record.open.height, record.estimates.height) == (200, 2, 1, 3)

    up, p = (
        rows["actual_direction"].to_numpy().reshape(-1, SYMBOLS),
        rows["up_probability"].to_numpy().reshape(-1, SYMBOLS),
    )
    called = p >= 0.5
    days, known = record.judged_days, slice(0, BASELINE + 2)
    assert hits(days).total.tolist() == (called == up)[known].sum(1).tolist()
    same(misses(days), np.square(p - up)[known])
    same(confidences(record.estimated_days), np.maximum(p, 1 - p))
    covariance = [SYMBOLS * 2 * np.cov(c, u, bias=True)[0, 1] for c, u in zip(called[known], up[known], strict=True)]
    chosen, right = picks(days), hits(days)
    assert chosen.total.tolist() == pytest.approx(covariance, abs=1e-9)
    spread_of_hits = right.squares - right.total**2 / right.rows
    assert (chosen.squares - chosen.total**2 / chosen.rows).tolist() == pytest.approx(spread_of_hits.tolist(), abs=1e-9)


def same(sums: DaySums, values: np.ndarray) -> None:
    assert sums.rows.tolist() == [values.shape[1]] * values.shape[0]
    assert sums.total.tolist() == pytest.approx(values.sum(1).tolist(), rel=1e-12)
    assert sums.squares.tolist() == pytest.approx(np.square(values).sum(1).tolist(), rel=1e-12)


def test_an_empty_history_is_no_condition_and_says_so(warehouse, settings):
    none = detected(warehouse, settings, after(10))
    assert none == Detected((), "stocks: decay is not judged: no model predicts yet")


def test_one_symbol_is_no_condition_and_says_so(warehouse, settings):
    store(warehouse, predictions([0.6] * (BASELINE + 30), symbols=1))
    none = detected(warehouse, settings, after(BASELINE + 29))
    assert none.conditions == ()
    assert none.note == "stocks: decay is not judged: 1.0 predictions a day show nothing soon, 4 are needed"


def test_a_short_record_is_no_condition_and_says_so(warehouse, settings):
    store(warehouse, predictions([0.6] * 120), starts=FIRST + timedelta(days=99))
    none = detected(warehouse, settings, after(119))
    assert none.conditions == ()
    assert "has 99 of 100 days with known outcomes" in none.note


def test_few_predictions_of_the_model_itself_raise_nothing_however_wrong(warehouse, settings):
    store(warehouse, predictions([1.0] * BASELINE + [0.0] * 12, symbols=4))
    assert found(warehouse, settings, after(BASELINE + 12))["accuracy_sequential"].severity is None
    many = settings.detectors.model_copy(update={"min_predictions": 48})
    told = found(warehouse, settings.model_copy(update={"detectors": many}), after(BASELINE + 12))
    assert told["accuracy_sequential"].severity == "CRITICAL"


def test_a_symbol_that_ended_without_an_outcome_is_no_newest_prediction(warehouse, settings):
    rows = predictions([0.6] * (BASELINE + 20))
    ended = (pl.col("symbol") == "S000") & (pl.col("datetime") == FIRST + timedelta(days=BASELINE + 3))
    left = rows.with_columns(
        actual_direction=pl.when(~ended).then(pl.col("actual_direction")),
        label_known_at=pl.when(~ended).then(pl.col("label_known_at")),
    ).filter((pl.col("symbol") != "S000") | (pl.col("datetime") <= FIRST + timedelta(days=BASELINE + 3)))
    store(warehouse, left)
    estimate = found(warehouse, settings, after(BASELINE + 19))["estimated_accuracy"]
    assert "59 newest predictions to 2023-08-08" in estimate.message

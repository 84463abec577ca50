"""The rule about 7-day accuracy: both thresholds at, above and below the edge, and counts too small to judge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from configs.settings import Settings, load_settings
from market.errors import ConfigError
from monitoring.conditions import Condition
from monitoring.rules import Judged, judge, judged
from tests.contract.performance_world import ago, called_live, moment_at, record, store, with_rule
from tests.contract.table_rows import empty, insert, scratch_warehouse
from warehouse.warehouse import Warehouse


@pytest.fixture(scope="module")
def shared() -> Warehouse:
    return scratch_warehouse()


@pytest.fixture
def warehouse(shared: Warehouse) -> Iterator[Warehouse]:
    yield shared
    empty(shared)


@pytest.fixture(scope="module")
def settings() -> Settings:
    """The rule as configured: 500 and 200 predictions on 3 days, 1,500 and 600 on 10 days before."""
    return load_settings("test")


def said(warehouse: Warehouse, settings: Settings, back: int = 0) -> Judged:
    with warehouse.read() as read:
        return judged(read, settings, moment_at(ago(back)))


def week(hits: int, misses: int, *, days: tuple[int, ...] = (2, 3, 4, 5)) -> list:
    """The 7 days, shared out over some of them."""
    parts = range(len(days))
    return [
        row
        for i, back in zip(parts, days, strict=True)
        for row in record(
            back,
            hits=hits // len(days) + (i < hits % len(days)),
            misses=misses // len(days) + (i < misses % len(days)),
        )
    ]


def month(hits: int, misses: int) -> list:
    """The 30 days before, on 20 of them."""
    return week(hits, misses, days=tuple(range(12, 32)))


@pytest.mark.parametrize(
    ("hits", "severity", "threshold"),
    [
        (425, None, 42.5),  # baseline 50.0%: 85% of it are 42.5%
        (424, "WARNING", 42.5),
        (376, "WARNING", 42.5),
        (375, "WARNING", 42.5),  # 75% of it are 37.5%
        (374, "CRITICAL", 37.5),
    ],
)
def test_both_thresholds_at_above_and_below_the_edge(
    warehouse: Warehouse, settings: Settings, hits: int, severity: str | None, threshold: float
) -> None:
    store(warehouse, [*month(1000, 1000), *week(hits, 1000 - hits)])
    with warehouse.read() as read:
        (condition,) = judge(read, settings, moment_at())
    assert isinstance(condition, Condition)
    assert (condition.alert_type, condition.metric_name) == ("ACCURACY_DRIFT", "rolling_7d_accuracy")
    assert condition.severity == severity
    assert condition.current_value == pytest.approx(hits / 10)
    assert condition.threshold_value == pytest.approx(threshold)
    assert condition.baseline_value == pytest.approx(50.0)


@pytest.mark.parametrize("count", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_an_accuracy_that_equals_its_threshold_has_not_fallen_below_it(shared: Warehouse, count: int) -> None:
    @examples(max_examples=count)
    @example(baseline=3, out_of=4, percent=85)  # where 85% in binary lies above the share that equals it
    @example(baseline=5, out_of=7, percent=97)
    @given(baseline=st.integers(1, 7), out_of=st.integers(1, 7), percent=st.integers(76, 99))
    def holds(baseline: int, out_of: int, percent: int) -> None:
        _is_the_edge(shared, baseline, out_of, percent)

    holds()


def _is_the_edge(shared: Warehouse, baseline: int, out_of: int, percent: int) -> None:
    baseline = min(baseline, out_of)
    strict = with_rule(load_settings("test"), drift_warning_ratio=percent / 100)
    store(shared, [*record(12, hits=baseline, misses=out_of - baseline), *_exactly(percent, baseline, out_of)])
    (at_the_edge,) = [said(shared, strict).condition]
    assert at_the_edge is not None
    assert at_the_edge.severity is None
    store(shared, [*record(12, hits=baseline, misses=out_of - baseline), *_exactly(percent, baseline, out_of, less=1)])
    below = said(shared, strict).condition
    assert below is not None
    assert below.severity is not None
    empty(shared)


def _exactly(percent: int, baseline: int, out_of: int, less: int = 0) -> list:
    """Hits among `100 * out_of` rows that are that percentage of `baseline / out_of`."""
    hits = percent * baseline - less
    return record(3, hits=hits, misses=100 * out_of - hits)


@pytest.mark.parametrize(
    ("recent", "hits", "baseline", "judged_as"),
    [
        # CRITICAL is judged from 200 and 600 predictions on, WARNING from 500 and 1,500
        (199, 0, 2000, "not judged"),
        (200, 0, 2000, "CRITICAL"),
        (200, 0, 599, "not judged"),
        (200, 0, 600, "CRITICAL"),
        (499, 200, 2000, "not judged"),  # 40.1%: between 37.5 and 42.5
        (500, 200, 2000, "WARNING"),  # 40.0%
        (500, 200, 1499, "not judged"),
        (500, 200, 1500, "WARNING"),
        (200, 100, 600, "clear"),
    ],
)
def test_a_severity_is_judged_from_its_smallest_counts_on(
    warehouse: Warehouse, settings: Settings, recent: int, hits: int, baseline: int, judged_as: str
) -> None:
    store(warehouse, [*month(baseline - baseline // 2, baseline // 2), *week(hits, recent - hits)])
    found = said(warehouse, settings)
    if judged_as == "not judged":
        assert found.condition is None
        assert "too few to tell a drift of 7-day accuracy from chance" in found.note
    else:
        assert found.condition is not None
        assert (found.condition.severity or "clear", found.note) == (judged_as, "")


def test_three_wrong_predictions_raise_no_alarm_and_say_why(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, [*month(1000, 1000), *week(0, 3, days=(2, 3, 4))])
    found = said(warehouse, settings)
    assert found.condition is None
    assert found.note.endswith("from chance: 3 of 200 predictions in the 7 days")
    assert found.newest is not None
    assert (found.newest["rolling_7d_accuracy"], found.newest["drift_detected"]) == (0.0, None)


def test_one_bad_day_of_many_symbols_raises_no_alarm(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, [*month(1000, 1000), *week(0, 1000, days=(2, 3))])
    found = said(warehouse, settings)
    assert found.condition is None
    assert "2 of 3 days with predictions among the 7" in found.note


def test_a_short_history_says_which_baseline_is_missing(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, week(500, 500))
    found = said(warehouse, settings)
    assert found.condition is None
    assert "0 of 600 predictions in the 30 days before, 0 of 10 days with predictions among these 30" in found.note


def test_the_drop_of_the_last_week_does_not_pull_its_own_baseline_down(
    warehouse: Warehouse, settings: Settings
) -> None:
    store(warehouse, [*month(1200, 800), *week(450, 550)])
    condition = said(warehouse, settings).condition
    assert condition is not None
    assert condition.baseline_value == pytest.approx(60.0), "the 7 days are not in the baseline"
    assert condition.severity == "WARNING", "45.0% is below 51.0%; against the overlapping 55.0% it would pass"


def test_nothing_of_the_last_week_is_nothing_to_judge(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, month(1000, 1000))
    found = said(warehouse, settings)
    assert (found.newest, found.condition) == (None, None)
    assert found.note == "no walk_forward prediction of the last 7 days has a known outcome: accuracy is not judged"
    empty(warehouse)
    assert said(warehouse, settings).condition is None


def test_the_rule_reads_live_once_it_is_the_source_and_says_which(warehouse: Warehouse, settings: Settings) -> None:
    history = [*month(1000, 1000), *week(1000, 0)]
    live = called_live([*month(1000, 1000), *week(200, 800)])
    store(warehouse, [*history, *live])
    condition = said(warehouse, settings).condition
    assert condition is not None
    assert (condition.severity, condition.current_value) == ("CRITICAL", pytest.approx(20.0))
    assert "stocks: live accuracy of the 7 days to 2024-06-26 is 20.0% (1,000 predictions)" in condition.message
    never = {"clock": "x", "now_at": moment_at().now, "min_live_predictions": 10_000}
    insert(warehouse, "tradehits.asset_settings", [{"asset_type": "stocks", **never}])
    condition = said(warehouse, settings).condition
    assert condition is not None
    assert (condition.severity, condition.current_value) == (None, pytest.approx(100.0))


def test_the_message_says_what_how_bad_compared_with_what_and_the_remedy_what_to_do(
    warehouse: Warehouse, settings: Settings
) -> None:
    store(warehouse, [*month(1120, 880), *week(400, 600)])
    condition = said(warehouse, settings).condition
    assert condition is not None
    assert condition.message == (
        "stocks: walk_forward accuracy of the 7 days to 2024-06-26 is 40.0% (1,000 predictions), below 75% of the "
        "56.0% of the 30 days before (2,000): the limit is 42.0%"
    )
    assert "tradehits train --asset-type stocks" in condition.remedy


def test_the_rule_of_a_past_day_reads_what_that_day_knew(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, [*month(1000, 1000), *week(200, 800)])
    before = [one for one in [*month(1000, 1000), *week(200, 800)] if one.known_at <= moment_at(ago(3)).now]
    now = said(warehouse, settings, back=3)
    store(warehouse, before)
    assert said(warehouse, settings, back=3) == now
    assert now.newest is not None
    assert now.newest["date"] == ago(4), "the outcome of 3 days ago was not known then"


def test_the_newest_row_may_be_six_days_old_and_no_older(warehouse: Warehouse, settings: Settings) -> None:
    store(warehouse, [*month(1000, 1000), *week(200, 800, days=(6, 7, 8))])
    assert said(warehouse, settings).condition is not None
    assert said(warehouse, settings, back=-1).newest is None
    assert moment_at(ago(-1)).date - ago(6) == timedelta(days=7)


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("MONITORING", "DRIFT_CRITICAL_RATIO", "0.85", "must lie below drift_warning_ratio"),
        ("MONITORING", "DRIFT_WARNING_RATIO", "1.0", "less than 1"),
        ("MONITORING", "MIN_RECENT_PREDICTIONS__WARNING", "100", "must not be below critical"),
        ("MONITORING", "MIN_RECENT_DAYS", "8", "less than or equal to 7"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(
    monkeypatch: pytest.MonkeyPatch, section: str, key: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"TRADEHITS__{section}__{key}", value)
    with pytest.raises(ConfigError, match=message):
        load_settings("test")

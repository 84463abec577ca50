"""Two changes at the same time: one goes first, the other looks again; and any order of changes keeps the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from market.errors import AlertError
from monitoring import alerts
from monitoring.conditions import Condition, Severity
from tests.alert_world import Mailbag, alerts_of, condition, day, empty_store, events_of, rows, settings_with
from tests.contract.table_rows import empty
from warehouse.duckdb import DuckDBWarehouse
from warehouse.warehouse import ReadConnection, TableStatistics, Write, WriteResult

METRICS = ("rolling_7d_accuracy", "rsi")
LEVEL = {None: 0, "WARNING": 1, "CRITICAL": 2}


@pytest.fixture
def store() -> DuckDBWarehouse:
    return empty_store()


class Overtaken:
    """A warehouse on which somebody else's change comes in right before this one's first write."""

    def __init__(self, inner: DuckDBWarehouse, other: Callable[[], object]) -> None:
        self._inner = inner
        self._other: Callable[[], object] | None = other

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        if self._other is not None:
            other, self._other = self._other, None
            other()
        return self._inner.write(writes)

    def read(self) -> AbstractContextManager[ReadConnection]:
        return self._inner.read()

    def query(self, sql: str, parameters: Any = None) -> Any:
        return self._inner.query(sql, parameters)

    def ensure_schema(self) -> None:
        self._inner.ensure_schema()

    def statistics(self) -> list[TableStatistics]:
        return self._inner.statistics()


def test_two_judgements_at_once_open_one_alert(store: DuckDBWarehouse) -> None:
    given = [condition("WARNING")]
    first: list[alerts.AlertChanges] = []
    both = Overtaken(store, lambda: first.append(alerts.apply(store, settings_with(), day(3), given)))
    second = alerts.apply(both, settings_with(), day(3), given)
    assert (len(first[0].opened), len(second.opened), len(second.unchanged)) == (1, 0, 1)
    assert events_of(store) == ["OPENED"]


def test_a_judgement_that_was_overtaken_by_a_newer_day_does_nothing(store: DuckDBWarehouse) -> None:
    late = Overtaken(store, lambda: alerts.apply(store, settings_with(), day(9), []))
    done = alerts.apply(late, settings_with(), day(8), [condition("CRITICAL")])
    assert done.opened == ()
    assert "follow 2024-06-09" in done.note
    assert alerts_of(store) == []


def test_an_acknowledgement_and_an_escalation_at_once_are_both_kept(store: DuckDBWarehouse) -> None:
    alerts.apply(store, settings_with(), day(3), [condition("WARNING")])
    [opened] = alerts.listed(store)
    name = opened.alert.alert_id
    both = Overtaken(store, lambda: alerts.acknowledge(store, name, by="Ada"))
    assert len(alerts.apply(both, settings_with(), day(4), [condition("CRITICAL")]).escalated) == 1
    assert events_of(store) == ["OPENED", "ACKNOWLEDGED", "ESCALATED"]
    [worse] = alerts.listed(store)
    assert (worse.alert.severity, worse.acknowledged) == ("CRITICAL", None)


def test_of_two_people_who_resolve_at_once_the_second_is_told_of_the_first(store: DuckDBWarehouse) -> None:
    alerts.apply(store, settings_with(), day(3), [condition("WARNING")])
    [opened] = alerts.listed(store)
    name = opened.alert.alert_id
    both = Overtaken(store, lambda: alerts.resolve(store, name, by="Grace"))
    with pytest.raises(AlertError, match="Grace resolved"):
        alerts.resolve(both, name, by="Ada")
    assert events_of(store) == ["OPENED", "RESOLVED"]


def test_of_two_deliveries_at_once_one_sends(store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitoring.delivery import deliver

    monkeypatch.setenv("TRADEHITS_ALERT_URL_OPS", "json://127.0.0.1:9")
    given, bag = settings_with(), Mailbag()
    alerts.apply(store, given, day(3), [condition("WARNING")])
    planning = Overtaken(store, lambda: deliver(store, given, [day(3)], sender=bag))
    assert deliver(planning, given, [day(3)], sender=bag).sent == 0
    assert len(bag.messages) == 1
    alerts.apply(store, given, day(4), [condition("CRITICAL")])
    deliver(store, given, [day(4)], sender=Mailbag(["FAILED"]))
    claiming = Overtaken(store, lambda: deliver(store, given, [day(4)], sender=bag))
    done = deliver(claiming, given, [day(4)], sender=bag)
    assert (done.sent, done.waiting, len(bag.messages)) == (0, 1, 2)


@dataclass
class Twin:
    """What the rules say about one metric, written down once more."""

    severity: Severity | None = None  # of the open alert
    is_taken: bool = False
    closed_level: int = 0  # a person closed it so severe ...
    closed_day: int = 0  # ... when this day had been judged
    opened: int = 0


@dataclass
class Twins:
    by_metric: dict[str, Twin] = field(default_factory=lambda: {metric: Twin() for metric in METRICS})
    newest: int = 0

    def judge(self, number: int, given: dict[str, Severity | None]) -> None:
        if number < self.newest:
            return
        self.newest = number
        for metric, severity in given.items():
            twin = self.by_metric[metric]
            if severity is None:
                twin.severity, twin.is_taken = None, False
            elif twin.severity is None:
                if twin.closed_day >= number and LEVEL[severity] <= twin.closed_level:
                    continue
                twin.severity, twin.is_taken, twin.opened = severity, False, twin.opened + 1
            elif LEVEL[severity] > LEVEL[twin.severity]:
                twin.severity, twin.is_taken = severity, False


class AlertMachine(RuleBasedStateMachine):
    """Judgements of any day, people, and deliveries, in any order."""

    store: DuckDBWarehouse

    def __init__(self) -> None:
        super().__init__()
        empty(self.store)
        self.settings = settings_with({"ops": {}})
        self.twins = Twins()
        self.bag = Mailbag()
        self.heard: dict[str, int] = {}

    def _open(self, metric: str) -> str | None:
        found = [one.alert.alert_id for one in alerts.listed(self.store) if one.alert.metric_name == metric]
        return found[0] if found else None

    @rule(
        number=st.integers(1, 6),
        given=st.dictionaries(st.sampled_from(METRICS), st.sampled_from([None, "WARNING", "CRITICAL"])),
    )
    def judge(self, number: int, given: dict[str, Severity | None]) -> None:
        told: list[Condition] = [condition(severity, metric) for metric, severity in given.items()]
        alerts.apply(self.store, self.settings, day(number), told)
        self.twins.judge(number, given)

    @rule(metric=st.sampled_from(METRICS))
    def acknowledge(self, metric: str) -> None:
        found, twin = self._open(metric), self.twins.by_metric[metric]
        assert (found is not None) == (twin.severity is not None)
        if found is not None and not twin.is_taken:
            alerts.acknowledge(self.store, found, by="Ada")
            twin.is_taken = True

    @rule(metric=st.sampled_from(METRICS))
    def resolve(self, metric: str) -> None:
        found, twin = self._open(metric), self.twins.by_metric[metric]
        if found is not None:
            alerts.resolve(self.store, found, by="Ada")
            if self.twins.newest > twin.closed_day:
                twin.closed_level = 0
            twin.closed_level = max(twin.closed_level, LEVEL[twin.severity])
            twin.closed_day = self.twins.newest
            twin.severity, twin.is_taken = None, False

    @rule()
    def deliver(self) -> None:
        from monitoring.delivery import deliver

        due = [
            one
            for one in alerts.listed(self.store)
            if one.acknowledged is None and LEVEL[one.alert.severity] > self.heard.get(one.alert.alert_id, 0)
        ]
        before = len(self.bag.messages)
        deliver(self.store, self.settings, [day(6)], sender=self.bag)
        raised = [message for message in self.bag.messages[before:] if message.severity]
        assert len(raised) == (1 if due else 0)
        for one in due:
            assert one.alert.metric_name in raised[0].body
            self.heard[one.alert.alert_id] = LEVEL[one.alert.severity]

    @invariant()
    def one_open_alert_a_metric_and_the_twin_agrees(self) -> None:
        found = sorted(
            (one.alert.metric_name, one.alert.severity, one.acknowledged is not None)
            for one in alerts.listed(self.store)
        )
        twins = self.twins.by_metric.items()
        assert found == sorted((metric, str(t.severity), t.is_taken) for metric, t in twins if t.severity is not None)
        counted = rows(
            self.store,
            "SELECT metric_name, COUNT(*) AS alerts FROM `ml_models.model_drift_alerts` GROUP BY metric_name",
        )
        assert {row["metric_name"]: row["alerts"] for row in counted} == {m: t.opened for m, t in twins if t.opened}


def explore(store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch, examples: int, steps: int) -> None:
    monkeypatch.setenv("TRADEHITS_ALERT_URL_OPS", "json://127.0.0.1:9")
    machine = type("Machine", (AlertMachine,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
            deadline=None,
        ),
    )


def test_any_order_of_changes_agrees_with_the_rules_written_once_more(
    store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    explore(store, monkeypatch, examples=3, steps=8)


@pytest.mark.slow
def test_many_orders_of_changes_agree_with_the_rules_written_once_more(
    store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    explore(store, monkeypatch, examples=60, steps=25)

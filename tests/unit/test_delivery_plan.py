"""Who is told what and when: severity, asset class, local nights, the daily digest; a pure function."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest

from configs.alerts import AlertSettings, Channel, Digest, QuietHours
from monitoring.alerts_decide import ClassState, decide
from monitoring.alerts_records import History
from monitoring.conditions import Severity
from monitoring.delivery_plan import Plan, is_quiet, last_digest, plan
from tests.alert_world import condition, day, settings_with

NOON = datetime(2024, 6, 3, 16, tzinfo=UTC)  # in New York
NEW_YORK = "America/New_York"


def history(severity: Severity, metric: str = "rsi", *, asset_type: Any = "stocks", since: datetime = NOON) -> History:
    judged = condition(severity, metric, asset_type=asset_type)
    decided = decide(ClassState(), day(3, asset_type), [judged], since)
    return History(decided.alerts[0], decided.events)


def planned(
    alerts: AlertSettings, *histories: History, told: dict[str, int] | None = None, now: datetime = NOON
) -> Plan:
    known = {(alert_id, channel): reached for alert_id, reached in (told or {}).items() for channel in alerts.channels}
    return plan(alerts, sorted(alerts.channels), histories, known, ("stocks", "etf", "crypto"), now)


def summary(found: Plan) -> list[tuple[str, str, str | None, list[str]]]:
    return [
        (m.channel, m.scope, m.severity, [f"{i.what} {i.history.alert.metric_name}" for i in m.items])
        for m in found.messages
    ]


def alerts(channel: dict[str, Any] | None = None, **changes: Any) -> AlertSettings:
    return settings_with({"ops": channel or {}}, **changes).alerts


def test_forty_alerts_of_a_class_are_one_message_and_the_worst_come_first() -> None:
    given = [history("WARNING", f"f{number:02d}") for number in range(39)] + [history("CRITICAL", "accuracy")]
    [(channel, scope, severity, items)] = summary(planned(alerts(), *given))
    assert (channel, scope, severity, len(items)) == ("ops", "stocks", "CRITICAL", 40)
    assert items[0] == "OPENED accuracy"


def test_each_class_has_its_own_message_and_a_channel_hears_of_its_classes_only() -> None:
    given = [history("WARNING"), history("WARNING", asset_type="crypto")]
    assert [scope for _, scope, _, _ in summary(planned(alerts(), *given))] == ["stocks", "crypto"]
    assert [scope for _, scope, _, _ in summary(planned(alerts({"asset_types": ["crypto"]}), *given))] == ["crypto"]


def test_a_channel_may_want_critical_alerts_only() -> None:
    given = [history("WARNING"), history("CRITICAL", "adx")]
    assert summary(planned(alerts({"warning": "off"}), *given)) == [("ops", "stocks", "CRITICAL", ["OPENED adx"])]


def test_what_was_told_is_told_again_only_when_it_escalated() -> None:
    worse = history("CRITICAL")
    assert planned(alerts(), worse, told={worse.alert.alert_id: 2}) == Plan((), 0)
    found = planned(alerts(), worse, told={worse.alert.alert_id: 1})
    assert summary(found) == [("ops", "stocks", "CRITICAL", ["ESCALATED rsi"])]


def test_what_somebody_took_on_is_told_to_nobody_else() -> None:
    raised = history("CRITICAL")
    taken = raised.next_event("ACKNOWLEDGED", NOON, NOON, actor="Ada")
    assert planned(alerts(), History(raised.alert, (*raised.events, taken))) == Plan((), 0)
    assert len(planned(alerts(), raised).messages) == 1


QUIET = {"start": "22:00", "end": "07:00", "time_zone": NEW_YORK}


@pytest.mark.parametrize(
    ("local", "quiet"),
    [
        (time(21, 59, 59), False),
        (time(22), True),
        (time(23, 59), True),
        (time(0), True),
        (time(6, 59, 59), True),
        (time(7), False),
        (time(12), False),
    ],
)
def test_quiet_hours_go_over_midnight_from_their_start_to_before_their_end(local: time, quiet: bool) -> None:
    # 4 hours behind UTC in June, 5 in January: the clock on the wall counts
    for month, hours in ((6, 4), (1, 5)):
        at = datetime(2024, month, 3, (local.hour + hours) % 24, local.minute, local.second, tzinfo=UTC)
        assert is_quiet(QuietHours.model_validate(QUIET), at) is quiet


def test_quiet_hours_within_one_day() -> None:
    siesta = QuietHours(start=time(13), end=time(15), time_zone="UTC")
    assert [is_quiet(siesta, datetime(2024, 6, 3, hour, tzinfo=UTC)) for hour in (12, 13, 14, 15)] == [
        False,
        True,
        True,
        False,
    ]


def test_at_night_warnings_wait_and_critical_alerts_take_the_warnings_of_their_class_with_them() -> None:
    night = datetime(2024, 6, 3, 5, tzinfo=UTC)
    given = [history("WARNING"), history("WARNING", asset_type="crypto"), history("CRITICAL", "adx")]
    found = planned(alerts(quiet_hours=QUIET), *given, now=night)
    assert summary(found) == [("ops", "stocks", "CRITICAL", ["OPENED adx", "OPENED rsi"])]
    assert found.waiting == 1
    strict = planned(alerts(quiet_hours=QUIET | {"critical_passes": False}), *given, now=night)
    assert (strict.messages, strict.waiting) == ((), 3)
    morning = planned(alerts(quiet_hours=QUIET), *given, now=datetime(2024, 6, 3, 11, tzinfo=UTC))
    assert [len(message.items) for message in morning.messages] == [2, 1]


def test_a_digest_gathers_all_classes_and_goes_once_its_time_has_come() -> None:
    early = datetime(2024, 6, 3, 11, 29, tzinfo=UTC)  # 07:29 in New York
    given = [history("WARNING", since=early), history("WARNING", asset_type="etf", since=early)]
    channel = alerts({"warning": "digest"})
    before = planned(channel, *given, now=early)
    assert (before.messages, before.waiting) == ((), 2)
    after = planned(channel, *given, now=datetime(2024, 6, 3, 11, 31, tzinfo=UTC))
    assert summary(after) == [("ops", "digest", "WARNING", ["OPENED rsi", "OPENED rsi"])]
    late = history("WARNING", since=datetime(2024, 6, 3, 11, 32, tzinfo=UTC))
    assert planned(channel, late, now=datetime(2024, 6, 4, 11, 29, tzinfo=UTC)).messages == ()
    assert len(planned(channel, late, now=datetime(2024, 6, 4, 11, 31, tzinfo=UTC)).messages) == 1


def test_a_digest_keeps_its_local_time_when_the_clocks_change() -> None:
    digest = Digest(at=time(7, 30), time_zone=NEW_YORK)
    # the clocks went forward on 2024-03-10: 12:30 UTC before, 11:30 UTC after
    for now, expected in (
        (datetime(2024, 3, 10, 11, 29, tzinfo=UTC), datetime(2024, 3, 9, 12, 30, tzinfo=UTC)),
        (datetime(2024, 3, 10, 11, 30, tzinfo=UTC), datetime(2024, 3, 10, 11, 30, tzinfo=UTC)),
    ):
        assert last_digest(digest, now) == expected


def test_channels_have_defaults_that_tell_everything_at_once() -> None:
    assert Channel() == Channel(asset_types=("stocks", "etf", "crypto"), warning="now", critical="now", resolved=True)

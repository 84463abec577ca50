"""Monitoring: is the model still working? Performance, rules, detectors, drift, alerts, reports, messages, advice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from datetime import time as clock_time
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from configs.monitoring import MonitoringSettings
from configs.settings import Settings
from flows.context import Context
from flows.monitor_class import MonitoredClass, Told, monitor_class
from flows.monitor_report import ClassReport, MonitorReport
from market.assets import CLEAN_TABLES, AssetType
from market.errors import ConfigError, TradeHitsError
from monitoring.conditions import Moment
from monitoring.performance import refresh
from registry.models import ModelRegistry
from registry.store import RunStore
from warehouse.clock import newest_known_at, now_of, refresh_asset_settings
from warehouse.features import stored_asset_types
from warehouse.warehouse import ReadConnection

if TYPE_CHECKING:
    from monitoring.advice import Advice
    from monitoring.delivery import Delivered


def monitor(
    context: Context,
    asset_types: Sequence[AssetType] = (),
    day: date | None = None,
    *,
    check_drift: bool = True,
    alert_threshold: float | None = None,
    at: Sequence[Moment] = (),
) -> MonitorReport:
    """Bring daily performance up to date, judge every class, keep its alerts, and tell about them.

    Running it again changes nothing: figures are a function of what is stored, an alert is open once, a message is sent
    once. What a part cannot judge it says; a report or a channel that fails is told and breaks nothing.

    Args:
        context: Settings, warehouse, progress.
        asset_types: Classes; all with bars by default.
        day: Judge as that day would have; None: each class's today.
        check_drift: False: daily performance only.
        alert_threshold: Share of the baseline below which 7-day accuracy is a WARNING, for this run; None: the setting
            `monitoring.drift_warning_ratio`.
        at: Judge at these moments instead of a day, one a class; empty: as `day` says.

    Raises:
        ConfigError: `alert_threshold` is not between the critical ratio and 1.
    """
    started = time.monotonic()
    settings = with_threshold(context.settings, alert_threshold)
    warehouse, told = context.warehouse, Told()
    refresh_asset_settings(warehouse, context.settings)
    chosen = list(asset_types) or stored_asset_types(warehouse)
    today, asked, left_out = _moments(context, chosen, day)
    asked = list(at) or asked
    with context.reporter.step("daily performance"):
        rows = context.tasks.run("performance", refresh, warehouse, settings, today)
    judged = _judge(context, settings, asked) if check_drift else []
    links = {one.report.asset_type: one.report.page for one in judged if one.report.page}
    delivered = context.tasks.run("deliver", told.part, "delivery", _deliver, context, asked, links) if judged else None
    if delivered is not None:
        told.notes += delivered.notes
    for one in judged:
        told.part("retraining", _retrain, context, one.report.asset_type, one.advice, is_vital=False)
    told.notes += [] if chosen else ["no bars are stored: run `tradehits ingest`"]
    return MonitorReport(
        profile=settings.profile,
        date=day,
        checked_drift=check_drift,
        alert_threshold=settings.monitoring.drift_warning_ratio,
        performance_rows=rows,
        classes=(*(one.report for one in judged), *left_out),
        index=next((one.index for one in judged if one.index), None),
        sent=delivered.sent if delivered else 0,
        undelivered=delivered.failed + delivered.waiting if delivered else 0,
        notes=tuple(told.notes),
        failed=tuple(told.failed),
        seconds=time.monotonic() - started,
    )


def _judge(context: Context, settings: Settings, moments: Sequence[Moment]) -> list[MonitoredClass]:
    if not moments:
        return []
    with context.reporter.step("open MLflow"):
        registry = ModelRegistry(RunStore(settings))
    found = []
    for moment in moments:
        name = moment.asset_type
        with context.reporter.step(f"{name}: monitor {moment.date}"):
            found.append(
                context.tasks.run(f"judge-{name}", monitor_class, context.warehouse, registry, settings, moment)
            )
    return found


def _deliver(context: Context, moments: Sequence[Moment], links: dict[AssetType, Path]) -> Delivered:
    from monitoring.delivery import deliver

    return deliver(context.warehouse, context.settings, moments, links=links)


def _retrain(context: Context, asset_type: AssetType, advice: Advice | None) -> None:
    """Train where the advice says to trigger it, and keep how that ended."""
    if advice is None or advice.action != "trigger":
        return
    from flows.retrain import train
    from monitoring.advice import conclude

    try:
        (report,) = train(context, [asset_type])
    except TradeHitsError as error:
        conclude(context.warehouse, advice, f"failed: {error}")
        raise
    conclude(context.warehouse, advice, f"{report.model_version}: {report.status}")


def with_threshold(settings: Settings, alert_threshold: float | None) -> Settings:
    """Settings whose WARNING ratio is the given one.

    Raises:
        ConfigError: It is not between the critical ratio and 1.
    """
    if alert_threshold is None:
        return settings
    values = settings.monitoring.model_dump() | {"drift_warning_ratio": alert_threshold}
    try:
        changed = MonitoringSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            f"alert_threshold {alert_threshold}: {error.errors()[0]['msg']}",
            remedy=f"a share above {settings.monitoring.drift_critical_ratio} and below 1, such as 0.85",
        ) from error
    return settings.model_copy(update={"monitoring": changed})


def _moments(
    context: Context, asset_types: Sequence[AssetType], day: date | None
) -> tuple[list[Moment], list[Moment], list[ClassReport]]:
    """Each class's today, the moments to judge, and classes for which the day is to come or lies before all bars."""
    with context.warehouse.read() as read:
        newest = newest_known_at(read)
        first = {} if day is None else _first_known_at(read)
    nows = {name: now_of(name, context.settings, newest[name]) for name in asset_types}
    today = [Moment(name, now.date(), now) for name, now in nows.items()]
    if day is None:
        return today, today, []
    asked, left_out = [], []
    for one in today:
        moment, begins = one if one.date == day else past_moment(one.asset_type, day), first[one.asset_type]
        if one.date < day:
            why = f"{day} is not over by the clock ({one.now:%Y-%m-%d %H:%M} UTC)"
        elif begins is None:
            why = "no bar is stored: run `tradehits ingest`"
        elif begins > moment.now:
            why = f"no bar was known by {day}: the first one closed at {begins:%Y-%m-%d %H:%M} UTC"
        else:
            asked.append(moment)
            continue
        left_out.append(ClassReport(one.asset_type, notes=(why,)))
    return today, asked, left_out


def _first_known_at(read: ReadConnection) -> dict[AssetType, datetime | None]:
    """When the oldest stored daily bar of each class closed; None without bars."""
    found: dict[AssetType, datetime | None] = {}
    for asset_type, table in CLEAN_TABLES.items():
        found[asset_type] = read.query(f"SELECT MIN(bar_known_at) AS first FROM `{table}`").to_pylist()[0]["first"]
    return found


def past_moment(asset_type: AssetType, day: date) -> Moment:
    """The last instant of a day that is over."""
    return Moment(asset_type, day, datetime.combine(day, clock_time.max, UTC))

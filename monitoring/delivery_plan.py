"""Who is to be told what now: a pure function of alerts, of what each channel was told, of routing and of local times.

A channel is due for an alert when it was told less than the alert's severity, or was told of it and not that it is
over. Nothing is queued: a channel that is set up later hears about what is still open, and a receiver that was down
for a week gets one message on how things stand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from configs.alerts import AlertSettings, Channel, Digest, QuietHours, Route
from market.assets import ASSET_TYPES, AssetType
from monitoring.alerts_records import History, level

DIGEST = "digest"
What = Literal["OPENED", "ESCALATED", "RESOLVED"]


@dataclass(frozen=True)
class Item:
    """One thing that a message tells about one alert."""

    history: History
    what: What

    @property
    def is_raise(self) -> bool:
        """Whether it tells that something is wrong."""
        return self.what != "RESOLVED"


@dataclass(frozen=True)
class Planned:
    """One message to be: a class's, or the digest of all; most severe items first."""

    channel: str
    scope: str
    items: tuple[Item, ...]

    @property
    def severity(self) -> str | None:
        """The highest raised; None when it only tells that things are over."""
        return max((i.history.alert.severity for i in self.items if i.is_raise), key=level, default=None)


@dataclass(frozen=True)
class Plan:
    """Messages that may go now, and how many items wait for the end of quiet hours or for the digest."""

    messages: tuple[Planned, ...]
    waiting: int


def plan(
    settings: AlertSettings,
    channels: Collection[str],
    histories: Sequence[History],
    told: Mapping[tuple[str, str], int],
    asset_types: Collection[AssetType],
    now: datetime,
) -> Plan:
    """What each channel is to be told.

    Args:
        settings: Routing and times.
        channels: Those that can be reached.
        histories: Open alerts, and resolved ones that some channel was told of and not yet that they are over.
        told: (alert id, channel) → highest level it was told, or is in a message on its way.
        asset_types: Classes whose own messages may go; the digest is of all.
        now: The wall clock: people's nights follow it, whatever day a class replays.
    """
    messages: list[Planned] = []
    waiting = 0
    for name in channels:
        due = due_items(settings.channels[name], name, histories, told)
        for asset_type in ASSET_TYPES:
            items = [i for i, route in due if route == "now" and i.history.alert.asset_type == asset_type]
            message = Planned(name, asset_type, tuple(items))
            if not items or asset_type not in asset_types:
                continue
            if must_wait(settings.quiet_hours, message.severity, now):
                waiting += len(items)
            else:
                messages.append(message)
        gathered = [item for item, route in due if route == "digest"]
        ripe = [item for item in gathered if pending_since(item) < last_digest(settings.digest, now)]
        if ripe and not must_wait(settings.quiet_hours, None, now):
            messages.append(Planned(name, DIGEST, tuple(ripe)))
            waiting += len(gathered) - len(ripe)
        else:
            waiting += len(gathered)
    return Plan(tuple(messages), waiting)


def due_items(
    channel: Channel, name: str, histories: Sequence[History], told: Mapping[tuple[str, str], int]
) -> list[tuple[Item, Route]]:
    """What a channel does not know yet and wants to, with the way it goes; most severe first, over ones last."""
    found: list[tuple[Item, Route]] = []
    for history in histories:
        alert = history.alert
        route = channel.critical if level(alert.severity) > 1 else channel.warning
        if alert.asset_type not in channel.asset_types or route == "off":
            continue
        known = told.get((alert.alert_id, name), 0)
        if alert.is_resolved:
            if known and channel.resolved:
                found.append((Item(history, "RESOLVED"), route))
        elif history.acknowledged is None and level(alert.severity) > known:
            found.append((Item(history, "ESCALATED" if known else "OPENED"), route))
    return sorted(found, key=lambda one: (not one[0].is_raise, -level(one[0].history.alert.severity)))


def still_needed(history: History | None) -> bool:
    """Whether an alert that a waiting message raises is still somebody's business."""
    return history is not None and not history.alert.is_resolved and history.acknowledged is None


def pending_since(item: Item) -> datetime:
    """Since when, by the wall clock, it waits to be told."""
    history = item.history
    event = history.raised if item.is_raise else (history.events[-1] if history.events else None)
    recorded = event.recorded_at if event is not None else None
    return recorded or history.alert.created_at


def must_wait(quiet: QuietHours | None, severity: str | None, now: datetime) -> bool:
    """Whether a message of this severity (None: good news) has to wait for the end of quiet hours."""
    return quiet is not None and is_quiet(quiet, now) and not (quiet.critical_passes and level(severity) > 1)


def is_quiet(quiet: QuietHours, now: datetime) -> bool:
    """Whether an instant lies in quiet hours, by the local clock as it shows then (summer time included)."""
    local = now.astimezone(ZoneInfo(quiet.time_zone)).time()
    if quiet.start < quiet.end:
        return quiet.start <= local < quiet.end
    return local >= quiet.start or local < quiet.end


def last_digest(digest: Digest, now: datetime) -> datetime:
    """The newest digest time that is not after an instant."""
    zone = ZoneInfo(digest.time_zone)
    local = now.astimezone(zone)
    at = time(digest.at.hour, digest.at.minute, digest.at.second)
    for days in range(3):
        instant = datetime.combine(local.date() - timedelta(days=days), at, zone).astimezone(now.tzinfo)
        if instant <= now:
            return instant
    raise AssertionError("a local time comes every day")

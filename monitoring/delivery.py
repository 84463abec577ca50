"""Alerts on their way to people: exactly once to each channel, and at least once where a process is killed.

A message is stored (PLANNED) with all it says before anything is sent. Every attempt is claimed by inserting its
numbered row, so that of two runs at once one sends. After the receiver's answer, outcome, status and one SENT event
per alert are written in one transaction. Between that answer and that transaction nobody can know: a process killed
there leaves a claim without an outcome, and when the claim has aged the message is sent again, with the same key (HTTP
header `Idempotency-Key`, `Message-ID` of mails, last line of the text).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from configs.alert_urls import has_url, url_variable
from configs.settings import Settings
from market.assets import AssetType
from market.errors import AlertError
from monitoring.conditions import Moment
from monitoring.delivery_run import DeliveryRun
from monitoring.delivery_send import Answer, Message, Sender, send
from warehouse.clock import wall_clock
from warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Delivered:
    """What a run delivered.

    Attributes:
        sent: Messages that their receivers took.
        failed: Messages that they did not take; the next run tries again.
        waiting: Alerts that wait for the end of quiet hours or for the digest, and messages that another run sends.
        notes: What a person should know, without any address.
    """

    sent: int = 0
    failed: int = 0
    waiting: int = 0
    notes: tuple[str, ...] = ()


def deliver(
    warehouse: Warehouse,
    settings: Settings,
    moments: Sequence[Moment],
    links: Mapping[AssetType, Path | str] | None = None,
    *,
    sender: Sender = send,
    clock: Callable[[], datetime] = wall_clock,
) -> Delivered:
    """Send what channels do not know yet, one message per class and channel, and again what could not be sent.

    Args:
        warehouse: Keeps messages, attempts and alerts.
        settings: `alerts` says who hears what and when.
        moments: Classes that were judged: their own messages go. Digests, and earlier messages, are of all classes.
        links: Where each class's report of its moment is; a message about a newer day than that shows none.
        sender: How a message is sent.
        clock: The wall clock, for quiet hours, digest and patience.

    Returns:
        Counts and notes. What a channel does or fails to do is never an exception; what the warehouse does may be.
    """
    if not settings.alerts.channels:
        return Delivered(notes=_nobody(warehouse))
    run = DeliveryRun(warehouse, settings, sender, clock)
    run.withdraw()
    run.store_new(moments, dict(links or {}))
    run.send_stored()
    failed = run.counted["FAILED"] + run.counted["UNKNOWN"]
    return Delivered(run.counted["SENT"], failed, run.waiting, tuple(run.notes))


def send_test(settings: Settings, channel: str, *, sender: Sender = send) -> Answer:
    """Send a channel a harmless message; nothing is stored.

    Raises:
        AlertError: No such channel is configured, or it has no URL.
    """
    if channel not in settings.alerts.channels:
        known = ", ".join(sorted(settings.alerts.channels)) or "none"
        raise AlertError(
            f"there is no channel '{channel}' (known: {known})",
            remedy=f"set {url_variable(channel)}, or name it in alerts.channels",
        )
    if not has_url(channel):
        raise AlertError(f"channel {channel} has no address", remedy=f"set {url_variable(channel)} to its apprise URL")
    key = uuid.uuid4().hex
    text = f"A test of channel {channel}, profile {settings.profile}. Alerts look like this: plain text.\n\n"
    title = f"[TradeHits {settings.profile}] test of {channel}"
    return sender(Message(channel, title, f"{text}Message {key[:8]}.", "", key), settings.alerts.deadline_seconds)


def _nobody(warehouse: Warehouse) -> tuple[str, ...]:
    """Alerts without any channel are worth a note; no alerts are not."""
    rows = warehouse.query("SELECT SUM(open_alerts) AS alerts FROM `tradehits.v_open_alerts`").to_pylist()
    count = rows[0]["alerts"] or 0
    if not count:
        return ()
    return (
        f"{count} open alert{'s' if count != 1 else ''}, and nobody is told: set TRADEHITS_ALERT_URL_<NAME> to an "
        "apprise URL (docs/alerts.md)",
    )

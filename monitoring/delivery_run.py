"""One delivery run: withdraw what nobody needs, store what is to be said, send what is stored."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from configs.alert_urls import has_url, url_variable
from configs.settings import Settings
from market.assets import AssetType
from market.errors import DuplicateKeyError
from monitoring.conditions import Moment
from monitoring.delivery_facts import letterhead
from monitoring.delivery_message import Letterhead, body_of, title_of
from monitoring.delivery_plan import Planned, must_wait, plan, still_needed
from monitoring.delivery_records import (
    Attempt,
    Delivery,
    Outbox,
    Outcome,
    attempts_write,
    deliveries_write,
    read_outbox,
    sent_events,
)
from monitoring.delivery_send import Answer, Message, Sender
from warehouse.warehouse import Warehouse

LEASE_MARGIN_SECONDS = 60.0
"""So much longer than its deadline a claim without an outcome counts as under way; after that its process is dead."""

_TRIES = 12
_GONE = "its channel is not configured any more"
_SETTLED = "its alerts were resolved or taken on before it could be sent"


class DeliveryRun:
    """One run over all channels; its three steps are called in their order.

    Args:
        warehouse: Keeps messages and attempts.
        settings: The profile.
        sender: How a message is sent.
        clock: The wall clock.
    """

    def __init__(self, warehouse: Warehouse, settings: Settings, sender: Sender, clock: Callable[[], datetime]) -> None:
        """Look which channels have an address."""
        self._warehouse = warehouse
        self._profile = settings
        self._settings = settings.alerts
        self._sender = sender
        self._clock = clock
        self._reachable = [name for name in sorted(settings.alerts.channels) if has_url(name)]
        self._lease = timedelta(seconds=settings.alerts.deadline_seconds + LEASE_MARGIN_SECONDS)
        self._outbox: Outbox | None = None
        self.counted = {"SENT": 0, "FAILED": 0, "UNKNOWN": 0}
        self.waiting = 0
        self.notes = [
            f"channel {name} has no address: set {url_variable(name)}"
            for name in sorted(settings.alerts.channels)
            if name not in self._reachable
        ]

    def withdraw(self) -> None:
        """Take back messages that nobody needs any more; what is still open in them goes into new ones."""
        outbox = self._read()
        histories = {history.alert.alert_id: history for history in outbox.histories}
        now = self._clock()
        for delivery in outbox.planned:
            raised = [item["alert_id"] for item in delivery.told if item["what"] != "RESOLVED"]
            if delivery.channel not in self._settings.channels:
                why = _GONE
            elif raised and not any(still_needed(histories.get(alert_id)) for alert_id in raised):
                why = _SETTLED
            elif now - delivery.planned_at > timedelta(days=self._settings.retry_days):
                why = f"not delivered within {self._settings.retry_days:g} days"
                self.notes.append(f"channel {delivery.channel}: {why}; what is still open goes out in a new message")
            else:
                continue
            attempts = outbox.attempts.get(delivery.delivery_id, ())
            if not self._is_under_way(attempts):
                self._claim(delivery, len(attempts) + 1, "WITHDRAWN", why)
                self._outbox = None  # what was in it is free again

    def store_new(self, moments: Sequence[Moment], links: Mapping[AssetType, Path | str]) -> None:
        """Store what is to be said before it is; another run that does so at the same time goes first."""
        asset_types = {moment.asset_type for moment in moments}
        for left in reversed(range(_TRIES)):
            outbox, now = self._read(), self._clock()
            found = plan(self._settings, self._reachable, outbox.histories, outbox.told, asset_types, now)
            self.waiting = found.waiting
            if not found.messages:
                return
            head = letterhead(self._warehouse, self._profile, moments, links)
            numbers = dict(outbox.numbers)
            deliveries = [_delivery(message, head, numbers, now) for message in found.messages]
            try:
                self._warehouse.write([deliveries_write(deliveries, are_new=True)])
            except DuplicateKeyError:
                self._outbox = None
                if not left:
                    raise
            else:
                self._outbox = replace(outbox, planned=(*outbox.planned, *deliveries))
                return

    def send_stored(self) -> None:
        """Attempt every stored message that may go now; a channel that does not answer in time is left for later."""
        outbox = self._read()
        silent: set[str] = set()
        for delivery in outbox.planned:
            attempts = outbox.attempts.get(delivery.delivery_id, ())
            if delivery.channel not in self._reachable:
                continue
            is_night = must_wait(self._settings.quiet_hours, delivery.severity, self._clock())
            if delivery.channel in silent or is_night or self._is_under_way(attempts):
                self.waiting += 1
                continue
            if attempts and attempts[-1].outcome is None:
                self.notes.append(
                    f"channel {delivery.channel}: message {delivery.message_key[:8]} may arrive twice, because an "
                    "earlier attempt was cut off"
                )
            outcome = self._attempt(delivery, len(attempts))
            if outcome is None:
                self.waiting += 1
                continue
            self.counted[outcome] += 1
            if outcome == "UNKNOWN":
                silent.add(delivery.channel)

    def _attempt(self, delivery: Delivery, made: int) -> Outcome | None:
        """Attempt one message, a few times; None when another run does."""
        answer = Answer("FAILED")
        for number in range(made + 1, made + 1 + self._settings.attempts_per_run):
            if number > made + 1:
                time.sleep(self._settings.pause_seconds)
            attempt = self._claim(delivery, number)
            if attempt is None:
                return None
            answer = self._sender(_message(delivery), self._settings.deadline_seconds)
            self._settle(delivery, attempt, answer)
            if answer.outcome != "FAILED":
                break
        if answer.outcome != "SENT":
            self.notes.append(
                f"channel {delivery.channel}: message {delivery.message_key[:8]} was not delivered: {answer.detail}"
            )
        return answer.outcome

    def _claim(
        self, delivery: Delivery, number: int, outcome: Outcome | None = None, detail: str | None = None
    ) -> Attempt | None:
        """Have the attempt of this number, or None because another run has it; a withdrawal is one too."""
        now = self._clock()
        attempt = Attempt(
            attempt_id=f"{delivery.delivery_id}:{number:04d}",
            delivery_id=delivery.delivery_id,
            started_at=now,
            finished_at=now if outcome else None,
            outcome=outcome,
            detail=detail,
        )
        writes = [attempts_write([attempt], are_new=True)]
        if outcome == "WITHDRAWN":
            gone = replace(delivery, status="WITHDRAWN", detail=detail, settled_at=now)
            writes.append(deliveries_write([gone], are_new=False))
        try:
            self._warehouse.write(writes)
        except DuplicateKeyError:
            return None
        return attempt

    def _settle(self, delivery: Delivery, attempt: Attempt, answer: Answer) -> None:
        now = self._clock()
        done = replace(attempt, finished_at=now, outcome=answer.outcome, detail=answer.detail or None)
        writes = [attempts_write([done], are_new=False)]
        if answer.outcome == "SENT":
            sent = replace(delivery, status="SENT", settled_at=now)
            writes += [deliveries_write([sent], are_new=False), sent_events(delivery, now)]
        self._warehouse.write(writes)

    def _is_under_way(self, attempts: Sequence[Attempt]) -> bool:
        return bool(attempts) and attempts[-1].outcome is None and self._clock() - attempts[-1].started_at < self._lease

    def _read(self) -> Outbox:
        """The state of the tables, read once until something of it has changed."""
        if self._outbox is None:
            with self._warehouse.read() as read:
                self._outbox = read_outbox(read)
        return self._outbox


def _delivery(message: Planned, head: Letterhead, numbers: dict[tuple[str, str], int], now: datetime) -> Delivery:
    place = (message.channel, message.scope)
    numbers[place] = numbers.get(place, 0) + 1
    key = uuid.uuid4().hex
    items = [
        {"alert_id": i.history.alert.alert_id, "what": i.what, "severity": i.history.alert.severity}
        for i in message.items
    ]
    return Delivery(
        delivery_id=f"{message.channel}:{message.scope}:{numbers[place]:06d}",
        channel=message.channel,
        scope=message.scope,
        severity=message.severity,
        title=title_of(message, head),
        body=body_of(message, head, key),
        items=json.dumps(items),
        message_key=key,
        status="PLANNED",
        detail=None,
        planned_at=now,
        settled_at=None,
    )


def _message(delivery: Delivery) -> Message:
    return Message(delivery.channel, delivery.title, delivery.body, delivery.severity or "", delivery.message_key)

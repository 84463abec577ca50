"""One question on its way to Gemini, and the record it leaves."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

from serving.gemini_answer import Answer
from serving.gemini_faults import BudgetSpentError, GeminiFaultError, TooSlowError
from serving.gemini_opinion import GeminiStatus
from serving.gemini_prompt import Prompt
from serving.gemini_records import NANO_USD, Call, Key, Reservation

_STATUS: Final[dict[type, GeminiStatus]] = {TooSlowError: "timeout", BudgetSpentError: "budget"}


class Request:
    """One question on its way; what it cost and how often it was sent is written here as it happens.

    Attributes:
        prompt: What is sent.
        deadline: Of the event loop's clock.
        attempts: Requests sent.
        open_reservation: Money set aside for the last request and not settled yet.
        open_cost_nano_usd: What that request cost: its reservation, until more is known.
        cost_nano_usd: Of all requests together.
        input_tokens: Of the last request; None when it was not said.
        output_tokens: Likewise.
    """

    def __init__(
        self,
        prompt: Prompt,
        deadline: float,
        *,
        reserve: Callable[[Request], Awaitable[None]],
        settle: Callable[[Request], Awaitable[None]],
    ) -> None:
        """Nothing sent yet.

        Args:
            prompt: What is sent.
            deadline: Of the event loop's clock.
            reserve: Sets money aside and calls `began`, or raises `BudgetSpentError`.
            settle: Puts `open_cost_nano_usd` in the place of the open reservation.
        """
        self.prompt = prompt
        self.deadline = deadline
        self.reserve = reserve
        self.settle = settle
        self.attempts = 0
        self.open_reservation: Reservation | None = None
        self.open_cost_nano_usd = 0
        self.cost_nano_usd = 0
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self._began_at: float | None = None

    @property
    def elapsed_seconds(self) -> float:
        """Since the first attempt; 0 before it."""
        return 0.0 if self._began_at is None else time.monotonic() - self._began_at

    def began(self, reservation: Reservation) -> None:
        """A request is about to be sent."""
        self._began_at = self._began_at or time.monotonic()
        self.attempts += 1
        self.open_reservation = reservation
        self.open_cost_nano_usd = 0
        self.costs(reservation.nano_usd)

    def costs(self, nano_usd: int) -> None:
        """The last request cost this."""
        self.cost_nano_usd += nano_usd - self.open_cost_nano_usd
        self.open_cost_nano_usd = nano_usd


def call_of(key: Key, request: Request, end: Answer | GeminiFaultError, ended_at: dt.datetime) -> Call:
    """The record of a question that was answered, or was not."""
    answer = end if isinstance(end, Answer) else None
    return Call(
        call_id=uuid.uuid4().hex,
        called_at=ended_at - dt.timedelta(seconds=request.elapsed_seconds),
        asset_type=key.asset_type,
        symbol=key.symbol,
        datetime=key.datetime,
        model=key.model,
        prompt_hash=key.prompt_hash,
        status="ok" if answer else _STATUS.get(type(end), "error"),
        prediction=answer.direction if answer else None,
        confidence=answer.confidence if answer else None,
        reasoning=answer.reasoning if answer else None,
        risk_level=answer.risk_level if answer else None,
        latency_seconds=round(request.elapsed_seconds, 6),
        input_tokens=request.input_tokens,
        output_tokens=request.output_tokens,
        cost_usd=request.cost_nano_usd / NANO_USD,
        error=None if answer else str(end),
        attempts=request.attempts,
        facts=request.prompt.facts,
    )

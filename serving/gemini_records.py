"""What is kept of a question that was put to Gemini, and of what it cost."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from market.assets import AssetType
from market.signals import GeminiDirection
from serving.gemini_opinion import GeminiStatus, Opinion, RiskLevel

NANO_USD: Final = 1_000_000_000
"""Money is counted in whole billionths of a dollar, so that a day's sum is exact."""


@dataclass(frozen=True)
class Key:
    """What makes two questions the same."""

    asset_type: AssetType
    symbol: str
    datetime: dt.datetime
    model: str
    prompt_hash: str


@dataclass(frozen=True)
class Reservation:
    """Money set aside for one request on a UTC day."""

    day: str
    nano_usd: int


@dataclass(frozen=True)
class Spent:
    """What a UTC day has cost so far, open reservations included."""

    calls: int
    cost_usd: float


@dataclass(frozen=True)
class Call:
    """One question put to Gemini, answered or not; the columns of `tradehits.gemini_calls`, and what traces need.

    Attributes:
        called_at: When its first attempt began.
        datetime: The bar it was asked about.
        status: ok, timeout or error.
        cost_usd: By the configured prices; the highest possible cost of attempts whose end is unknown.
        attempts: Requests sent.
        facts: JSON that was sent beside the instruction.
    """

    call_id: str
    called_at: dt.datetime
    asset_type: AssetType
    symbol: str
    datetime: dt.datetime
    model: str
    prompt_hash: str
    status: GeminiStatus
    prediction: GeminiDirection | None
    confidence: float | None
    reasoning: str | None
    risk_level: RiskLevel | None
    latency_seconds: float
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float
    error: str | None
    attempts: int
    facts: str


def opinion_of(call: Call, status: GeminiStatus) -> Opinion:
    """The opinion in a call, under the status that it has for the one who asks now."""
    return Opinion(
        status=status,
        direction=call.prediction,
        confidence=call.confidence,
        reasoning=call.reasoning,
        risk_level=call.risk_level,
        latency_seconds=call.latency_seconds,
        model=call.model,
        prompt_hash=call.prompt_hash,
        error=call.error,
    )

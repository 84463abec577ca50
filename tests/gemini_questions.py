"""Questions about simulated crypto bars, and settings that point to a stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from configs.settings import Settings, load_settings
from serving.ensemble import Opinion, Question, gather_opinions

KEY = "AIza-test-key-0123456789"
BAR = datetime(2026, 3, 2, tzinfo=UTC)
FACTS = {
    "open": 99.0,
    "high": 103.0,
    "low": 98.5,
    "close": 102.25,
    "volume": 1200.0,
    "rsi": 55.1234567,
    "growth_score": 75,
}


def gemini_settings(url: str | None, *, key: str | None = KEY, **changes: Any) -> Settings:
    """The test profile, with short waits."""
    settings = load_settings("test")
    quick = {
        "base_url": url,
        "api_key": None if key is None else SecretStr(key),
        "ask_about_past": True,
        "deadline_seconds": 60.0,
        "call_timeout_seconds": 30.0,
        "backoff_seconds": 0.01,
        "max_backoff_seconds": 0.5,
        **changes,
    }
    return settings.model_copy(update={"gemini": settings.gemini.model_copy(update=quick)})


def question(symbol: str = "BTC/USDT", day: datetime = BAR, **facts: Any) -> Question:
    return Question("crypto", symbol, day, None, {**FACTS, **facts})


def questions(count: int) -> list[Question]:
    return [question(f"A{number}/USDT") for number in range(count)]


def gathered(settings: Settings, asked: Sequence[Question], **options: Any) -> list[Opinion]:
    return asyncio.run(gather_opinions(settings, asked, **options))


def statuses(opinions: Sequence[Opinion]) -> list[str]:
    return [opinion.status for opinion in opinions]

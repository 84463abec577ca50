"""What Gemini is asked about, and what it thinks."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from market.assets import AssetType
from market.signals import GeminiDirection, gemini_probability

GeminiStatus = Literal["ok", "cached", "disabled", "timeout", "error", "budget"]
RiskLevel = Literal["LOW", "MEDIUM", "HIGH"]
MarketValue = float | int | str | None


@dataclass(frozen=True)
class Question:
    """One closed bar that Gemini may be asked about.

    Attributes:
        symbol: Canonical, see `market.symbols`.
        datetime: The bar's stamp, UTC.
        bar_known_at: When it closed, where that is known.
        market_data: What is known of the bar; only the fields of `serving.gemini_prompt` are ever sent.
    """

    asset_type: AssetType
    symbol: str
    datetime: dt.datetime
    bar_known_at: dt.datetime | None
    market_data: Mapping[str, MarketValue]


@dataclass(frozen=True)
class Opinion:
    """Gemini's answer about one bar, or why there is none.

    Attributes:
        status: ok: asked and answered; cached: answered before; disabled: no key, switched off, or the outcome of the
            bar may be known; timeout: no answer in time; error: no usable answer; budget: the day's is spent.
        direction: Where the next close will lie; None without an answer, like the four below.
        confidence: 0 to 1.
        reasoning: Plain text of bounded length.
        risk_level: Of a position in this symbol.
        latency_seconds: Of all attempts together.
        model: Who was asked.
        prompt_hash: Of everything that was sent.
        error: What went wrong, in words of this program only: never text of the server, never a secret.
    """

    status: GeminiStatus
    direction: GeminiDirection | None = None
    confidence: float | None = None
    reasoning: str | None = None
    risk_level: RiskLevel | None = None
    latency_seconds: float | None = None
    model: str | None = None
    prompt_hash: str | None = None
    error: str | None = None

    @property
    def probability(self) -> float | None:
        """The answer as a probability of UP, None without one."""
        if self.direction is None or self.confidence is None:
            return None
        return gemini_probability(self.direction, self.confidence)


DISABLED = Opinion("disabled")


def unanswered(opinions: Sequence[Opinion]) -> str:
    """How many questions ended in an error, and the most frequent cause; empty without one."""
    causes = Counter(opinion.error or "unknown" for opinion in opinions if opinion.status == "error")
    if not causes:
        return ""
    cause, _ = causes.most_common(1)[0]
    return f"Gemini gave no usable answer to {causes.total():,} of {len(opinions):,} questions, XGBoost stands: {cause}"

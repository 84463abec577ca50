"""What is sent to Gemini: a versioned instruction, and validated facts about one closed bar; nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from market.assets import ASSET_TYPES
from market.errors import BadBarsError, ConfigError, MarketDataError
from market.symbols import canonical_symbol
from serving.gemini_opinion import MarketValue, Question

TREND_REGIMES: Final = frozenset(
    ("STRONG_UPTREND", "WEAK_UPTREND", "CONSOLIDATION", "WEAK_DOWNTREND", "STRONG_DOWNTREND")
)

NUMBER_FIELDS: Final[tuple[str, ...]] = (
    "open", "high", "low", "close", "volume", "percent_change",
    "rsi", "macd", "macd_signal", "macd_histogram", "adx", "plus_di", "minus_di", "atr", "atr_pct",
    "sma_20", "sma_50", "sma_200", "ema_12", "ema_26", "bb_upper", "bb_lower", "volume_sma_20", "volume_ratio",
    "stoch_k", "stoch_d", "mfi", "cmf", "cci", "roc", "williams_r", "obv", "awesome_osc",
    "momentum_5d", "momentum_10d", "momentum_20d", "growth_score",
    "in_rise_cycle", "rise_cycle_start", "fall_cycle_start", "pivot_high_flag", "pivot_low_flag",
    "golden_cross", "death_cross",
)  # fmt: skip
"""Fields that may be sent, as numbers. No model's probability is among them: Gemini judges blind."""

MARKET_FIELDS: Final[tuple[str, ...]] = (*NUMBER_FIELDS, "trend_regime")

SIGNIFICANT_DIGITS: Final = 6
"""More would make the same bar another question after the slightest recomputation."""

LARGEST_NUMBER: Final = 1e18

ANSWER_SCHEMA: Final[dict[str, Any]] = {
    "type": "OBJECT",
    "properties": {
        "direction": {"type": "STRING", "enum": ["UP", "DOWN", "NEUTRAL"]},
        "confidence": {"type": "NUMBER"},
        "reasoning": {"type": "STRING"},
        "risk_level": {"type": "STRING", "enum": ["LOW", "MEDIUM", "HIGH"]},
    },
    "required": ["direction", "confidence", "reasoning", "risk_level"],
}
"""What Gemini is made to answer with, in the schema language that both SDKs understand."""


@dataclass(frozen=True)
class Prompt:
    """All that is sent for one question.

    Attributes:
        instruction: The versioned text.
        facts: JSON of the question.
        hash: Of instruction, answer schema and facts.
    """

    instruction: str
    facts: str
    hash: str

    @property
    def largest_token_count(self) -> int:
        """No tokeniser makes more tokens than there are bytes."""
        return len(self.instruction.encode()) + len(self.facts.encode()) + len(json.dumps(ANSWER_SCHEMA))


def market_data_of(row: Mapping[str, Any]) -> dict[str, MarketValue]:
    """The fields of a stored row that Gemini may see, in the order of `MARKET_FIELDS`; unknown ones are left out.

    Raises:
        MarketDataError: A value is no number, or no regime.
    """
    return validated({name: row[name] for name in MARKET_FIELDS if row.get(name) is not None})


def validated(market_data: Mapping[str, Any]) -> dict[str, MarketValue]:
    """Known fields, their numbers rounded to `SIGNIFICANT_DIGITS`; others, such as `xgb_prob`, are dropped.

    Raises:
        MarketDataError: A known field holds anything but a finite number, or the regime none of the five; it is named.
    """
    given = {name: market_data[name] for name in MARKET_FIELDS if market_data.get(name) is not None}
    return {name: _regime(value) if name == "trend_regime" else _number(name, value) for name, value in given.items()}


def make_prompt(question: Question, name: str) -> Prompt:
    """What is sent for a question.

    Args:
        question: Its symbol must be canonical.
        name: Of the instruction's file.

    Raises:
        MarketDataError: A field of the question is not what it must be.
        ConfigError: There is no such file.
    """
    instruction, schema = _instruction(name), json.dumps(ANSWER_SCHEMA, sort_keys=True)
    facts = json.dumps(
        {
            "asset_class": _asset_class(question),
            "symbol": _symbol(question),
            "session_date": _session_date(question),
            "bar": validated(question.market_data),
        }
    )
    digest = hashlib.sha256("\x1f".join((instruction, schema, facts)).encode()).hexdigest()
    return Prompt(instruction, facts, digest[:32])


@lru_cache(maxsize=8)
def _instruction(name: str) -> str:
    path = files("serving") / "prompts" / f"{name}.txt"
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise ConfigError(f"no prompt '{name}' in serving/prompts", remedy="correct gemini.prompt") from error


def _asset_class(question: Question) -> str:
    if question.asset_type not in ASSET_TYPES:
        raise MarketDataError(
            f"unknown asset class {question.asset_type!r:.40}", field="asset_type", remedy=f"one of {ASSET_TYPES}"
        )
    return question.asset_type


def _symbol(question: Question) -> str:
    try:
        canonical = canonical_symbol(question.asset_type, question.symbol)
    except BadBarsError as error:
        raise MarketDataError(error.message, field="symbol", remedy=error.remedy) from error
    if canonical != question.symbol:
        raise MarketDataError(f"symbol {question.symbol!r} is written {canonical}", field="symbol")
    return canonical


def _session_date(question: Question) -> str:
    if question.datetime.tzinfo is None:
        raise MarketDataError("a bar's stamp without a time zone", field="datetime", remedy="give it in UTC")
    return question.datetime.astimezone(UTC).date().isoformat()


def _number(name: str, value: Any) -> float | int:
    if isinstance(value, bool):
        return int(value)
    # written so that NaN fails it, and integers too long for a float
    if not isinstance(value, int | float) or not abs(value) <= LARGEST_NUMBER:
        raise MarketDataError(
            f"market_data.{name} is no finite number",
            field=f"market_data.{name}",
            remedy="pass a number, or leave it out",
        )
    rounded = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def _regime(value: Any) -> str:
    if not isinstance(value, str) or value not in TREND_REGIMES:
        raise MarketDataError(
            "market_data.trend_regime is none of the five regimes",
            field="market_data.trend_regime",
            remedy=f"one of {', '.join(sorted(TREND_REGIMES))}",
        )
    return value

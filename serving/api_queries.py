"""What a request may ask: filters with their defaults and bounds; anything else is 422, unknown parameters included."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from market.symbols import MAX_SYMBOL_LENGTH

LARGEST_LIMIT = 1000
LARGEST_OFFSET = 1_000_000
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _lower(given: Any) -> Any:
    return given.lower() if isinstance(given, str) else given


def _upper(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    return "all" if given.lower() == "all" else given.upper()


def _day(given: Any) -> Any:
    """Pydantic would take a number for seconds since 1970."""
    if isinstance(given, str) and not _DAY.fullmatch(given):
        raise ValueError("a date is written YYYY-MM-DD")
    return given


AssetChoice = Annotated[Literal["stocks", "etf", "crypto"], BeforeValidator(_lower)]
AssetFilter = Annotated[
    Literal["all", "stocks", "etf", "crypto"], BeforeValidator(_lower), Field(description="Asset class.")
]
ConfidenceFilter = Annotated[
    Literal["all", "HIGH", "MEDIUM", "LOW"], BeforeValidator(_upper), Field(description="Confidence of the prediction.")
]
SignalFilter = Annotated[
    Literal["all", "BUY", "SELL", "HOLD"], BeforeValidator(_upper), Field(description="Signal of the prediction.")
]
Symbol = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_SYMBOL_LENGTH,
        description="Ticker as listed; crypto as BASE/QUOTE (`BTC/USDT`, also `BTCUSDT` and `btc-usdt`).",
    ),
]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PredictionsQuery(_Query):
    """Filters of `GET /api/ml/predictions`."""

    asset_type: AssetFilter = "all"
    confidence: ConfidenceFilter = "all"
    signal: SignalFilter = "all"
    limit: Annotated[int, Field(ge=1, le=LARGEST_LIMIT, description="At most so many rows.")] = 50
    offset: Annotated[int, Field(ge=0, le=LARGEST_OFFSET, description="So many rows are passed over.")] = 0
    symbol: Symbol | None = None
    date_from: Annotated[date | None, BeforeValidator(_day), Field(description="First date of a bar, YYYY-MM-DD.")] = (
        None
    )
    date_to: Annotated[date | None, BeforeValidator(_day), Field(description="Last date of a bar, YYYY-MM-DD.")] = None

    @field_validator("date_to")
    @classmethod
    def _ordered(cls, date_to: date | None, info: ValidationInfo) -> date | None:
        date_from = info.data.get("date_from")
        if date_to is not None and date_from is not None and date_from > date_to:
            raise ValueError(f"lies before date_from {date_from}")
        return date_to


class HighConfidenceQuery(_Query):
    """Filters of `GET /api/ml/high-confidence-signals`."""

    asset_type: AssetFilter = "all"
    signal_type: SignalFilter = "all"
    limit: Annotated[int, Field(ge=1, le=LARGEST_LIMIT, description="At most so many rows.")] = 30


class EnsembleSignalsQuery(_Query):
    """Filters of `GET /api/ml/ensemble-signals`."""

    asset_type: AssetFilter = "all"
    signal_type: SignalFilter = "all"
    limit: Annotated[int, Field(ge=1, le=LARGEST_LIMIT, description="At most so many rows.")] = 20


class SymbolQuery(_Query):
    """Parameters of `GET /api/ml/symbol-prediction/{symbol}`."""

    asset_type: Annotated[AssetChoice, Field(description="Asset class of the symbol.")] = "stocks"


class SummaryQuery(_Query):
    """`GET /api/ml/walk-forward-summary` takes no parameter."""

"""How large a position may be: the sizing rule, and the limits that cut it.

A size is decided at the close of the signal's bar, from equity at that close and from trades closed by then; it is an
amount of money, turned into units at the fill. Units are fractional, so that rescaling a symbol's prices (a split in
adjusted data) changes no result. A limit that binds makes the position smaller; below the minimum there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

from market.errors import BacktestError

SizingMethod = Literal["equal", "fixed_fraction", "volatility_target", "capped_kelly"]

SIZING_METHODS: Final[tuple[SizingMethod, ...]] = get_args(SizingMethod)

VOLATILITY_BARS: Final = 20
"""Returns behind a symbol's volatility at a signal."""


@dataclass(frozen=True)
class Sizing:
    """The rule for a position's value, before limits. A signal's own weight multiplies it.

    - `equal`: starting capital / maximum positions, in money and for the whole backtest: nothing compounds.
    - `fixed_fraction`: `fraction` of equity.
    - `volatility_target`: equity x `position_volatility_pct` / the symbol's yearly volatility over its last 20 returns,
      at most `maximum_fraction` of equity. No position without 20 returns or without movement.
    - `capped_kelly`: the growth-optimal share for two outcomes, f = p / l - q / w, where p is the share of winners
      among the trades closed so far, q = 1 - p, and w and l are the mean gain and mean loss per unit invested, after
      costs (Kelly 1956 in the form for partial losses, Thorp 2006). `kelly_share` of f, at least `kelly_floor` (so that
      a bad start does not end the learning), at most `maximum_fraction`. Until `kelly_minimum_trades` trades have
      closed: `fraction`.

    Attributes:
        method: One of the four.
        fraction: Share of equity, in (0, `maximum_fraction`].
        position_volatility_pct: Yearly volatility of equity that one position alone should bring, in percent.
        maximum_fraction: Largest share of equity in one position; does not apply to `equal`.
        kelly_share: Share of the full Kelly bet, in (0, 1]; half is the usual prudence.
        kelly_minimum_trades: Closed trades before the estimate is believed.
        kelly_floor: Smallest share of equity, in [0, `maximum_fraction`].

    Raises:
        BacktestError: A value outside its range.
    """

    method: SizingMethod = "equal"
    fraction: float = 0.05
    position_volatility_pct: float = 1.0
    maximum_fraction: float = 0.10
    kelly_share: float = 0.5
    kelly_minimum_trades: int = 30
    kelly_floor: float = 0.005

    def __post_init__(self) -> None:
        """Refuse rules that cannot be followed."""
        if self.method not in SIZING_METHODS:
            raise BacktestError(
                f"unknown sizing {self.method!r}", field="method", remedy=f"use one of {', '.join(SIZING_METHODS)}"
            )
        _within("maximum_fraction", self.maximum_fraction, 0, math.inf, low_included=False)
        _within("fraction", self.fraction, 0, self.maximum_fraction, low_included=False)
        _within("position_volatility_pct", self.position_volatility_pct, 0, math.inf, low_included=False)
        _within("kelly_share", self.kelly_share, 0, 1, low_included=False)
        _within("kelly_minimum_trades", self.kelly_minimum_trades, 1, math.inf)
        _within("kelly_floor", self.kelly_floor, 0, self.maximum_fraction)


@dataclass(frozen=True)
class Limits:
    """What a portfolio may hold at most.

    Attributes:
        maximum_positions: Open positions at one time.
        gross_exposure: Longs plus shorts, as a share of equity at the previous close; checked when a position opens.
            `math.inf` for no limit.
        cash_limit: A purchase may not spend more than the cash at hand, costs included.
        minimum_position_usd: A position that limits cut below this is not opened.

    Raises:
        BacktestError: A value outside its range.
    """

    maximum_positions: int = 20
    gross_exposure: float = 1.0
    cash_limit: bool = True
    minimum_position_usd: float = 100.0

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could ever be held."""
        _within("maximum_positions", self.maximum_positions, 1, math.inf)
        if self.gross_exposure != math.inf:
            _within("gross_exposure", self.gross_exposure, 0, math.inf, low_included=False)
        _within("minimum_position_usd", self.minimum_position_usd, 0, math.inf)


def _within(field: str, value: float, low: float, high: float, *, low_included: bool = True) -> None:
    above = value >= low if low_included else value > low
    if not (math.isfinite(value) and above and value <= high):
        opening = "[" if low_included else "("
        raise BacktestError(
            f"{value} is not in {opening}{low}, {high}{']' if math.isfinite(high) else ')'}",
            field=field,
            remedy="correct the strategy's sizing or limits",
        )

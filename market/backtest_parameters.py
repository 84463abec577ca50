"""What a strategy decides besides its signals: exits, sides, sizes, limits and costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from market.assets import AssetType
from market.costs import ClassCosts
from market.errors import BacktestError
from market.risk import Limits, Sizing
from market.signals import STOP_LOSS_ATRS, TAKE_PROFIT_ATRS

OnOpposite = Literal["reverse", "close", "ignore"]
Sides = Literal["both", "long", "short"]

OPPOSITE_RULES: Final[tuple[OnOpposite, ...]] = get_args(OnOpposite)
SIDES: Final[tuple[Sides, ...]] = get_args(Sides)


@dataclass(frozen=True)
class BacktestParameters:
    """Rules of one backtest; what they mean bar by bar is told in `market.backtest`.

    Attributes:
        costs: One entry for every asset class traded.
        sizing: The rule for a position's value.
        limits: What may be held at most.
        capital_usd: Cash before the first bar.
        stop_atrs: Distance of the stop from the entry bar's open, in ATRs of the signal's bar; None for no stop.
        target_atrs: Distance of the target likewise; None for no target.
        time_limit_bars: A position leaves at the open of the bar so many of its symbol's bars after its entry bar
            (1: the next bar's open); None for no limit.
        on_opposite: A signal against an open position closes it at the next open and opens the opposite one
            (`reverse`), only closes it (`close`), or does nothing (`ignore`).
        sides: Which positions may be opened. A signal of the other side still closes.
        order_days: An entry order lapses when its symbol's next bar is more than so many calendar days away.

    Raises:
        BacktestError: A value outside its range.
    """

    costs: Mapping[AssetType, ClassCosts]
    sizing: Sizing = field(default_factory=Sizing)
    limits: Limits = field(default_factory=Limits)
    capital_usd: float = 1_000_000.0
    stop_atrs: float | None = STOP_LOSS_ATRS
    target_atrs: float | None = TAKE_PROFIT_ATRS
    time_limit_bars: int | None = 20
    on_opposite: OnOpposite = "reverse"
    sides: Sides = "both"
    order_days: int = 7

    def __post_init__(self) -> None:
        """Refuse rules that no trader could follow."""
        _positive("capital_usd", self.capital_usd)
        _positive("order_days", self.order_days)
        for name in ("stop_atrs", "target_atrs", "time_limit_bars"):
            value = getattr(self, name)
            if value is not None:
                _positive(name, value)
        _one_of("on_opposite", self.on_opposite, OPPOSITE_RULES)
        _one_of("sides", self.sides, SIDES)


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise BacktestError(f"{value} is not a positive number", field=name, remedy="correct the strategy's parameters")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BacktestError(f"{value!r} is unknown", field=name, remedy=f"use one of {', '.join(allowed)}")

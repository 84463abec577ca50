"""What trading costs: fees, slippage, borrowed shares, and how much of a bar's volume one order may take.

Rates are basis points (1 bps is 0.01%) of a value, for borrowed shares per year of 365 days. The engine charges

- a fee on the value of every fill;
- slippage on every fill, always to the trader's disadvantage: a purchase is filled above, a sale below its reference
  price. A target is a limit order and would not slip; it is charged all the same, because a touched limit is not
  always a filled one;
- borrow cost for every calendar day on which a short position was open at the close, on its value at that close.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from market.errors import BacktestError

BPS: Final = 1e-4
BORROW_DAYS_PER_YEAR: Final = 365


@dataclass(frozen=True)
class ClassCosts:
    """Assumptions about execution in one asset class.

    Attributes:
        fee_bps: Commission and exchange fees, of every fill's value.
        slippage_bps: Half the spread and the impact, of every fill's reference price; below 10,000.
        borrow_bps_per_year: Cost of borrowed shares, of the short position's value.
        volume_cap_share: Largest share of a bar's volume that one entry may take, in (0, 1].

    Raises:
        BacktestError: A rate is negative, not finite or beyond its bound.
    """

    fee_bps: float
    slippage_bps: float
    borrow_bps_per_year: float = 0.0
    volume_cap_share: float = 0.01

    def __post_init__(self) -> None:
        """Refuse costs that pay the trader."""
        for one in fields(self):
            value = getattr(self, one.name)
            if not (math.isfinite(value) and value >= 0):
                raise BacktestError(
                    f"{value} is not a finite number of at least 0",
                    field=one.name,
                    remedy="give costs in basis points as positive numbers; 0 for none",
                )
        if self.slippage_bps >= 10_000 or self.fee_bps >= 10_000:
            raise BacktestError(
                "a fill cannot cost its whole value",
                field="slippage_bps" if self.slippage_bps >= 10_000 else "fee_bps",
                remedy="give basis points: 5 is 0.05%",
            )
        if not 0 < self.volume_cap_share <= 1:
            raise BacktestError(
                f"{self.volume_cap_share} is not in (0, 1]",
                field="volume_cap_share",
                remedy="give the share of a bar's volume that one order may take, such as 0.01",
            )

    @property
    def round_trip_bps(self) -> float:
        """Fees and slippage of one entry and one exit at an unchanged price, to first order."""
        return 2 * (self.fee_bps + self.slippage_bps)


FREE: Final = ClassCosts(fee_bps=0.0, slippage_bps=0.0, borrow_bps_per_year=0.0, volume_cap_share=1.0)
"""No costs at all: for laws, comparisons and break-even questions."""

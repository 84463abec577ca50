"""What a list of closed trades says: how many won, how much, and how well profits paid for losses.

Trades overlap and share days, so nothing here is a risk figure: those come from the daily equity (`market.returns`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from market.errors import MetricError


@dataclass(frozen=True)
class TradeMeasures:
    """Figures of closed trades, after costs; None is undefined, as every average without a trade is.

    Attributes:
        total_trades: All of them.
        winning_trades: Those that earned more than nothing.
        losing_trades: Those that lost; a trade that ended even is neither.
        win_rate: Winning trades, percent of all.
        avg_win_pct: Mean return of the winning trades.
        avg_loss_pct: Mean loss of the losing trades, positive.
        avg_trade_return_pct: Mean return of all trades.
        profit_factor: Gross profit over gross loss in money; None without a loss.
        avg_position_size: Mean value at entry, whichever side; 0 without a trade.
        max_position_size: Largest value at entry; 0 without a trade.
    """

    total_trades: int
    winning_trades: int
    losing_trades: int
    win_rate: float | None
    avg_win_pct: float | None
    avg_loss_pct: float | None
    avg_trade_return_pct: float | None
    profit_factor: float | None
    avg_position_size: float
    max_position_size: float


def measure_trades(
    return_pct: npt.NDArray[Any], return_usd: npt.NDArray[Any], position_size: npt.NDArray[Any]
) -> TradeMeasures:
    """The figures of closed trades.

    Args:
        return_pct: Return of each trade after costs, percent of its value at entry, shape (trades,); may be empty.
        return_usd: The same in money.
        position_size: Value at entry, negative for a short.

    Raises:
        MetricError: Missing or ill-shaped values.
    """
    pct, usd, size = (np.asarray(one, dtype=np.float64) for one in (return_pct, return_usd, position_size))
    if pct.ndim != 1 or not pct.shape == usd.shape == size.shape:
        raise MetricError(f"returns {pct.shape}, {usd.shape} and sizes {size.shape} of trades must be of one length")
    if not all(np.isfinite(one).all() for one in (pct, usd, size)):
        raise MetricError("trades must have a return and a size", remedy="leave open trades out")
    won, lost = usd > 0, usd < 0
    gross_loss = float(-usd[lost].sum())
    return TradeMeasures(
        total_trades=usd.size,
        winning_trades=int(won.sum()),
        losing_trades=int(lost.sum()),
        win_rate=100.0 * float(won.mean()) if usd.size else None,
        avg_win_pct=_mean(pct[won]),
        avg_loss_pct=_mean(-pct[lost]),
        avg_trade_return_pct=_mean(pct),
        profit_factor=float(usd[won].sum()) / gross_loss if gross_loss > 0 else None,
        avg_position_size=float(np.abs(size).mean()) if size.size else 0.0,
        max_position_size=float(np.abs(size).max()) if size.size else 0.0,
    )


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.mean()) if values.size else None

"""What else could have happened: paths drawn from a backtest's own days, and from its own trades.

Two questions, two draws. Days in blocks: what would other years of the same kind have brought? Trades in another order:
was the drawdown luck of the order? Neither knows of a day or trade that did not happen, so the worst one is no bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from market.compiled import compiled
from market.errors import MetricError

Floats = npt.NDArray[np.float64]

LEVELS: Final = (1, 5, 25, 50, 75, 95, 99)
"""Percentiles that are reported."""

FAN_POINTS: Final = 120
"""Days of a path at which the fan of equity is kept, at most."""


@dataclass(frozen=True)
class Percentiles:
    """Percentiles of a figure over paths, and its mean."""

    p01: float
    p05: float
    p25: float
    p50: float
    p75: float
    p95: float
    p99: float
    mean: float

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> Percentiles:
        """Measured on values of shape (paths,)."""
        return cls(*(float(one) for one in (*np.percentile(values, LEVELS), np.mean(values))))


@dataclass(frozen=True)
class Fan:
    """Percentiles of equity along the paths.

    Attributes:
        day: Number of days since the start, ascending, shape (points,).
        equity: Equity per dollar of capital, one row for each of `LEVELS`, shape (7, points).
    """

    day: npt.NDArray[np.int64]
    equity: Floats


@dataclass(frozen=True)
class Paths:
    """What paths drawn from the days of a backtest brought.

    Attributes:
        paths: Number of paths.
        days: Length of each.
        block_days: Days that were drawn together.
        total_return_pct: Compounded.
        max_drawdown_pct: Lowest value below the running peak, 0 or negative.
        days_under_water: Longest stretch below an earlier peak.
        loss_probability: Share of paths that ended below the capital.
        ruin_probability: Share of paths that at any day had lost `ruin_loss_pct` of the capital.
        ruin_loss_pct: What counts as ruin.
        fan: Equity along the paths.
    """

    paths: int
    days: int
    block_days: int
    total_return_pct: Percentiles
    max_drawdown_pct: Percentiles
    days_under_water: Percentiles
    loss_probability: float
    ruin_probability: float
    ruin_loss_pct: float
    fan: Fan


@dataclass(frozen=True)
class Orders:
    """What other orders of the same trades would have brought; the end is the same in all of them.

    Attributes:
        paths: Number of orders.
        trades: Number of trades.
        max_drawdown_pct: Lowest equity below the running peak, percent of that peak.
        trades_under_water: Longest stretch of trades below an earlier peak.
        ruin_probability: Share of orders that at any trade had lost `ruin_loss_pct` of the capital.
        drawdown_rank: Share of orders whose drawdown was no deeper than the one in the order that happened.
    """

    paths: int
    trades: int
    max_drawdown_pct: Percentiles
    trades_under_water: Percentiles
    ruin_probability: float
    drawdown_rank: float


def bootstrap_days(
    returns: npt.NDArray[Any],
    *,
    paths: int,
    days: int | None = None,
    block_days: int,
    ruin_loss_pct: float,
    seed: int,
) -> Paths | None:
    """Paths made of blocks of consecutive days, drawn with replacement.

    The circular block bootstrap of Politis and Romano (1992).

    Args:
        returns: Daily returns as fractions, shape (n,).
        paths: Number of paths.
        days: Length of each; None: as long as the series.
        block_days: Days in a block (at most n // 2), so that volatile days stay together.
        ruin_loss_pct: A path is ruined when it has lost so much of its capital, in (0, 100].
        seed: The same seed gives the same paths.

    Returns:
        None for a series of fewer than two days, of which nothing can be drawn.

    Raises:
        MetricError: Missing or ill-shaped returns, or a parameter out of range.
    """
    values = np.ascontiguousarray(returns, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise MetricError(f"returns {values.shape} must be one-dimensional and finite")
    wanted = values.size if days is None else days
    _check(paths, ruin_loss_pct)
    if block_days < 1 or (days is not None and days < 1):
        raise MetricError(f"block_days {block_days} and days {days} must be positive")
    if values.size < 2:
        return None
    block = min(block_days, values.size // 2)
    starts = np.random.default_rng(seed).integers(0, values.size, size=(paths, -(-wanted // block)), dtype=np.int32)
    shown = np.unique(np.linspace(1, wanted, min(FAN_POINTS, wanted)).round().astype(np.int64))
    figures, fan = np.empty((4, paths)), np.empty((shown.size, paths))
    _walk_days(values, starts, block, shown, 1 - ruin_loss_pct / 100, figures, fan)
    return Paths(
        paths=paths,
        days=wanted,
        block_days=block,
        total_return_pct=Percentiles.of(100 * (figures[0] - 1)),
        max_drawdown_pct=Percentiles.of(100 * figures[1]),
        days_under_water=Percentiles.of(figures[2]),
        loss_probability=float((figures[0] < 1).mean()),
        ruin_probability=float(figures[3].mean()),
        ruin_loss_pct=ruin_loss_pct,
        fan=Fan(np.append(0, shown), np.column_stack((np.ones(len(LEVELS)), np.percentile(fan, LEVELS, axis=1)))),
    )


def permute_trades(
    results_usd: npt.NDArray[Any], capital_usd: float, *, paths: int, ruin_loss_pct: float, seed: int
) -> Orders | None:
    """The same trades in other orders, each with the result in money it had.

    Args:
        results_usd: Result of each trade after costs, in the order of exits, shape (trades,).
        capital_usd: Equity before the first trade, positive.
        paths: Number of orders.
        ruin_loss_pct: An order is ruined when it has lost so much of the capital, in (0, 100].
        seed: The same seed gives the same orders.

    Returns:
        None for fewer than two trades, which have no other order worth the name.

    Raises:
        MetricError: Missing or ill-shaped results, or a parameter out of range.
    """
    values = np.ascontiguousarray(results_usd, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or not capital_usd > 0:
        raise MetricError(f"results {values.shape} must be one-dimensional and finite, and capital positive")
    _check(paths, ruin_loss_pct)
    if values.size < 2:
        return None
    ruin = 1 - ruin_loss_pct / 100
    figures, happened = np.empty((3, paths)), np.empty((3, 1))
    _walk_trades(values / capital_usd, np.random.default_rng(seed), ruin, False, happened)
    _walk_trades(values / capital_usd, np.random.default_rng(seed), ruin, True, figures)
    return Orders(
        paths=paths,
        trades=values.size,
        max_drawdown_pct=Percentiles.of(100 * figures[0]),
        trades_under_water=Percentiles.of(figures[1]),
        ruin_probability=float(figures[2].mean()),
        drawdown_rank=float((figures[0] >= happened[0, 0]).mean()),
    )


def _check(paths: int, ruin_loss_pct: float) -> None:
    if paths < 1 or not 0 < ruin_loss_pct <= 100:
        raise MetricError(f"paths {paths} must be positive and ruin_loss_pct {ruin_loss_pct} in (0, 100]")


@compiled
def _walk_days(
    returns: Floats,
    starts: npt.NDArray[np.int32],
    block: int,
    shown: npt.NDArray[np.int64],
    ruin: float,
    figures: Floats,
    fan: Floats,
) -> None:
    """Fill `figures` (equity, drawdown, longest time under water, ruined; paths) and `fan` (points, paths)."""
    wanted = shown[-1]
    for path in range(starts.shape[0]):
        equity, peak, drawdown = 1.0, 1.0, 0.0
        under, longest, point, ruined = 0, 0, 0, 0.0
        at, left, number = 0, 0, 0
        for day in range(1, wanted + 1):
            if left == 0:
                at, left = starts[path, number], block
                number += 1
            equity *= 1.0 + returns[at]
            left -= 1
            at = at + 1 if at + 1 < returns.size else 0
            if equity >= peak:
                peak, under = equity, 0
            else:
                under += 1
                longest = max(longest, under)
                drawdown = min(drawdown, equity / peak - 1.0)
            if equity <= ruin:
                ruined = 1.0
            if day == shown[point]:
                fan[point, path] = equity
                point += 1
        figures[0, path], figures[1, path], figures[2, path], figures[3, path] = equity, drawdown, longest, ruined


@compiled
def _walk_trades(results: Floats, generator: np.random.Generator, ruin: float, shuffle: bool, figures: Floats) -> None:
    """Fill `figures` (drawdown, longest stretch under water, ruined; orders); each order shuffles the one before."""
    order = results.copy()
    for path in range(figures.shape[1]):
        if shuffle:
            for last in range(order.size - 1, 0, -1):
                other = int(generator.random() * (last + 1))
                order[last], order[other] = order[other], order[last]
        equity, peak, drawdown, ruined = 1.0, 1.0, 0.0, 0.0
        under, longest = 0, 0
        for result in order:
            equity += result
            if equity >= peak:
                peak, under = equity, 0
            else:
                under += 1
                longest = max(longest, under)
                drawdown = min(drawdown, equity / peak - 1.0)
            if equity <= ruin:
                ruined = 1.0
        figures[0, path], figures[1, path], figures[2, path] = drawdown, longest, ruined

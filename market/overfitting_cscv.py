"""Probability of backtest overfitting by combinatorially symmetric cross-validation.

Is the best of many strategies in sample also good out of sample? The periods are cut into an even number of blocks;
every half of the blocks is the sample once and the other half is what came after. (Bailey, Borwein, Lopez de Prado and
Zhu, 2017, "The Probability of Backtest Overfitting", Journal of Computational Finance.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from market.errors import MetricError

FloatArray = npt.NDArray[np.float64]

MAX_BLOCKS: Final = 20
"""184,756 splits; 22 blocks would make 705,432."""

_SPLITS_AT_ONCE: Final = 2048


@dataclass(frozen=True)
class BacktestOverfitting:
    """What became, out of sample, of the strategy that was best in sample.

    Attributes:
        probability: Share of splits whose chosen strategy did not beat the median out of sample (logit <= 0), 0-1.
            About 1/2 when no strategy is better than another, 0 when one always is.
        logits: ln(w / (1 - w)) of the chosen strategy's relative rank w = rank / (N + 1) out of sample, shape
            (splits,).
        in_sample: Sharpe ratio per period of the chosen strategy in sample, shape (splits,).
        out_of_sample: The same strategy's Sharpe ratio out of sample, shape (splits,).
        degradation: Slope of `out_of_sample` on `in_sample`; negative when a better sample promises less.
        probability_of_loss: Share of splits whose chosen strategy lost out of sample, 0-1.
        dominates: Whether choosing stochastically dominates (first order) picking a strategy at random: at every level
            of the Sharpe ratio at least as many of the chosen ones reach it out of sample.
    """

    probability: float
    logits: FloatArray
    in_sample: FloatArray
    out_of_sample: FloatArray
    degradation: float
    probability_of_loss: float
    dominates: bool


def probability_of_backtest_overfitting(returns: npt.NDArray[Any], *, blocks: int = 16) -> BacktestOverfitting:
    """Combinatorially symmetric cross-validation of the choice by Sharpe ratio.

    Args:
        returns: Returns per period, shape (periods, strategies), in time order; finite. At least two strategies, all
            tried ones: leaving out the poor ones hides the overfitting.
        blocks: Number S of blocks of equal length, even, 2 to `MAX_BLOCKS`; the oldest periods that do not fill a block
            are left out.

    Returns:
        One entry for each of the S! / (S/2)!^2 splits. Ties share their mean rank; a strategy without any variation in
        a half has the Sharpe ratio 0 there.

    Raises:
        MetricError: Ill-shaped or missing returns, an odd number of blocks, or fewer than two periods a block.
    """
    sums = _BlockSums.of(np.asarray(returns, dtype=np.float64), blocks)
    chosen_in, chosen_out, ranks, everyone = [], [], [], []
    for inside in _halves(blocks):
        in_sample, out_of_sample = sums.sharpe(inside), sums.sharpe(~inside)
        best = in_sample.argmax(axis=1)
        rows = np.arange(len(best))
        chosen_in.append(in_sample[rows, best])
        chosen_out.append(out_of_sample[rows, best])
        ranks.append(rankdata(out_of_sample, axis=1)[rows, best])
        everyone.append(out_of_sample.ravel())
    relative = np.concatenate(ranks) / (sums.strategies + 1)
    logits = np.log(relative / (1 - relative))
    inside_best, outside_best = np.concatenate(chosen_in), np.concatenate(chosen_out)
    return BacktestOverfitting(
        probability=float((logits <= 0).mean()),
        logits=logits,
        in_sample=inside_best,
        out_of_sample=outside_best,
        degradation=_slope(inside_best, outside_best),
        probability_of_loss=float((outside_best < 0).mean()),
        dominates=_dominates(outside_best, np.sort(np.concatenate(everyone))),
    )


@dataclass(frozen=True)
class _BlockSums:
    """Sums and sums of squares of every strategy in every block, shape (blocks, strategies)."""

    totals: FloatArray
    squares: FloatArray
    length: int

    @classmethod
    def of(cls, returns: FloatArray, blocks: int) -> _BlockSums:
        if returns.ndim != 2 or returns.shape[1] < 2 or not np.isfinite(returns).all():
            raise MetricError(
                f"returns {returns.shape} must be finite, of shape (periods, strategies), two strategies at least",
                remedy="give the returns of every strategy that was tried",
            )
        if blocks % 2 or not 2 <= blocks <= MAX_BLOCKS:
            raise MetricError(f"{blocks} blocks: an even number from 2 to {MAX_BLOCKS} is needed")
        length = len(returns) // blocks
        if length < 2:
            raise MetricError(
                f"{len(returns)} periods make no {blocks} blocks of two", remedy="give more periods, or fewer blocks"
            )
        recent = returns[len(returns) - length * blocks :]
        cut = recent.reshape(blocks, length, -1)
        return cls(cut.sum(axis=1), np.square(cut).sum(axis=1), length)

    @property
    def strategies(self) -> int:
        return int(self.totals.shape[1])

    def sharpe(self, inside: npt.NDArray[np.bool_]) -> FloatArray:
        """Sharpe ratios over the chosen blocks; `inside` is (splits, blocks), the answer (splits, strategies)."""
        weights = inside.astype(np.float64)
        count = self.length * inside.shape[1] // 2
        mean = weights @ self.totals / count
        spread = weights @ self.squares - count * np.square(mean)
        # below rounding there is no variation
        moving = spread > 1e-12 * (weights @ self.squares)
        deviation = np.sqrt(np.where(moving, spread, 1.0) / (count - 1))
        ratios: FloatArray = np.where(moving, mean / deviation, 0.0)
        return ratios


def _halves(blocks: int) -> Iterator[npt.NDArray[np.bool_]]:
    """All choices of half of the blocks as masks (splits, blocks), some thousands at a time."""
    choices = combinations(range(blocks), blocks // 2)
    while chunk := list(islice(choices, _SPLITS_AT_ONCE)):
        masks = np.zeros((len(chunk), blocks), dtype=bool)
        np.put_along_axis(masks, np.array(chunk), values=True, axis=1)
        yield masks


def _slope(x: FloatArray, y: FloatArray) -> float:
    """Least-squares slope of y on x; 0 when x does not vary."""
    centred = x - x.mean()
    spread = float(centred @ centred)
    return float(centred @ y) / spread if spread > 0 else 0.0


def _dominates(chosen: FloatArray, everyone_sorted: FloatArray) -> bool:
    """First-order stochastic dominance of one sample over another: its distribution function is nowhere above."""
    ours = np.sort(chosen)
    levels = np.concatenate((ours, everyone_sorted))
    below_ours = np.searchsorted(ours, levels, side="right") / ours.size
    below_theirs = np.searchsorted(everyone_sorted, levels, side="right") / everyone_sorted.size
    return bool((below_ours <= below_theirs + 1e-12).all())

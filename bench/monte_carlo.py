"""Benchmark `monte_carlo`: 10,000 paths of 500 days against quantstats' own simulation of the same returns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bench.measure import Comparison, best_of, growth_exponent, measured

NAME = "monte_carlo"
DAYS = 500
PATHS = {"small": (1_000, 4_000), "full": (10_000, 40_000)}
"""Paths at N, and at the larger number that shows the growth."""

REPEATS = 3


def run(size: str) -> Iterator[Comparison]:
    """Both at N; the larger number by ours. Compilation is excluded."""
    smaller, larger = PATHS[size]
    ours, grown = measured(ours_seconds, smaller), measured(ours_seconds, larger)
    theirs = measured(quantstats_seconds, smaller)
    growth = growth_exponent(ours, grown, larger / smaller)
    shape = f"{smaller:,} paths x {DAYS} days"
    yield Comparison(NAME, f"{size}: {shape}", ours, "quantstats", theirs, growth)
    yield Comparison(NAME, f"{size}: {larger:,} paths x {DAYS} days", grown, f"itself at {smaller:,}", ours, growth)


def ours_seconds(paths: int) -> float:
    """Blocks of days, with return, drawdown, time under water, loss, ruin and the fan."""
    from market.monte_carlo import bootstrap_days

    returns = daily_returns()
    bootstrap_days(returns, paths=2, block_days=10, ruin_loss_pct=50, seed=1)
    return best_of(REPEATS, lambda: bootstrap_days(returns, paths=paths, block_days=10, ruin_loss_pct=50, seed=1))


def quantstats_seconds(paths: int) -> float:
    """Single days shuffled; its terminal values, drawdowns, and chances of a bust and of a goal."""
    import pandas as pd
    import quantstats.stats as qs

    returns = pd.Series(daily_returns(), pd.bdate_range("2020-01-01", periods=DAYS))

    def simulate() -> None:
        done = qs.montecarlo(returns, sims=paths, bust=-0.5, goal=0.5, seed=1)
        _ = (done.stats, done.maxdd, done.bust_probability, done.goal_probability)

    simulate()
    return best_of(REPEATS, simulate)


def daily_returns() -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).standard_t(4, DAYS) * 0.008 + 0.0003

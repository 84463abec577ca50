"""What a step of the explanation scores, beside its base rate, its interval and the step before."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from configs.settings import Settings
from market.comparison import paired_bootstrap
from market.metrics import accuracy, base_rate
from market.statistics import block_bootstrap_accuracy_ci
from training.explain_steps import Construction

KEY = ["symbol", "datetime"]


@dataclass(frozen=True)
class Step:
    """What one construction scores; accuracies and base rates in percent, over bars after TEST with a label.

    Attributes:
        step: What was taken away.
        explanation: Why it was a fault.
        rows: Tested rows.
        accuracy: Percent right.
        base_rate: Share of the more frequent direction among the same rows: what always saying it would score.
        accuracy_ci_95: Block bootstrap by date.
        change: Points since the step before; None for the first one and for a control.
        change_ci_95: Paired block bootstrap by date; None where the steps did not test the same bars.
        is_control: It stands beside the steps, on a random walk.
    """

    step: str
    explanation: str
    rows: int
    accuracy: float
    base_rate: float
    accuracy_ci_95: tuple[float, float]
    change: float | None
    change_ci_95: tuple[float, float] | None
    is_control: bool


def scored(construction: Construction, tested: pl.DataFrame, before: pl.DataFrame | None, settings: Settings) -> Step:
    """Judge what a construction predicted.

    Args:
        construction: The step.
        tested: `symbol`, `datetime`, `actual` (0 or 1) and `up_probability` of every tested row.
        before: The same of the step before; None for the first one and for a control.
        settings: Bootstrap samples, block length, seed.
    """
    actual, probability = tested["actual"].to_numpy(), tested["up_probability"].to_numpy()
    chance = settings.evaluation
    interval = block_bootstrap_accuracy_ci(
        _hits(tested).to_numpy(),
        tested["datetime"].dt.date().to_numpy(),
        samples=chance.bootstrap_samples,
        block_days=chance.bootstrap_block_days,
        seed=chance.bootstrap_seed,
    )
    earlier = None if before is None else accuracy(before["actual"].to_numpy(), before["up_probability"].to_numpy())
    now = accuracy(actual, probability)
    return Step(
        step=construction.step,
        explanation=construction.explanation,
        rows=tested.height,
        accuracy=now,
        base_rate=base_rate(actual, probability),
        accuracy_ci_95=(interval.low, interval.high),
        change=None if earlier is None else now - earlier,
        change_ci_95=None if before is None else _change_interval(before, tested, settings),
        is_control=construction.is_control,
    )


def _change_interval(before: pl.DataFrame, after: pl.DataFrame, settings: Settings) -> tuple[float, float] | None:
    """95% interval of the change in points; None where the steps did not test the same bars, each of them once."""
    pairs = after.select(*KEY, now=_hits(after)).join(before.select(*KEY, then=_hits(before)), on=KEY)
    if not before.height == after.height == pairs.height:
        return None
    chance = settings.evaluation
    interval = paired_bootstrap(
        100.0 * (pairs["now"].cast(pl.Float64) - pairs["then"].cast(pl.Float64)).to_numpy(),
        pairs["datetime"].dt.date().to_numpy(),
        samples=chance.bootstrap_samples,
        block_days=chance.bootstrap_block_days,
        seed=chance.bootstrap_seed,
    )
    return interval.low, interval.high


def _hits(tested: pl.DataFrame) -> pl.Series:
    return (tested["up_probability"] >= 0.5) == (tested["actual"] == 1)

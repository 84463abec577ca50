"""Markets whose model is known to be as good as ever, or known to decay on a given day, as sums a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from market.sequential import DaySums

Floats = npt.NDArray[np.float64]
Decay = Literal["wrong", "unsure"]

_SERIES_AT_ONCE = 20


@dataclass(frozen=True)
class World:
    """How a simulated class behaves. The model is right with probability q, drawn between 0.5 and 0.7, mean 0.6.

    Attributes:
        name: Shown.
        rows: Predictions a day.
        lean: Share of UP among the predictions: the further from 1/2, the more the market's direction moves accuracy.
        market: Standard deviation of what a day's market adds to the probability of UP of every symbol.
        day_effect: Standard deviation of what a day adds to the probability of being right of every prediction.
        memory: Correlation of a day's effects with those of the day before.
    """

    name: str
    rows: int = 200
    lean: float = 0.5
    market: float = 0.0
    day_effect: float = 0.0
    memory: float = 0.0


@dataclass(frozen=True)
class Days:
    """Sums of each day, shape (series, days)."""

    hits: DaySums
    picks: DaySums
    misses: DaySums
    confidences: DaySums


def simulate(world: World, series: int, days: int, *, seed: int, decay: Decay | None = None, bad_from: int = 0) -> Days:
    """Predictions and outcomes of many series.

    Args:
        world: Its rules.
        series: Independent repetitions.
        days: Of each.
        seed: Of the random generator.
        decay: `wrong`: from day `bad_from` on the model is right with probability q - 0.1, as sure as before; `unsure`:
            its q lie between 0.49 and 0.51, and it is right with that probability. None: neither.
        bad_from: First bad day.
    """
    generator = np.random.default_rng(seed)
    parts = []
    for first in range(0, series, _SERIES_AT_ONCE):
        some = min(_SERIES_AT_ONCE, series - first)
        parts.append(_sums(world, some, days, generator, decay, bad_from))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    rows = columns[0]
    pairs = [columns[i : i + 2] for i in range(1, 9, 2)]
    return Days(*(DaySums(rows, total, squares) for total, squares in pairs))


def _sums(
    world: World, series: int, days: int, generator: np.random.Generator, decay: Decay | None, bad_from: int
) -> tuple[Floats, ...]:
    shape = (series, days, world.rows)
    is_bad = (decay is not None) & (np.arange(days) >= bad_from)[:, None]
    width = np.where(is_bad & (decay == "unsure"), 0.02, 0.2)
    sure = 0.5 + width.astype(np.float32) * _beta_2_2(generator, shape)
    calls_up = generator.random(shape, dtype=np.float32) < world.lean
    effects = world.day_effect * _effects(world, series, days, generator)
    market = world.market * _effects(world, series, days, generator)
    right_with = sure - np.where(is_bad & (decay == "wrong"), 0.1, 0.0) + effects + np.where(calls_up, market, -market)
    right = generator.random(shape, dtype=np.float32) < right_with
    return _summed(sure, calls_up, right)


def _beta_2_2(generator: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Beta(2, 2), the law of the median of three uniform numbers: quicker than drawing it as such."""
    a, b, c = (generator.random(shape, dtype=np.float32) for _ in range(3))
    low = np.minimum(a, b)
    np.maximum(a, b, out=a)
    return np.maximum(low, np.minimum(a, c, out=a), out=a)


def _summed(
    sure: npt.NDArray[np.float32], calls_up: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]
) -> tuple[Floats, ...]:
    """Rows of each day, then total and squares of hits, picks, misses and confidences."""
    n = float(sure.shape[-1])
    hits, up, went = right.sum(-1).astype(float), calls_up.sum(-1), (calls_up == right).sum(-1)
    beyond = hits - (up * went + (n - up) * (n - went)) / n
    inside = hits - hits**2 / n
    exact = sure.astype(np.float64)
    miss = np.square(np.where(right, 1 - exact, exact))
    return (
        np.full(hits.shape, n),
        *(hits, hits),
        *(beyond, inside + beyond**2 / n),
        *(miss.sum(-1), np.square(miss).sum(-1)),
        *(exact.sum(-1), np.square(exact).sum(-1)),
    )


def _effects(world: World, series: int, days: int, generator: np.random.Generator) -> Floats:
    """Standard normal effects of days, shape (series, days, 1)."""
    noise = generator.normal(size=(series, days, 1))
    for day in range(1, days):
        noise[:, day] = world.memory * noise[:, day - 1] + np.sqrt(1 - world.memory**2) * noise[:, day]
    return noise


WORLDS = (
    World("independent hits"),
    World("36 a day, independent", rows=36),
    World("day effect of 5 points", day_effect=0.05),
    World("market moves all symbols", lean=0.75, market=0.3),
    World("the same, days remember 0.15", lean=0.75, market=0.3, memory=0.15),
)
"""The last two have the spread of real stocks and ETFs: a day's accuracy varies by some 15 points."""

REFERENCE = WORLDS[0]

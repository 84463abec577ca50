"""Could the same signals at the wrong times have done as well? The null of a backtest by shuffled signals.

A shuffle moves every symbol's predictions along its own history, the end following on the start again (a circular
shift), all symbols by the same share of their histories. So each symbol keeps how often, on which side and in what
clusters it is traded, and symbols that were called together still are; only the connection with the prices of those
days is gone. What a shuffle earns is what exposure, drift and costs alone bring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from market.errors import MetricError
from market.monte_carlo import Percentiles


@dataclass(frozen=True)
class Null:
    """Where the real result stands among shuffled ones.

    Attributes:
        shuffles: Runs with shuffled signals.
        real: The real figure.
        shuffled: Percentiles of the shuffled figures.
        p_value: (1 + shuffled figures at least as large) / (1 + shuffles): chance of doing as well without any timing.
            Never below 1 / (1 + shuffles).
    """

    shuffles: int
    real: float
    shuffled: Percentiles
    p_value: float


def series_starts(*columns: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """First row of each series of sorted rows, and their number at the end; a series has one value in every column."""
    rows = len(columns[0])
    begins = np.zeros(rows, dtype=np.bool_)
    begins[:1] = True
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
    return np.append(np.flatnonzero(begins), rows).astype(np.int64)


def shift_shares(shuffles: int, seed: int) -> npt.NDArray[np.float64]:
    """Shares of a history, in [0, 1), by which shuffles move it, shape (shuffles,)."""
    shares: npt.NDArray[np.float64] = np.random.default_rng(seed).random(shuffles)
    return shares


def shifted_rows(starts: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.int64]:
    """For every row the row whose decision it is given.

    Args:
        starts: From `series_starts`, shape (series + 1,).
        share: In [0, 1): a series of n rows is moved by 1 + int(share x (n - 1)) rows, between 1 and n - 1.

    Returns:
        A permutation within each series, shape (rows,); a series of one row stays.
    """
    lengths = np.diff(starts)
    moves = np.where(lengths > 1, 1 + (share * (lengths - 1)).astype(np.int64), 0)
    first, length, move = (np.repeat(one, lengths) for one in (starts[:-1], lengths, moves))
    rows: npt.NDArray[np.int64] = first + (np.arange(starts[-1]) - first + move) % length
    return rows


def null_of(real: float | None, shuffled: npt.NDArray[Any]) -> Null | None:
    """Rank a figure among shuffled ones.

    Args:
        real: The real figure, larger is better; None where it is undefined.
        shuffled: Figures of the shuffles, NaN where undefined: those did nothing at all and count as 0.

    Returns:
        None without a real figure or without shuffles.

    Raises:
        MetricError: An infinite figure.
    """
    values = np.nan_to_num(np.asarray(shuffled, dtype=np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
    if not np.isfinite(values).all():
        raise MetricError("a shuffled figure is infinite")
    if real is None or not values.size:
        return None
    reached = int((values >= real).sum())
    return Null(values.size, real, Percentiles.of(values), (1 + reached) / (1 + values.size))

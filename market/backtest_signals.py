"""Predictions aligned with bars, and the signals that a strategy makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from market.backtest_columns import Floats, numbers, refuse
from market.backtest_input import Market
from market.backtest_keys import checked_keys, match
from market.errors import BacktestError

LABELS: Final = (
    "entry_signal",
    "entry_confidence",
    "entry_probability",
    "entry_growth_score",
    "trend_regime_at_entry",
)
"""Columns of predictions that are carried to the trade a signal becomes."""


@dataclass(frozen=True)
class Predictions:
    """Rows that a strategy turns into signals, and the bar each was made on.

    Attributes:
        row: Bar numbers in the market, ascending, shape (m,).
        frame: The rows as given, in the same order, height m.
    """

    row: npt.NDArray[np.int64]
    frame: pl.DataFrame


def align_predictions(market: Market, predictions: pl.DataFrame) -> Predictions:
    """Find the bar of every prediction by exact key.

    Args:
        market: The bars.
        predictions: `asset_type symbol datetime` and any other columns, sorted by the key.

    Raises:
        BacktestError: Keys are unsorted or twice, a prediction has no bar, or `entry_probability` is missing or outside
            [0, 1].
    """
    keys = checked_keys(predictions, "predictions")
    if "entry_probability" in predictions.columns:
        p = numbers(predictions, "entry_probability")
        refuse(~((p >= 0) & (p <= 1)), "entry_probability", "probability is missing or not in [0, 1]")
    return Predictions(match(keys, market.keys), predictions)


@dataclass(frozen=True)
class Signals:
    """Decisions made at the close of bars, at most one a bar.

    Attributes:
        row: Bar numbers in the market, strictly ascending, shape (m,).
        direction: 1 to be long, -1 to be short.
        strength: Finite, at least 0; the strongest are served first when not all can be.
        weight: In (0, 1]; multiplies the position's size.
        labels: Columns for the trade (see `LABELS`), height m; None for none.

    Raises:
        BacktestError: Arrays of unlike lengths or values outside these ranges.
    """

    row: npt.NDArray[np.int64]
    direction: npt.NDArray[np.int8]
    strength: Floats
    weight: Floats
    labels: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        """Refuse signals that have no meaning."""
        heights = {len(one) for one in (self.row, self.direction, self.strength, self.weight)}
        if len(heights) != 1 or (self.labels is not None and self.labels.height != len(self.row)):
            raise BacktestError(f"columns of signals have different lengths {sorted(heights)}", field="row")
        refuse(np.diff(self.row, prepend=-1) <= 0, "row", "bar numbers are not strictly ascending from 0")
        refuse(np.abs(self.direction) != 1, "direction", "direction is neither 1 nor -1")
        refuse(~(np.isfinite(self.strength) & (self.strength >= 0)), "strength", "strength is not a number >= 0")
        refuse(~((self.weight > 0) & (self.weight <= 1)), "weight", "weight is not in (0, 1]")

    @classmethod
    def from_directions(
        cls,
        predictions: Predictions,
        direction: npt.NDArray[Any],
        strength: npt.NDArray[Any] | None = None,
        weight: npt.NDArray[Any] | None = None,
    ) -> Signals:
        """Signals where the direction is not 0, with the labels of their predictions.

        Args:
            predictions: m rows.
            direction: 1, 0 or -1 for each, shape (m,).
            strength: For each, shape (m,); by default all alike.
            weight: For each, shape (m,); by default 1.
        """
        for name, values in (("direction", direction), ("strength", strength), ("weight", weight)):
            if values is not None and len(values) != len(predictions.row):
                raise BacktestError(f"{len(values)} values for {len(predictions.row)} predictions", field=name)
        chosen = np.flatnonzero(direction)
        labels = predictions.frame.select(name for name in LABELS if name in predictions.frame.columns)
        return cls(
            row=predictions.row[chosen],
            direction=np.asarray(direction)[chosen].astype(np.int8),
            strength=np.ones(chosen.size) if strength is None else np.asarray(strength, dtype=np.float64)[chosen],
            weight=np.ones(chosen.size) if weight is None else np.asarray(weight, dtype=np.float64)[chosen],
            labels=labels[chosen] if labels.width else None,
        )

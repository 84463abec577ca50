"""From probabilities to decisions: which predictions a strategy acts on, on which side, and how strongly.

Exits, sizes and limits are the engine's (`market.backtest_parameters`); this is the entry alone. The signal rules are
those of `market.signals`, which views, service and live inference use too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from market.errors import BacktestError
from market.signals import Confidence, StringArray, Thresholds, confidence, signal

EntryKind = Literal["confidence", "signal", "probability"]

ENTRY_KINDS: Final[tuple[EntryKind, ...]] = get_args(EntryKind)
CONFIDENCES: Final[tuple[Confidence, ...]] = get_args(Confidence)


def in_order(levels: Iterable[Confidence]) -> tuple[Confidence, ...]:
    """Confidence levels from HIGH to LOW, each once, so that the same choice is always written alike."""
    wanted = set(levels)
    return tuple(one for one in CONFIDENCES if one in wanted)


@dataclass(frozen=True)
class EntryRule:
    """Which predictions become signals.

    - `confidence`: those of the given confidence levels, in the predicted direction (up from 0.5 on).
    - `signal`: BUY long, SELL short, HOLD nothing.
    - `probability`: every prediction at least `edge` away from 0.5; its size grows with the distance and is whole from
      `full_edge` on.

    Attributes:
        kind: One of the three.
        levels: Confidence levels of `confidence`.
        edge: Smallest distance from 0.5 of `probability`, in [0, 0.5).
        full_edge: Distance at which its weight is 1, in (edge, 0.5].

    Raises:
        BacktestError: A value outside its range.
    """

    kind: EntryKind
    levels: tuple[Confidence, ...] = ("HIGH",)
    edge: float = 0.02
    full_edge: float = 0.10

    def __post_init__(self) -> None:
        """Refuse rules that act on nothing or that have no size."""
        if self.kind not in ENTRY_KINDS:
            raise BacktestError(
                f"unknown entry rule {self.kind!r}", field="kind", remedy=f"use one of {', '.join(ENTRY_KINDS)}"
            )
        if not self.levels or not set(self.levels) <= set(CONFIDENCES):
            raise BacktestError(
                f"confidence levels {list(self.levels)}", field="levels", remedy=f"use {', '.join(CONFIDENCES)}"
            )
        if not 0 <= self.edge < self.full_edge <= 0.5:
            raise BacktestError(
                f"edge {self.edge} and full_edge {self.full_edge} must satisfy 0 <= edge < full_edge <= 0.5",
                field="edge",
                remedy="give distances of a probability from 0.5",
            )


@dataclass(frozen=True)
class Decisions:
    """What a rule makes of n predictions of one asset class.

    Attributes:
        direction: 1 long, -1 short, 0 nothing, shape (n,).
        strength: Distance of the probability from 0.5, 0 to 1: the strongest are served first.
        weight: Share of a whole position, in (0, 1]; 1 where the rule knows no shares.
        entry_signal: BUY or SELL, with STRONG_ before it at HIGH confidence; by the predicted direction, also where the
            rule does nothing.
        entry_confidence: HIGH, MEDIUM or LOW.
    """

    direction: npt.NDArray[np.int8]
    strength: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    entry_signal: StringArray
    entry_confidence: StringArray


@dataclass(frozen=True)
class Called:
    """Signals and confidence levels as they were published, shape (n,); a replay acts on them."""

    signal: StringArray
    confidence: StringArray


def decide(
    rule: EntryRule, probability: npt.NDArray[Any], thresholds: Thresholds, called: Called | None = None
) -> Decisions:
    """Apply a rule to probabilities of UP.

    Args:
        rule: The entry rule.
        probability: In [0, 1], shape (n,); may be empty.
        thresholds: Of the asset class.
        called: What was published for these predictions, under the thresholds of their day; None: by `thresholds`.

    Raises:
        SignalError: A probability is missing or outside [0, 1].
    """
    p = np.asarray(probability, dtype=np.float64)
    levels = confidence(p, thresholds) if called is None else called.confidence
    side = np.where(p >= 0.5, 1, -1)
    distance = np.abs(p - 0.5)
    weight = np.ones(p.size)
    if rule.kind == "confidence":
        chosen = np.isin(levels, rule.levels)
    elif rule.kind == "signal":
        signals = signal(p, thresholds) if called is None else called.signal
        chosen = signals != "HOLD"
        side = np.where(signals == "SELL", -1, side)
    else:
        # Rounded, as the signal rules are: 0.55 - 0.5 lies above 0.05 by rounding alone, 0.45 below it.
        distance = np.round(distance, 12)
        chosen = (distance >= rule.edge) & (distance > 0)
        weight = np.clip(distance / rule.full_edge, np.finfo(np.float64).tiny, 1.0)
    strong = np.where(levels == "HIGH", "STRONG_", "")
    return Decisions(
        direction=np.where(chosen, side, 0).astype(np.int8),
        strength=2 * np.abs(p - 0.5),
        weight=weight,
        entry_signal=np.char.add(strong, np.where(side > 0, "BUY", "SELL")),
        entry_confidence=levels,
    )

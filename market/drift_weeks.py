"""What a week of bars looks like beside a baseline: the same figures for the newest week and for weeks of training.

Rows of one day move together and features remember yesterday, so the size of a difference says little by itself. What
it may be without anything being wrong is seen from weeks when nothing was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from market.drift import Floats
from market.drift_bars import companions
from market.drift_basis import Basis
from market.drift_grid import MISSING, Ruler

_PLACES = 1_000_000
"""More than there are days: with it symbol and day make one number."""

RELATED_ROWS = 2000
"""About so many bars of a week are enough to compare its features with each other."""

TREND_STATES = ("STRONG_UPTREND", "WEAK_UPTREND", "CONSOLIDATION", "WEAK_DOWNTREND", "STRONG_DOWNTREND")


@dataclass(frozen=True)
class CodedRows:
    """Bars with a full history, as codes of their features' rulers; n rows, p features.

    Attributes:
        codes: uint16 (n, p); see `Ruler.codes`.
        day: int64 (n,), days since 1970 of the bar's stamp.
        symbol: int64 (n,), any number that tells symbols apart.
        direction: float64 (n,), 1 up, 0 down, NaN while unknown.
        volatility_pct: float64 (n,), the average true range in percent of the price, NaN where unknown.
        trend: int8 (n,), index in `TREND_STATES`.
        prices: float64 (n, 4), see `market.drift_bars.PRICES`.
    """

    codes: npt.NDArray[np.uint16]
    day: npt.NDArray[np.int64]
    symbol: npt.NDArray[np.int64]
    direction: Floats
    volatility_pct: Floats
    trend: npt.NDArray[np.int8]
    prices: Floats

    def take(self, chosen: npt.NDArray[np.intp]) -> CodedRows:
        """Some rows."""
        return CodedRows(*(getattr(self, one.name)[chosen] for one in fields(self)))


@dataclass(frozen=True)
class Weeks:
    """Figures of w weeks with p features; NaN where a week knows no value.

    Attributes:
        rows: (w,) bars.
        missing: (w, p) share without a value.
        distance: (w, p) largest distance between the distribution functions of week and baseline, at the knots.
        modal: (w, p) share of the most common code among known ones.
        repeated: (w, p) share of bars with the code of their symbol's bar before, among those that have one.
        magnitude: (w, p) median absolute value.
        related: (w,) bars behind `mean` and `second`: with a past (`market.drift_bars`), and a bar of their symbol in
            the week before; of every n-th symbol only, when they are more than `RELATED_ROWS`.
        mean: (w, k) mean of the columns of a `Basis`; a missing score counts as 0.
        second: (w, k, k) mean products of the same.
        relation: (w, p) mean product of normal score and +1 (up) or -1 (down), each day's own mean direction removed.
        volatility_pct: (w,) median of the class.
        trend: (w, 5) share of each of `TREND_STATES`.
    """

    rows: npt.NDArray[np.int64]
    missing: Floats
    distance: Floats
    modal: Floats
    repeated: Floats
    magnitude: Floats
    related: npt.NDArray[np.int64]
    mean: Floats
    second: Floats
    relation: Floats
    volatility_pct: Floats
    trend: Floats

    def take(self, chosen: npt.NDArray[np.intp]) -> Weeks:
        """Some weeks."""
        return Weeks(*(getattr(self, one.name)[chosen] for one in fields(self)))


def measure_weeks(
    rows: CodedRows,
    rulers: Sequence[Ruler | None],
    firsts: npt.NDArray[np.int64],
    days: int = 7,
    basis: Basis | None = None,
) -> Weeks:
    """Measure the weeks that begin on the given days.

    Args:
        rows: In any order; bars of other days are left out.
        rulers: Of each feature; None where it has no baseline (its figures are NaN, its scores 0).
        firsts: First day of each week, days since 1970, ascending, not overlapping, shape (w,).
        days: Length of a week.
        basis: Columns for `mean` and `second`; without one there are none.
    """
    ordered = rows.take(in_order(rows))
    scores, magnitudes = score_tables(rulers), [np.zeros(1) if one is None else one.magnitudes() for one in rulers]
    side = _side(ordered)
    beside = companions(ordered.prices, ordered.symbol, ordered.day) if basis is not None else None
    measured = []
    for own, before in split_weeks(ordered, firsts, days):
        week = _measure_week(ordered.take(own), side[own], rulers, scores, magnitudes)
        columns = np.empty((0, 0))
        if basis is not None and beside is not None:
            columns = related_columns(ordered, own, before, basis, beside, scores)[1]
        measured.append(replace(week, **_moments(columns)))
    return Weeks(*(np.array([getattr(one, name.name) for one in measured]) for name in fields(Weeks)))


def joined_weeks(parts: Sequence[Weeks]) -> Weeks:
    """The weeks of several parts, one after the other; at least one part."""
    return Weeks(*(np.concatenate([getattr(one, name.name) for one in parts]) for name in fields(Weeks)))


def in_order(rows: CodedRows) -> npt.NDArray[np.intp]:
    """Positions of rows by symbol and day."""
    return np.lexsort((rows.day, rows.symbol))


def split_weeks(
    ordered: CodedRows, firsts: npt.NDArray[np.int64], days: int
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Positions of each week's rows, and of each one's symbol's last bar in the week before; -1 where it has none."""
    week = np.searchsorted(firsts, ordered.day, side="right") - 1
    week[ordered.day - firsts[np.maximum(week, 0)] >= days] = -1
    place = ordered.symbol * _PLACES + ordered.day
    for i, first in enumerate(firsts):
        own = np.flatnonzero(week == i)
        before = np.maximum(np.searchsorted(place, ordered.symbol[own] * _PLACES + first) - 1, 0)
        is_recent = (ordered.day[before] >= first - days) & (ordered.day[before] < first)
        yield own, np.where(is_recent & (ordered.symbol[before] == ordered.symbol[own]), before, -1)


def related_columns(
    ordered: CodedRows,
    own: npt.NDArray[np.intp],
    before: npt.NDArray[np.intp],
    basis: Basis,
    beside: Floats,
    scores: Sequence[Floats],
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Positions of a week's rows that can be compared with others, and their columns, shape (rows, k).

    Args:
        ordered: Rows by symbol and day.
        own: Positions of the week's.
        before: Positions of the bars before the week, or -1.
        basis: The columns.
        beside: Companions of all ordered rows.
        scores: Normal score of each code of each feature.
    """
    usable = np.flatnonzero((before >= 0) & ~np.isnan(beside[own, 0]))
    # whole symbols: every n-th row might be Mondays only
    _, number = np.unique(ordered.symbol[own[usable]], return_inverse=True)
    usable = usable[number % max(1, -(-usable.size // RELATED_ROWS)) == 0]
    if not usable.size or not basis.companions:
        return own[:0], np.zeros((0, basis.width))
    chosen = own[usable]
    return chosen, basis.values(ordered.codes[chosen], ordered.codes[before[usable]], beside[chosen], scores)


def _moments(columns: Floats) -> dict[str, Any]:
    count = max(1, len(columns))
    return {"related": len(columns), "mean": columns.sum(axis=0) / count, "second": columns.T @ columns / count}


def score_tables(rulers: Sequence[Ruler | None]) -> list[Floats]:
    """Normal score of each code of each feature; nothing but 0 without a baseline."""
    return [np.zeros(1) if one is None else one.scores() for one in rulers]


@dataclass(frozen=True)
class _Week:
    """`Weeks` of one week, without its first axis."""

    rows: int
    missing: Floats
    distance: Floats
    modal: Floats
    repeated: Floats
    magnitude: Floats
    relation: Floats
    volatility_pct: float
    trend: Floats
    related: int = 0
    mean: Floats = field(default_factory=lambda: np.empty(0))
    second: Floats = field(default_factory=lambda: np.empty((0, 0)))


def _measure_week(
    rows: CodedRows,
    side: Floats,
    rulers: Sequence[Ruler | None],
    scores: Sequence[Floats],
    magnitudes: Sequence[Floats],
) -> _Week:
    """One week, its rows sorted by symbol and day."""
    count, shape = rows.day.size, len(rulers)
    missing, distance, modal, repeated, magnitude, relation = (np.full(shape, np.nan) for _ in range(6))
    matured = ~np.isnan(side)
    follows = rows.symbol[1:] == rows.symbol[:-1]
    for f, one in enumerate(rulers):
        if one is None or count == 0:
            continue
        codes = rows.codes[:, f]
        known = codes != MISSING
        missing[f] = 1 - known.mean()
        if matured.any():
            judged = known & matured
            relation[f] = scores[f][np.minimum(codes[judged], scores[f].size - 1)] @ side[judged] / matured.sum()
        if not known.any():
            continue
        seen = np.bincount(codes[known], minlength=one.knots.size + 1)
        total = seen.sum()
        distance[f] = np.abs(np.cumsum(seen)[:-1] / total - one.upto).max()
        modal[f] = seen.max() / total
        magnitude[f] = _weighted_median(magnitudes[f], seen)
        pairs = follows & known[1:] & known[:-1]
        if pairs.any():
            repeated[f] = (codes[1:] == codes[:-1])[pairs].mean()
    volatility = rows.volatility_pct[~np.isnan(rows.volatility_pct)]
    return _Week(
        rows=count,
        missing=missing,
        distance=distance,
        modal=modal,
        repeated=repeated,
        magnitude=magnitude,
        relation=relation,
        volatility_pct=float(np.median(volatility)) if volatility.size else float("nan"),
        trend=np.bincount(rows.trend, minlength=len(TREND_STATES)) / max(1, count),
    )


def _side(rows: CodedRows) -> Floats:
    """+1 or -1 minus the mean of the day: the market's own direction is no relation to a feature. NaN while unknown."""
    side = 2 * rows.direction - 1
    known = ~np.isnan(side)
    _, day = np.unique(rows.day, return_inverse=True)
    count = np.bincount(day[known], minlength=day.max() + 1 if day.size else 0)
    # the mean of few symbols is mostly each one's own outcome
    mean = np.bincount(day[known], side[known], minlength=count.size) / np.maximum(count, 1) * (count >= 5)
    return side - mean[day] if day.size else side


def _weighted_median(values: Floats, counts: npt.NDArray[np.int64]) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(counts[order])
    return float(values[order[np.searchsorted(reached, (reached[-1] + 1) // 2)]])

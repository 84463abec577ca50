"""What a week of bars looks like beside a baseline: the same figures for the newest week and for weeks of training.

Rows of one day move together and features remember yesterday, so the size of a difference says little by itself. What
it may be without anything being wrong is seen from weeks when nothing was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from market.drift import Floats
from market.drift_grid import MISSING, Ruler

_PLACES = 1_000_000
"""More than there are days: with it symbol and day make one number."""

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
    """

    codes: npt.NDArray[np.uint16]
    day: npt.NDArray[np.int64]
    symbol: npt.NDArray[np.int64]
    direction: Floats
    volatility_pct: Floats
    trend: npt.NDArray[np.int8]

    def take(self, chosen: npt.NDArray[np.intp]) -> CodedRows:
        """Some rows."""
        return CodedRows(*(getattr(self, field.name)[chosen] for field in fields(self)))


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
        mean: (w, 2p) mean normal score of each feature, then of each on the symbol's last bar before the week; a
            missing value counts as 0.
        second: (w, 2p, 2p) mean products of the same.
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
    mean: Floats
    second: Floats
    relation: Floats
    volatility_pct: Floats
    trend: Floats

    def take(self, chosen: npt.NDArray[np.intp]) -> Weeks:
        """Some weeks."""
        return Weeks(*(getattr(self, field.name)[chosen] for field in fields(self)))


def measure_weeks(
    rows: CodedRows, rulers: Sequence[Ruler | None], firsts: npt.NDArray[np.int64], days: int = 7
) -> Weeks:
    """Measure the weeks that begin on the given days.

    Args:
        rows: In any order; bars of other days are left out.
        rulers: Of each feature; None where it has no baseline (its figures are NaN, its scores 0).
        firsts: First day of each week, days since 1970, ascending, not overlapping, shape (w,).
        days: Length of a week.
    """
    ordered = rows.take(in_order(rows))
    scores, magnitudes = score_tables(rulers), [np.zeros(1) if one is None else one.magnitudes() for one in rulers]
    side = _side(ordered)
    measured = [
        _measure_week(ordered.take(own), scored(ordered.codes[own], earlier, scores), side[own], rulers, magnitudes)
        for own, earlier in split_weeks(ordered, firsts, days)
    ]
    return Weeks(*(np.array([getattr(one, field.name) for one in measured]) for field in fields(Weeks)))


def in_order(rows: CodedRows) -> npt.NDArray[np.intp]:
    """Positions of rows by symbol and day."""
    return np.lexsort((rows.day, rows.symbol))


def split_weeks(
    ordered: CodedRows, firsts: npt.NDArray[np.int64], days: int
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.uint16]]]:
    """Of each week the positions of its rows, and the codes of each one's symbol on its last bar before the week."""
    week = np.searchsorted(firsts, ordered.day, side="right") - 1
    week[ordered.day - firsts[np.maximum(week, 0)] >= days] = -1
    place = ordered.symbol * _PLACES + ordered.day
    for i, first in enumerate(firsts):
        own = np.flatnonzero(week == i)
        before = np.maximum(np.searchsorted(place, ordered.symbol[own] * _PLACES + first) - 1, 0)
        is_recent = (ordered.day[before] >= first - days) & (ordered.day[before] < first)
        has_one = is_recent & (ordered.symbol[before] == ordered.symbol[own])
        yield own, np.where(has_one[:, None], ordered.codes[before], MISSING)


def score_tables(rulers: Sequence[Ruler | None]) -> list[Floats]:
    """Normal score of each code of each feature; nothing but 0 without a baseline."""
    return [np.zeros(1) if one is None else one.scores() for one in rulers]


def scored(codes: npt.NDArray[np.uint16], earlier: npt.NDArray[np.uint16], tables: Sequence[Floats]) -> Floats:
    """Normal scores of n rows and of the bars before, shape (n, 2p), 0 where missing."""
    found = np.zeros((len(codes), 2 * len(tables)))
    for half, given in enumerate((codes, earlier)):
        for f, table in enumerate(tables):
            known = given[:, f] != MISSING
            found[known, half * len(tables) + f] = table[np.minimum(given[known, f], table.size - 1)]
    return found


@dataclass(frozen=True)
class _Week:
    """`Weeks` of one week, without its first axis."""

    rows: int
    missing: Floats
    distance: Floats
    modal: Floats
    repeated: Floats
    magnitude: Floats
    mean: Floats
    second: Floats
    relation: Floats
    volatility_pct: float
    trend: Floats


def _measure_week(
    rows: CodedRows, score: Floats, side: Floats, rulers: Sequence[Ruler | None], magnitudes: Sequence[Floats]
) -> _Week:
    """One week, its rows sorted by symbol and day."""
    count, shape = rows.day.size, len(rulers)
    missing, distance, modal, repeated, magnitude = (np.full(shape, np.nan) for _ in range(5))
    follows = rows.symbol[1:] == rows.symbol[:-1]
    for f, one in enumerate(rulers):
        if one is None or count == 0:
            continue
        codes = rows.codes[:, f]
        known = codes != MISSING
        missing[f] = 1 - known.mean()
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
    matured = ~np.isnan(side)
    own = score[matured, :shape]
    volatility = rows.volatility_pct[~np.isnan(rows.volatility_pct)]
    return _Week(
        rows=count,
        missing=missing,
        distance=distance,
        modal=modal,
        repeated=repeated,
        magnitude=magnitude,
        mean=score.sum(axis=0) / max(1, count),
        second=score.T @ score / max(1, count),
        relation=own.T @ side[matured] / matured.sum() if matured.any() else np.full(shape, np.nan),
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

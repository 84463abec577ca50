"""Has something become worse, day after day? A sequential test that promises how rarely it is wrong.

Predictions of one day move together (the market's direction alone moves a day's accuracy by tens of points), so a day
is one observation, however many predictions it holds. A monitored day is ranked among the reference days and all days
since; where nothing changed, every order of the days is equally likely, whatever the days' distribution and whatever
ties their predictions together, so ranks / days are independent and uniform: conformal p-values. They are multiplied up
as bets against "nothing changed" and start anew whenever nothing was won: a CUSUM of a conformal test martingale.

The mean number of days until a false alarm is at least the threshold, and the chance of one within T days at most
T / threshold: the CUSUM lies below the Shiryaev-Roberts sum R, and R_t - t is a martingale. The mean of several CUSUMs
keeps this. (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson and Gammerman, "Retrain or not retrain: conformal test
martingales for change-point detection", 2021; Vovk, "Testing randomness online", 2021; Shin, Ramdas and Rinaldo,
"E-detectors", 2022.)

What the promise needs is that days are exchangeable where nothing changed. Days that resemble their neighbours weaken
it; `docs/detectors.md` says by how much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from market.errors import MetricError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Worse = Literal["low", "high"]

SHIFTS: Final = (0.5, 1.0, 2.0)
"""Bets on falls by so many standard deviations of a day; the shift of 1 also decides when an alarm is over."""

_RECOVERY = SHIFTS.index(1.0)

STAKE: Final = 0.9
"""Share of the stake that is bet; the rest is kept, so that one excellent day does not take back a week's evidence."""


@dataclass(frozen=True)
class DaySums:
    """What is known of each day: number, sum and sum of squares of its values; shape (..., days), days ascending.

    Attributes:
        rows: Values of each day, at least 1.
        total: Their sum.
        squares: Sum of their squares; of hits it equals `total`.
    """

    rows: Floats
    total: Floats
    squares: Floats

    def __post_init__(self) -> None:
        """Refuse sums that no values have."""
        shapes = {np.shape(self.rows), np.shape(self.total), np.shape(self.squares)}
        if len(shapes) != 1 or not np.ndim(self.rows):
            raise MetricError(f"rows, total and squares of days must have one shape, not {sorted(shapes)}")
        if not (np.isfinite(self.total).all() and np.isfinite(self.squares).all() and np.all(self.rows >= 1)):
            raise MetricError("sums of days must be finite, and every day needs a value", remedy="leave empty days out")

    def as_series(self) -> tuple[Floats, Floats, Floats]:
        """Rows, total and squares with the shape (series, days)."""
        days = np.shape(self.rows)[-1]
        rows, total, squares = (
            np.asarray(one, dtype=np.float64).reshape(-1, days) for one in (self.rows, self.total, self.squares)
        )
        return rows, total, squares


@dataclass(frozen=True)
class Watch:
    """What the test says after each monitored day; every array has the shape (..., monitored days).

    Attributes:
        evidence: Natural logarithm of the statistic; an alarm begins where it reaches that of the threshold.
        raised: Whether an alarm stands.
        changed: While it stands: position among all days at which the change probably began; else -1.
    """

    evidence: Floats
    raised: Bools
    changed: npt.NDArray[np.int64]


def watch(days: DaySums, start: int, *, threshold: float, worse: Worse) -> Watch:
    """Watch days for a lasting change to the worse.

    Before an alarm the reference grows with every day. From an alarm on it stays as it was before the change, so that a
    bad state does not become the new normal; the alarm's evidence is capped at the threshold, and the alarm is over
    when days like those of the reference have taken all of it back (about 2 x log(threshold) days).

    Args:
        days: The reference days, then the monitored ones.
        start: Number of reference days, at least 2.
        threshold: Mean number of days until a false alarm, at least; above 1.
        worse: Which side is worse.

    Returns:
        Of each monitored day what was known then: later days change nothing.

    Raises:
        MetricError: `start` or `threshold` out of range.
    """
    if not 2 <= start <= days.rows.shape[-1] or not threshold > 1:
        raise MetricError(f"{start} reference days of {days.rows.shape[-1]} and threshold {threshold:g} are no test")
    series = days.as_series()
    state = _State(series[0].shape[0], series[0].shape[1], start, float(np.log(threshold)))
    steps = []
    for day in range(start, days.rows.shape[-1]):
        rank, count = _rank(series, state.reference, day, worse)
        steps.append(state.after(log_bets(rank, count), day))
    shape = (*days.rows.shape[:-1], len(steps))
    columns = list(zip(*steps, strict=True)) or [()] * 3
    evidence, raised, changed = (
        np.stack(column, axis=-1).reshape(shape) if column else np.zeros(shape) for column in columns
    )
    return Watch(evidence, raised.astype(np.bool_), changed.astype(np.int64))


class _State:
    """The state of many series that are watched together, day by day."""

    def __init__(self, series: int, days: int, start: int, limit: float) -> None:
        self.reference: Bools = np.arange(days) < np.full((series, 1), start)
        self._limit = limit
        self._evidence = np.zeros((series, len(SHIFTS)))
        self._began = np.full((series, len(SHIFTS)), start)
        self._raised = np.zeros(series, dtype=np.bool_)
        self._left = np.zeros(series)
        self._changed = np.full(series, -1)

    def after(self, won: Floats, day: int) -> tuple[Floats, Bools, npt.NDArray[np.int64]]:
        """Evidence, alarms and their beginnings after one more day, on which the bets won so much."""
        self._began[self._evidence <= 0] = day
        self._evidence = np.maximum(self._evidence, 0) + won
        self._left = np.minimum(self._left + won[:, _RECOVERY], self._limit)
        recovered = self._raised & (self._left <= 0)
        evidence: Floats = np.logaddexp.reduce(self._evidence, axis=1) - np.log(len(SHIFTS))
        begins = ~self._raised & (evidence >= self._limit)
        strongest = self._evidence.argmax(axis=1)
        self._changed[begins] = self._began[np.arange(len(strongest)), strongest][begins]
        self._left[begins] = self._limit
        self._changed[recovered] = -1
        self._evidence[recovered] = 0
        self._raised = (self._raised | begins) & ~recovered
        self._keep_reference(day)
        return evidence, self._raised.copy(), self._changed.copy()

    def _keep_reference(self, day: int) -> None:
        """A day joins the reference unless an alarm stands; an alarm's own days leave it."""
        self.reference[:, day] = True
        since = np.arange(self.reference.shape[1]) >= self._changed[:, None]
        self.reference &= ~(self._raised[:, None] & since)


def log_bets(rank: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> Floats:
    """Logarithm of what each bet of `SHIFTS` multiplies the stake by, given a day's rank.

    A bet on a fall by d standard deviations pays 1 - s + s exp(-d z - d^2 / 2) at the normal quantile z of a uniform
    p-value, with s the `STAKE`: 1 on average. A rank r among n stands for all p-values between (r - 1) / n and r / n
    and pays their mean, 1 - s + s n (Phi(z(r / n) + d) - Phi(z((r - 1) / n) + d)); over all ranks that is 1 again.

    Args:
        rank: From 1, the worst, to `count`, shape (n,).
        count: Days that were ranked, likewise.

    Returns:
        Shape (n, len(SHIFTS)).
    """
    shifts = np.asarray(SHIFTS)
    until, before = (ndtr(ndtri(place / count)[:, None] + shifts) for place in (rank, rank - 1))
    bets: Floats = np.log(1 - STAKE + STAKE * count[:, None] * (until - before))
    return bets


def _rank(
    days: tuple[Floats, Floats, Floats], reference: Bools, day: int, worse: Worse
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rank of a day among the reference days and itself, and their number.

    Equal days all get the last of their ranks. Were they ranked by lot, ranks would be uniform and independent, and
    each bet would pay at least as much: so the promise holds, and no lot is drawn.
    """
    rows, total, squares = (one[:, : day + 1] for one in days)
    among = reference[:, : day + 1].copy()
    among[:, day] = True
    scores = day_scores(rows, total, squares, among)
    today = scores[:, day : day + 1]
    as_bad = scores <= today if worse == "low" else scores >= today
    return (as_bad & among).sum(axis=1), among.sum(axis=1)


def day_scores(rows: Floats, total: Floats, squares: Floats, among: Bools) -> Floats:
    """Distance of each day's mean from that of the days `among`, in standard deviations of such a day's mean.

    A function of the days `among` that does not depend on their order, which is what makes ranks of scores uniform.

    Args:
        rows: Values of each day, shape (series, days).
        total: Their sums.
        squares: Sums of their squares.
        among: The days that give mean and deviation, likewise.

    Returns:
        Shape (series, days); 0 where the days `among` do not differ at all.
    """
    mean, deviation = _mean_and_deviation(rows, total, squares, among)
    distance = total / rows - mean
    scores: Floats = np.divide(distance, deviation, out=np.zeros_like(distance), where=deviation > 0)
    return scores


def day_deviations(days: DaySums, start: int) -> Floats:
    """Standard deviation of each day's mean, if the day is like the first `start` days; shape as the days'.

    Raises:
        MetricError: Fewer than two days give it.
    """
    if not 2 <= start <= days.rows.shape[-1]:
        raise MetricError(f"{start} of {days.rows.shape[-1]} days give no deviation")
    rows, total, squares = days.as_series()
    _, deviation = _mean_and_deviation(
        rows, total, squares, np.broadcast_to(np.arange(rows.shape[1]) < start, rows.shape)
    )
    return deviation.reshape(np.shape(days.rows))


def _mean_and_deviation(rows: Floats, total: Floats, squares: Floats, among: Bools) -> tuple[Floats, Floats]:
    """Mean of the values of the days `among`, and the standard deviation that each day's mean has.

    With w the variance within days and b the variance between the days' true means (moments: DerSimonian and Laird,
    1986), the mean of a day of n values has variance b + w / n: days of few values are compared fairly with days of
    many, and where days have an effect of their own more values do not make them surer.
    """
    mean_of_day = total / rows
    weight = np.where(among, rows, 0.0)
    all_rows = weight.sum(axis=1, keepdims=True)
    mean = (weight * mean_of_day).sum(axis=1, keepdims=True) / all_rows
    count = among.sum(axis=1, keepdims=True)
    inside = np.where(among, np.maximum(squares - total * mean_of_day, 0), 0.0).sum(axis=1, keepdims=True)
    within = inside / np.maximum(all_rows - count, 1)
    spread = (weight * (mean_of_day - mean) ** 2).sum(axis=1, keepdims=True)
    effective = all_rows - (weight**2).sum(axis=1, keepdims=True) / all_rows
    between = np.maximum(spread - (count - 1) * within, 0) / np.maximum(effective, np.finfo(np.float64).tiny)
    return mean, np.sqrt(between + within / rows)

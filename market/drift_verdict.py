"""Which features drifted: every figure against weeks of training, all features of a class judged together.

The figures of p features are strongly correlated, and their number makes false alarms: so the largest one counts. Each
figure is divided by what is large for it in training, the largest of all features is taken for every week of training,
and the newest week has to exceed what those maxima exceed with a fifth of the stated rate, for there are five kinds of
figures (Westfall and Young, Resampling-Based Multiple Testing, 1993, step-down maxT, with weeks as resamples). Some
hundred maxima say little about their hundredth part themselves; the extreme value law that maxima follow does (Gumbel,
fitted by moments).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market.drift import Floats
from market.drift_basis import Basis
from market.drift_faults import Kind
from market.drift_relations import Deviations, Moments, cross_fitted, deviations, fit_adjustment
from market.drift_weeks import Weeks

FIGURES = ("distribution", "shift", "scale", "scatter", "jump")
"""Distance of distributions; shift, scale and spread beside the other features; shift beside them and the week before.

A jump tells that a slow feature moved, whose level alone may be anything; it is over when the next week has begun.
"""

_LARGE = 0.95
"""Quantile over the weeks of training that a figure is divided by ..."""
_LEAST_PART = 1 / 3
"""... or so much of the smallest difference that matters, if that is more: rare flags would rule the maxima."""
_SUSPECTS = 4
"""So many features that stand out most are considered as the cause."""


@dataclass(frozen=True)
class Rule:
    """How sure and how large a difference has to be.

    Attributes:
        false_alarm_rate: Chance that a class raises anything in a week like those of training.
        margin: A figure has to exceed its limit by this share more.
        least: Smallest difference that matters, in the order of `FIGURES`: distance (0-1), deviations, and logarithms
            of factors for scale and scatter.
    """

    false_alarm_rate: float
    margin: float
    least: tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Verdict:
    """What became of p features.

    Attributes:
        figures: (5, p) of the newest week, in the order of `FIGURES`; signed but for the first; NaN where not judged.
        limits: (5, p) absolute values that they may not exceed.
        usual: (p,) median distance of the weeks of training.
        drifted: (5, p) which figures exceed their limits.
    """

    figures: Floats
    limits: Floats
    usual: Floats
    drifted: npt.NDArray[np.bool_]

    def take(self, step: _Step, features: npt.NDArray[np.intp]) -> None:
        """Keep what a step says of some features beside the others."""
        self.figures[1:, features] = step.figures[1:, features]
        self.limits[1:, features] = step.limits[1:, features]

    def kinds(self, feature: int) -> tuple[Kind, ...]:
        """Names of what happened to a feature, the clearest first; empty when nothing did."""
        kinds: tuple[Kind, ...] = ("distribution", "shift", "scale", "scatter", "shift")
        excess = np.where(self.drifted[:, feature], np.abs(self.figures[:, feature]) / self.limits[:, feature], 0.0)
        return tuple(dict.fromkeys(kinds[i] for i in np.argsort(-excess, kind="stable") if excess[i] > 0))


@dataclass(frozen=True)
class Evidence:
    """What a week is judged by.

    Attributes:
        week: Figures of one week.
        usual: Figures of w weeks of training.
        block: Neighbouring weeks have one number, shape (w,), at least two numbers.
        basis: Columns of their moments.
        rule: Rate, margin and smallest differences.
    """

    week: Weeks
    usual: Weeks
    block: npt.NDArray[np.intp]
    basis: Basis
    rule: Rule


def judge_features(given: Evidence, related: npt.NDArray[np.bool_]) -> Verdict:
    """Judge the newest week by weeks of training.

    Args:
        given: The week, weeks of training, and the rule.
        related: Features that are compared with each other: measured, neither constant nor computed from others, and
            without a fault, shape (p,).
    """
    shape = (len(FIGURES), related.size)
    verdict = Verdict(
        figures=np.full(shape, np.nan),
        limits=np.full(shape, np.nan),
        usual=_quantile(given.usual.distance, 0.5),
        drifted=np.zeros(shape, bool),
    )
    verdict.figures[0] = given.week.distance[0]
    active = related.copy()
    step = _Step(given, active)
    while active.any() and step.worst > 1:
        # one broken feature spoils the predictions of the others: the cause is the one without which least is left
        suspects = np.argsort(-step.excess[1:].max(axis=0), kind="stable")[: min(_SUSPECTS, int(active.sum()))]
        without = [_Step(given, active & (np.arange(active.size) != one)) for one in suspects]
        cause = int(np.argmin([one.worst for one in without]))
        verdict.take(step, np.array([suspects[cause]]))
        verdict.drifted[1:, suspects[cause]] = _exceeding(step.excess[1:, suspects[cause]])
        active[suspects[cause]] = False
        step = without[cause]
    verdict.take(step, np.flatnonzero(active))
    verdict.limits[0] = step.limits[0]
    verdict.drifted[0] = np.nan_to_num(verdict.figures[0] / verdict.limits[0]) > 1
    return verdict


def _exceeding(excess: Floats) -> npt.NDArray[np.bool_]:
    """Figures over their limits, the furthest one in any case: its feature was found to be the cause."""
    over = excess > 1
    over[np.argmax(excess)] = True
    return over


class _Step:
    """Figures and limits with the features that still predict each other."""

    def __init__(self, given: Evidence, active: npt.NDArray[np.bool_]) -> None:
        week, usual, rule = given.week, given.usual, given.rule
        count, features = len(usual.rows), active.size
        weeks = np.full((len(FIGURES), count, features), np.nan)
        self.figures = np.full((len(FIGURES), features), np.nan)
        weeks[0], self.figures[0] = usual.distance, week.distance[0]
        if active.any():
            chosen, measured = np.flatnonzero(active), active[given.basis.features]
            found, newest = [], []
            for with_before in (False, True):
                columns = given.basis.columns(measured, with_before=with_before)
                own = given.basis.own(measured, with_before=with_before)
                moments = moments_of(usual).only(columns)
                found.append(cross_fitted(moments, given.block, own))
                newest.append(deviations(moments_of(week).only(columns), fit_adjustment(moments, own)))
            weeks[1:, :, chosen] = _stacked(*found)
            self.figures[1:, chosen] = _stacked(*newest)[:, 0]
        least = np.array(rule.least)[:, None]
        large = np.fmax(_quantile(np.abs(weeks), _LARGE), least * _LEAST_PART)
        # a family of figures each: distances have heavier tails than shifts, which they would make blind
        largest = np.nanmax(np.abs(weeks) / large[:, None], axis=2, initial=0.0)
        exceeded = [_exceeded_at(of_figure, rule.false_alarm_rate / len(FIGURES)) for of_figure in largest]
        factor = np.maximum(1.0, exceeded)[:, None] * (1 + rule.margin)
        self.limits = np.fmax(large * factor, least)
        self.excess: Floats = np.nan_to_num(np.abs(self.figures) / self.limits)

    @property
    def worst(self) -> float:
        """The largest excess of any feature beside the others."""
        return float(self.excess[1:].max(initial=0.0))


def moments_of(weeks: Weeks) -> Moments:
    """Of the rows that can be compared with others."""
    return Moments(weeks.related, weeks.mean, weeks.second)


def _stacked(beside: Deviations, since: Deviations) -> Floats:
    return np.stack([beside.shift, beside.log_scale, beside.log_spread, since.shift])


def _exceeded_at(maxima: Floats, rate: float) -> float:
    """What the Gumbel law with the mean and deviation of `maxima` exceeds with probability `rate`."""
    scale = float(np.std(maxima, ddof=1)) * np.sqrt(6) / np.pi
    location = float(np.mean(maxima)) - np.euler_gamma * scale
    return float(location - scale * np.log(-np.log1p(-rate)))


def _quantile(values: Floats, level: float) -> Floats:
    """Over weeks, the last axis but one; NaN for a feature that no week knows."""
    known = ~np.isnan(values).all(axis=-2)
    found = np.full(known.shape, np.nan)
    moved = np.moveaxis(values, -2, -1)
    found[known] = np.nanquantile(moved[known], level, axis=-1)
    return found

"""The verdict about a class's newest bars: faults, drifted features, market regime, relation to the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from configs.settings import Settings
from market.drift import summarize
from market.drift_explain import Explanation
from market.drift_faults import Fault, Judged, Kind, find_faults
from market.drift_grid import Ruler
from market.drift_regime import RegimeShift, RelationChange, relation_changes, trend_shift, volatility_shift
from market.drift_verdict import Evidence, Rule, Verdict, judge_features
from market.drift_weeks import CodedRows, Weeks, measure_weeks
from monitoring.drift_baseline import WEEK_DAYS, Baseline
from monitoring.drift_read import NewestBars
from monitoring.drift_suspects import explanations

_BREAKS_RELATIONS = frozenset({"unit change", "stuck value", "missing values"})
_COMPARABLE_SHARE = 0.5
"""Of a usual week's bars: with fewer, figures scatter more than those of the weeks they are compared with."""
_MOST_COMMON = 0.85
_UNRELATED = "{} bars of the newest 7 days have a gapless past: features are not compared with each other"


@dataclass(frozen=True)
class FeatureVerdict:
    """What was found of one feature.

    Attributes:
        name: The feature.
        kinds: Names of what is wrong, the gravest first; empty when nothing is.
        faults: Faults of the data behind some of the kinds.
        distance: Kolmogorov-Smirnov distance of the bars with a full history.
        distance_limit: What it may not exceed; None when distributions were not judged.
        usual_distance: Median of weeks of training.
        shift: Displacement beside the other features, in deviations; None where it was not judged.
        shift_limit: What its absolute value may not exceed.
        log_scale: Logarithm of the change of scale beside the other features.
        log_scale_limit: What its absolute value may not exceed.
        log_scatter: Logarithm of the change of the spread beside the other features.
        log_scatter_limit: What its absolute value may not exceed.
        jump: Displacement beside the other features and the week before, in deviations.
        jump_limit: What its absolute value may not exceed.
        reason: What seems to have been done to it.
    """

    name: str
    kinds: tuple[Kind, ...]
    faults: tuple[Fault, ...] = ()
    distance: float | None = None
    distance_limit: float | None = None
    usual_distance: float | None = None
    shift: float | None = None
    shift_limit: float | None = None
    log_scale: float | None = None
    log_scale_limit: float | None = None
    log_scatter: float | None = None
    log_scatter_limit: float | None = None
    jump: float | None = None
    jump_limit: float | None = None
    reason: Explanation | None = None

    @property
    def drifted(self) -> bool:
        """Anything is wrong with it."""
        return bool(self.kinds)

    @property
    def is_fault(self) -> bool:
        """The data are broken, rather than the market another one."""
        return bool(self.faults)


@dataclass(frozen=True)
class Judgement:
    """Everything that was judged of a class's newest bars.

    Attributes:
        model_version: The champion they were compared with.
        features: Features that could be judged.
        volatility: Of the market; None when not judged, as the others.
        trend: Of the market.
        relations: Of each feature in `related` to the outcome.
        related: Their names.
        weeks: Weeks of training behind the verdict.
        notes: What could not be judged and why.
    """

    model_version: str
    features: tuple[FeatureVerdict, ...] = ()
    volatility: RegimeShift | None = None
    trend: RegimeShift | None = None
    relations: RelationChange | None = None
    related: tuple[str, ...] = ()
    weeks: int = 0
    notes: tuple[str, ...] = ()

    def drifted(self, name: str) -> bool | None:
        """The verdict about a feature; None when there is none."""
        return next((one.drifted for one in self.features if one.name == name), None)


def judge_bars(settings: Settings, baseline: Baseline, bars: NewestBars, is_newest: npt.NDArray[np.bool_]) -> Judgement:
    """Judge the newest week of bars with a full history.

    Args:
        settings: Section `drift`.
        baseline: Of the champion; its features are the first columns of `bars`.
        bars: The newest weeks.
        is_newest: Which rows belong to the newest week, shape (n,).
    """
    features, chosen = baseline.key.features, settings.drift
    rows = bars.coded.take(np.flatnonzero(bars.is_warm))
    is_judged = is_newest & bars.is_warm
    count, weeks = int(is_judged.sum()), len(baseline.usual.rows)
    unjudged = Judgement(baseline.key.model_version, weeks=weeks)
    if count < chosen.min_rows:
        return _with(unjudged, f"{count} bars with a full history in the newest 7 days, {chosen.min_rows} are needed")
    if weeks < chosen.min_reference_weeks:
        return _with(
            unjudged,
            f"{weeks} full weeks of training tell too little about a usual one, {chosen.min_reference_weeks} do",
        )
    last = int(bars.day.max())
    rows = _of_features(rows, len(features))
    week = measure_weeks(rows, baseline.rulers, np.array([last - WEEK_DAYS + 1]), WEEK_DAYS, baseline.basis)
    notes = [*_feature_notes(baseline), *_size_notes(week, baseline.usual)]
    faults = _faults(baseline, bars, is_judged)
    is_comparable = not _size_notes(week, baseline.usual)
    related = _related(baseline, faults, week)
    given = Evidence(week, baseline.usual, baseline.block, baseline.basis, _rule(settings))
    verdict = judge_features(given, related) if is_comparable else None
    if verdict is not None and not related.any():
        notes.append(_UNRELATED.format(int(week.related[0])))
    reasons = (
        explanations(baseline, rows, bars.values[bars.is_warm], verdict, related, last - WEEK_DAYS + 1)
        if verdict is not None
        else {}
    )
    relations = _relations(settings, baseline, rows, last)
    return Judgement(
        model_version=baseline.key.model_version,
        features=tuple(
            _feature(name, i, faults[i], verdict, reasons.get(i))
            for i, name in enumerate(features)
            if baseline.rulers[i] is not None
        ),
        volatility=_volatility(settings, week, baseline.usual),
        trend=trend_shift(week.trend[0], baseline.usual.trend, chosen.regime_margin),
        relations=relations,
        related=features,
        weeks=weeks,
        notes=tuple(notes),
    )


def _with(judgement: Judgement, note: str) -> Judgement:
    return Judgement(judgement.model_version, weeks=judgement.weeks, notes=(f"drift is not judged: {note}",))


def _of_features(rows: CodedRows, count: int) -> CodedRows:
    return replace(rows, codes=rows.codes[:, :count])


def _feature_notes(baseline: Baseline) -> list[str]:
    empty = [name for name, one in zip(baseline.key.features, baseline.rulers, strict=True) if one is None]
    constant = [
        name for name, one in zip(baseline.key.features, baseline.rulers, strict=True) if one and one.is_constant
    ]
    notes = []
    if empty:
        notes.append(f"no training row has a value, so there is no baseline: {', '.join(empty)}")
    if constant:
        notes.append(f"constant in training, so only another value can be noticed: {', '.join(constant)}")
    return notes


def _size_notes(week: Weeks, usual: Weeks) -> list[str]:
    now, median = int(week.rows[0]), float(np.median(usual.rows))
    if now >= _COMPARABLE_SHARE * median:
        return []
    return [f"{now} bars in the newest 7 days where a week of training has {median:.0f}: only faults are judged"]


def _faults(baseline: Baseline, bars: NewestBars, is_judged: npt.NDArray[np.bool_]) -> list[tuple[Fault, ...]]:
    symbol = bars.coded.symbol[is_judged]
    follows = symbol[1:] == symbol[:-1]
    found: list[tuple[Fault, ...]] = []
    for column, (name, one) in enumerate(zip(baseline.key.features, baseline.rulers, strict=True)):
        if one is None:
            found.append(())
            continue
        values = bars.values[is_judged, column]
        known = np.sort(values[~np.isnan(values)])
        pairs = follows & ~np.isnan(values[1:]) & ~np.isnan(values[:-1])
        given = Judged(
            name=name,
            values=known,
            current=summarize(known, values.size - known.size),
            baseline=baseline.summaries[column],
            ruler=one,
            modal=float(np.unique(known, return_counts=True)[1].max() / known.size) if known.size else float("nan"),
            repeated=float((values[1:] == values[:-1])[pairs].mean()) if pairs.any() else float("nan"),
            missing=1 - known.size / values.size,
            usual=baseline.usual,
            column=column,
        )
        found.append(tuple(find_faults(given)))
    return found


def _rule(settings: Settings) -> Rule:
    chosen, least = settings.drift, settings.drift.least
    scale, scatter = float(np.log(least.scale_factor)), float(np.log(least.scatter_factor))
    smallest = (least.distance, least.shift_sd, scale, scatter, least.shift_sd)
    return Rule(chosen.false_alarm_rate, chosen.margin, smallest)


def _related(baseline: Baseline, faults: Sequence[tuple[Fault, ...]], week: Weeks) -> npt.NDArray[np.bool_]:
    """Features that are compared with each other: unbroken measurements; none when too few bars have a past."""
    found = np.zeros(len(faults), bool)
    usual = baseline.usual.related
    if baseline.basis.companions and week.related[0] >= max(1.0, _COMPARABLE_SHARE * float(np.median(usual))):
        found[baseline.basis.features] = True
    for column, faulty in enumerate(faults):
        found[column] &= not any(fault.kind in _BREAKS_RELATIONS for fault in faulty)
    return found


def _feature(
    name: str, column: int, faults: tuple[Fault, ...], verdict: Verdict | None, reason: Explanation | None
) -> FeatureVerdict:
    kinds: tuple[Kind, ...] = tuple(fault.kind for fault in faults)
    if verdict is None:
        return FeatureVerdict(name, kinds, faults)
    seen = verdict.kinds(column)
    # what lost its relation to the others has no size
    if reason is not None and seen[:1] != ("scatter",):
        # what one change explains needs no other names
        rest = seen if reason.left > 1 else tuple(kind for kind in seen if kind == "distribution")
        seen = (reason.kind, *rest)
    figures, limits = ([_known(value) for value in given[:, column]] for given in (verdict.figures, verdict.limits))
    return FeatureVerdict(
        name,
        tuple(dict.fromkeys((*kinds, *seen))),
        faults,
        *(figures[0], limits[0], _known(verdict.usual[column])),
        *(figures[1], limits[1], figures[2], limits[2], figures[3], limits[3], figures[4], limits[4]),
        reason=reason,
    )


def _volatility(settings: Settings, week: Weeks, usual: Weeks) -> RegimeShift | None:
    now = float(week.volatility_pct[0])
    if not now > 0 or not (usual.volatility_pct > 0).any():
        return None
    return volatility_shift(now, usual.volatility_pct, settings.drift.regime_margin)


def _relations(settings: Settings, baseline: Baseline, rows: CodedRows, last: int) -> RelationChange | None:
    chosen = settings.drift
    firsts = last + 1 - WEEK_DAYS * np.arange(chosen.block_weeks, 0, -1)
    recent = measure_weeks(rows, baseline.rulers, firsts, WEEK_DAYS)
    known = np.isfinite(recent.relation).any(axis=1)
    if known.sum() < (chosen.block_weeks + 1) // 2 or np.unique(baseline.block).size < 3:
        return None
    return relation_changes(
        np.where(_rare(baseline.rulers), np.nan, recent.relation),
        baseline.usual.relation,
        baseline.block,
        rate=chosen.false_alarm_rate,
        least=chosen.least.relation,
    )


def _rare(rulers: Sequence[Ruler | None]) -> npt.NDArray[np.bool_]:
    """Features that nearly always have one value: a few bars decide a week's mean product, which is far from normal."""
    shares = [
        float(np.diff(ruler.upto, prepend=0.0).max()) if ruler is not None and ruler.is_discrete else 0.0
        for ruler in rulers
    ]
    return np.array(shares) > _MOST_COMMON


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

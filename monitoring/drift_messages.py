"""What drift monitoring says to people."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from market.drift_faults import Kind
from market.drift_regime import RegimeShift
from monitoring.conditions import Condition, Moment, Severity
from monitoring.drift_judge import FeatureVerdict, Judgement

VOLATILITY, TREND = "volatility_regime", "trend_regime"
RELATION = "relation:{}"

_REPAIR = (
    "Look for a change in the source of the bars before anything else; repair it and run `tradehits features`. Do not "
    "retrain on broken data: the model would learn them."
)
_WATCH = (
    "Compare accuracy and the edge since then (v_model_monitoring_dashboard). If it fell too, retrain; if the feed "
    "changed, repair it first."
)


def conditions_of(moment: Moment, judgement: Judgement | None) -> list[Condition]:
    """Every judged feature, regime and relation, raised or clear."""
    if judgement is None:
        return []
    return [
        *(_feature(moment, judgement, one) for one in judgement.features),
        *_regimes(moment, judgement),
        *_relations(moment, judgement),
    ]


def notes_of(moment: Moment, judgement: Judgement | None) -> tuple[str, ...]:
    """What could not be judged, with the class in front."""
    return () if judgement is None else tuple(f"{moment.asset_type}: {note}" for note in judgement.notes)


def _feature(moment: Moment, judgement: Judgement, found: FeatureVerdict) -> Condition:
    severity: Severity | None = None
    if found.drifted:
        severity = "CRITICAL" if found.is_fault else "WARNING"
    value, limit, usual = _figures(found)
    what = "; ".join(_sentences(found))
    return Condition(
        asset_type=moment.asset_type,
        alert_type="FEATURE_DRIFT",
        metric_name=found.name,
        severity=severity,
        current_value=value,
        threshold_value=limit,
        baseline_value=usual,
        message=f"{found.name} of {moment.asset_type} is not what {judgement.model_version} was trained on: {what}"
        if found.drifted
        else f"{found.name} of {moment.asset_type} is as in the training data of {judgement.model_version}",
        remedy=(_REPAIR if found.is_fault else _WATCH) if found.drifted else "",
        features=(found.name,),
    )


def _sentences(found: FeatureVerdict) -> Iterator[str]:
    yield from (fault.detail for fault in found.faults)
    named = {fault.kind for fault in found.faults}
    for kind in found.kinds:
        if kind not in named:
            yield _SENTENCES[kind](found)


def _shift(found: FeatureVerdict) -> str:
    value, limit, is_jump = _displacement(found)
    beside = "the other features and the week before" if is_jump else "the other features of the same bars"
    reason = found.reason
    amount = f", as if {reason.amount:+.2f} had been added" if reason is not None and reason.kind == "shift" else ""
    return f"shift: {value:+.2f} deviations from what {beside} say, at most {limit:.2f} is usual{amount}"


def _displacement(found: FeatureVerdict) -> tuple[float, float, bool]:
    """The displacement that exceeds its limit most, the limit, and whether it is the one since the week before."""
    shift, limit = found.shift or 0.0, found.shift_limit or np.inf
    jump, jump_limit = found.jump or 0.0, found.jump_limit or np.inf
    is_jump = abs(jump) / jump_limit > abs(shift) / limit
    return (jump, jump_limit, True) if is_jump else (shift, limit, False)


def _scale(found: FeatureVerdict) -> str:
    factor, limit = np.exp(found.log_scale or 0), np.exp(found.log_scale_limit or 0)
    if found.reason is not None and found.reason.kind == "scale":
        return (
            f"scale: as if every value were x{found.reason.amount:.2f}, judged by the other features of the same bars"
        )
    return f"scale: x{factor:.2f} beside the other features, at most x{limit:.2f} (or its inverse) is usual"


def _scatter(found: FeatureVerdict) -> str:
    factor, limit = np.exp(found.log_scatter or 0), np.exp(found.log_scatter_limit or 0)
    return f"scatter: x{factor:.2f} around what the other features say, at most x{limit:.2f} is usual"


def _distribution(found: FeatureVerdict) -> str:
    return (
        f"distribution: Kolmogorov-Smirnov distance {found.distance or 0:.2f}, at most {found.distance_limit or 0:.2f} "
        f"is usual and {found.usual_distance or 0:.2f} typical"
    )


_SENTENCES = {"shift": _shift, "scale": _scale, "scatter": _scatter, "distribution": _distribution}


def _figures(found: FeatureVerdict) -> tuple[float | None, float | None, float | None]:
    """The figure behind the first kind, its limit, and what is usual."""
    if found.faults:
        worst = found.faults[0]
        return worst.value, worst.limit, worst.usual
    first: Kind = found.kinds[0] if found.kinds else "distribution"
    if first == "shift":
        moved, most, _ = _displacement(found)
        return moved, float(np.copysign(most, moved)), 0.0
    if first == "scale":
        reason = found.reason
        explained = reason is not None and reason.kind == "scale"
        log_scale = float(np.log(reason.amount)) if reason is not None and explained else found.log_scale
        return _factors(log_scale, found.log_scale_limit)
    if first == "scatter":
        return _factors(found.log_scatter, found.log_scatter_limit)
    return found.distance, found.distance_limit, found.usual_distance


def _factors(log: float | None, limit: float | None) -> tuple[float, float, float]:
    return float(np.exp(log or 0)), float(np.exp(np.copysign(limit or 0, log or 0))), 1.0


def _regimes(moment: Moment, judgement: Judgement) -> Iterator[Condition]:
    if judgement.volatility is not None:
        one = judgement.volatility
        side = "above" if one.now > one.usual else "below"
        yield _regime(
            moment,
            VOLATILITY,
            one,
            f"volatility of {moment.asset_type}: the typical range of a day is {one.now:.2f}% of the price, {side} "
            f"every week of training ({one.usual:.2f}% is usual, {one.limit:.2f}% the limit)",
        )
    if judgement.trend is not None:
        one = judgement.trend
        yield _regime(
            moment,
            TREND,
            one,
            f"trend states of {moment.asset_type}: {one.now:.0%} of the bars are in another state than usual, "
            f"{one.usual:.0%} in a typical week of training, at most {one.limit:.0%}",
        )


def _regime(moment: Moment, metric: str, found: RegimeShift, message: str) -> Condition:
    return Condition(
        asset_type=moment.asset_type,
        alert_type="REGIME_CHANGE",
        metric_name=metric,
        severity="WARNING" if found.is_shift else None,
        current_value=found.now,
        threshold_value=found.limit,
        baseline_value=found.usual,
        message=message if found.is_shift else f"{metric} of {moment.asset_type} is within that of training",
        remedy="The model has not seen such a market: trade smaller until its record shows how it does."
        if found.is_shift
        else "",
    )


def _relations(moment: Moment, judgement: Judgement) -> Iterator[Condition]:
    found = judgement.relations
    if found is None:
        return
    for i, name in enumerate(judgement.related):
        if not np.isfinite(found.p_value[i]):
            continue
        now, usual, reach = float(found.recent[i]), float(found.usual[i]), float(found.reach[i])
        changed = bool(found.changed[i])
        yield Condition(
            asset_type=moment.asset_type,
            alert_type="CONCEPT_DRIFT",
            metric_name=RELATION.format(name),
            severity="WARNING" if changed else None,
            current_value=now,
            threshold_value=usual + float(np.copysign(reach, now - usual)),
            baseline_value=usual,
            message=f"{name} of {moment.asset_type} says something else about the next bar than in the training of "
            f"{judgement.model_version}: relation {now:+.3f} where {usual:+.3f} was usual, give or take {reach:.3f}"
            if changed
            else f"{name} of {moment.asset_type} relates to the next bar as in training",
            remedy="Retrain: what the model learned from this feature no longer holds." if changed else "",
            features=(name,),
        )

"""What a report says: the verdict of the tables, what Evidently says about the same, and why the two may differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Literal

from configs.reports import DISTANCE, P_VALUE_METHODS
from configs.settings import Settings
from monitoring.conditions import Condition
from monitoring.detectors_estimate import ESTIMATE
from monitoring.reports_data import DriftData, Measured, PerformanceData
from monitoring.reports_names import title_of
from monitoring.rules import Judged

if TYPE_CHECKING:
    from monitoring.drift import DriftFound

Level = Literal["critical", "warning", "calm", "unknown"]

DRIFT, NO_DRIFT = "DRIFT", "NO_DRIFT"
WHY_BY_LIMITS = (
    "Both use the limit that weeks of training reached. Evidently measures its sample, each feature alone; the tables "
    "measure every row, and look beside that for features that moved without those they go with, and for broken data."
)
WHY_BY_THRESHOLD = (
    "They answer two questions: Evidently asks how far these days lie from the whole of training, and a single week "
    "always lies some way from years; the tables ask whether these days lie further from it than weeks of training did."
)
_SHOWN = 6


@dataclass(frozen=True)
class Verdict:
    """One class on one day.

    Attributes:
        level: `calm` when something was judged and nothing found, `unknown` when nothing was judged.
        headline: A few words: "No drift".
        lines: A sentence each about features, accuracy and whatever else was found.
    """

    level: Level
    headline: str
    lines: tuple[str, ...]


def told_verdict(
    tables: DriftData | None, drift: DriftFound | None, accuracy: Judged | None, decay: Sequence[Condition] = ()
) -> Verdict:
    """The verdict of the tables: nothing that raises an alert is called fine here.

    Args:
        tables: With the day's rows of `feature_distributions`.
        drift: What the measurement of this run found beside them: regimes and relations.
        accuracy: The rule about the last seven days.
        decay: The detectors of decay, raised or clear.
    """
    raised = [one for one in (drift.conditions if drift else ()) if one.severity]
    decayed = [one for one in decay if one.severity]
    rule = accuracy.condition if accuracy else None
    moved, judged = drifted_features(tables, raised), _judged_features(tables)
    others = [one for one in raised if one.alert_type != "FEATURE_DRIFT"]
    lines = [
        _feature_line(judged, moved, tables, drift),
        *(one.message for one in others[:_SHOWN]),
        f"{len(others) - _SHOWN} more of that kind are among the alerts" if len(others) > _SHOWN else "",
        rule.message if rule else (accuracy.note if accuracy and accuracy.note else "accuracy was not judged"),
        *(one.message for one in decayed),
    ]
    kinds = {one.alert_type for one in others}
    parts = [f"drift in {len(moved)} of {len(judged)} features"] if moved else []
    parts += ["accuracy fell"] if rule and rule.severity else []
    parts += ["the model got worse"] if any(one.metric_name != ESTIMATE for one in decayed) else []
    parts += ["the model became unsure"] if any(one.metric_name == ESTIMATE for one in decayed) else []
    parts += ["the market changed"] if "REGIME_CHANGE" in kinds else []
    parts += ["what features tell changed"] if "CONCEPT_DRIFT" in kinds else []
    severities = {one.severity for one in (*raised, *decayed)} | {rule.severity if rule else None}
    is_judged = judged or rule or decay
    level: Level = (
        "critical" if "CRITICAL" in severities else "warning" if parts else "calm" if is_judged else "unknown"
    )
    headline = ", ".join(parts) if parts else "no drift" if level == "calm" else "not judged"
    return Verdict(level, _sentence(headline, end=""), tuple(_sentence(line) for line in lines if line))


def drifted_features(tables: DriftData | None, raised: Sequence[Condition]) -> list[str]:
    """Features that drifted by the tables, those with the heaviest alerts first, then by PSI."""
    found = tables.tables if tables else {}
    names = [name for name, verdict in found.items() if verdict.drifted]
    order = [one.metric_name for one in raised if one.alert_type == "FEATURE_DRIFT"]
    place = {name: position for position, name in enumerate(order)}
    return sorted(names, key=lambda name: (place.get(name, len(order)), -(found[name].psi or 0.0), name))


def drift_differences(data: DriftData, measured: Sequence[Measured], found: DriftFound | None) -> list[str]:
    """Where Evidently and the tables judge a feature differently, in words; says so when they agree."""
    evidently = {one.subject: one for one in measured if one.metric == "value_drift" and one.drifted is not None}
    both = [name for name in evidently if table_drift(data, name)]
    if not both:
        return ["The tables have no verdict on features of this day to compare Evidently's with."] if evidently else []
    only_evidently = [name for name in both if evidently[name].drifted and not data.tables[name].drifted]
    only_tables = [name for name in both if data.tables[name].drifted and not evidently[name].drifted]
    if not only_evidently and not only_tables:
        return [f"Evidently and the tables agree on every one of {len(both)} features."]
    differing, limits = [*only_evidently, *only_tables], usual_limits(found)
    by_limits = all(evidently[name].method == DISTANCE and name in limits for name in differing)
    lines = [
        f"Evidently and the tables differ on {len(differing)} of {len(both)} features. "
        f"{WHY_BY_LIMITS if by_limits else WHY_BY_THRESHOLD}"
    ]
    if only_evidently:
        told = (f"{title_of(name)} ({_value(evidently[name])})" for name in only_evidently)
        lines.append(f"Only Evidently sees drift in {_list(told)}.")
    if only_tables:
        kinds = _kinds(found)
        told = (
            f"{title_of(name)} ({kinds.get(name) or _table_figures(data, name)}; {_value(evidently[name])})"
            for name in only_tables
        )
        lines.append(f"Only the tables see drift in {_list(told)}.")
    return lines


def performance_differences(
    data: PerformanceData, measured: Sequence[Measured], accuracy: Judged, settings: Settings
) -> list[str]:
    """How Evidently's accuracy on its sample compares with the tables', and whether the rule would say the same."""
    figures = {one.subject: one.value for one in measured if one.metric == "accuracy"}
    mine, tables = figures.get("current"), (accuracy.newest or {}).get("rolling_7d_accuracy")
    if mine is None or tables is None:
        return []
    percent = 100 * mine
    if abs(percent - tables) < 0.05:
        line = f"Evidently's accuracy of the newest days, {percent:.1f}%, is the tables'."
    else:
        rows = data.current.rows.height
        chance = 196 * sqrt(mine * (1 - mine) / rows)
        line = (
            f"Evidently's accuracy of the newest days is {percent:.1f}%, the tables' {tables:.1f}%: Evidently sees "
            f"{rows:,} of {data.current.total:,} predictions, where {chance:.1f} points up or down are chance."
        )
    mine_verdict, table_verdict = sample_rule(figures, settings), table_rule(accuracy)
    if table_verdict is None or mine_verdict is None:
        return [line]
    same = mine_verdict == table_verdict
    said = "the same verdict" if same else "another verdict, which is the sample's chance: the tables' counts"
    return [line, f"The rule about 7-day accuracy gives {said} on Evidently's sample."]


def sample_rule(figures: dict[str, float | None], settings: Settings) -> str | None:
    """The WARNING ratio applied to Evidently's two accuracies; None without both."""
    current, reference = figures.get("current"), figures.get("reference")
    if current is None or reference is None:
        return None
    return DRIFT if current < settings.monitoring.drift_warning_ratio * reference else NO_DRIFT


def table_rule(accuracy: Judged | None) -> str | None:
    """The tables' verdict on accuracy; None where it was not judged."""
    if accuracy is None or accuracy.condition is None:
        return None
    return DRIFT if accuracy.condition.severity else NO_DRIFT


def usual_limits(found: DriftFound | None) -> dict[str, float]:
    """Feature -> largest distance that weeks of training reached, as far as this run's measurement says."""
    features = found.features if found else ()
    return {one.name: one.distance_limit for one in features if one.distance_limit is not None}


def table_drift(data: DriftData, feature: str) -> str | None:
    """The tables' verdict on a feature; None where it was not judged."""
    found = data.tables.get(feature)
    return None if found is None or found.drifted is None else DRIFT if found.drifted else NO_DRIFT


def _judged_features(tables: DriftData | None) -> list[str]:
    return [name for name, found in tables.tables.items() if found.drifted is not None] if tables else []


def _feature_line(judged: list[str], moved: list[str], tables: DriftData | None, drift: DriftFound | None) -> str:
    if not judged or tables is None:
        why = "; ".join(drift.notes) if drift else ""
        return f"features were not judged: {why}" if why else "features were not judged"
    if not moved:
        return f"in {tables.window} all {len(judged)} features are as in training"
    kinds = _kinds(drift)
    told = (f"{title_of(name)}{f' ({kinds[name]})' if name in kinds else ''}" for name in moved)
    return f"in {tables.window} {len(moved)} of {len(judged)} features are not as in training: {_list(told)}"


def _kinds(found: DriftFound | None) -> dict[str, str]:
    """What is wrong with each drifted feature, in a few words."""
    return {one.name: ", ".join(one.kinds) for one in (found.features if found else ()) if one.kinds}


def _table_figures(data: DriftData, name: str) -> str:
    found = data.tables[name]
    known = {"PSI": found.psi, "KS": found.ks_statistic}
    return ", ".join(f"{title} {value:.3f}" for title, value in known.items() if value is not None) or "tables"


def _value(one: Measured) -> str:
    if one.value is None or one.threshold is None:
        return "no value"
    if one.method in P_VALUE_METHODS:
        return f"p {one.value:.3g}, limit {one.threshold:.3g}"
    return f"distance {one.value:.3f}, limit {one.threshold:.3g}"


def _list(names: Iterable[str]) -> str:
    told = list(names)
    more = len(told) - _SHOWN
    return ", ".join(told[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _sentence(text: str, end: str = ".") -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else end)

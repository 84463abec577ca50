"""What a message says: what, how bad, since when, which model, which features, what to do, where to look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from market.assets import ASSET_TYPES, AssetType
from monitoring.alerts_records import History, level
from monitoring.delivery_plan import DIGEST, Item, Planned

_FEATURES = 5
_NAMES = 12
_TITLE_CHARS = 120
_CLASSES = {"stocks": "stocks", "etf": "ETFs", "crypto": "crypto"}


@dataclass(frozen=True)
class ClassFacts:
    """What a message tells about a class beside its alerts; empty where nothing is known."""

    judged: date | None = None
    model: str = ""
    source: str = ""
    advice: str = ""
    link: str = ""


@dataclass(frozen=True)
class Letterhead:
    """What is the same in all messages of a run."""

    profile: str
    shown_alerts: int
    facts: Mapping[AssetType, ClassFacts] = field(default_factory=dict)


def title_of(message: Planned, head: Letterhead) -> str:
    """One line that says where and how bad, such as `CRITICAL stocks: rolling_7d_accuracy and 2 more`."""
    raised = [item for item in message.items if item.is_raise]
    items = raised or list(message.items)
    alerts = [item.history.alert for item in items]
    where = ", ".join(_CLASSES[name] for name in ASSET_TYPES if any(a.asset_type == name for a in alerts))
    what = alerts[0].metric_name + (f" and {len(alerts) - 1} more" if len(alerts) > 1 else "")
    word = message.severity if raised else "resolved"
    prefix = "digest: " if message.scope == DIGEST else ""
    text = f"[TradeHits {head.profile}] {prefix}{word} {where}: {what}"
    return text if len(text) <= _TITLE_CHARS else f"{text[: _TITLE_CHARS - 1]}…"


def body_of(message: Planned, head: Letterhead, key: str) -> str:
    """The whole text, plain, the most important first."""
    classes = [n for n in ASSET_TYPES if any(item.history.alert.asset_type == n for item in message.items)]
    parts = [
        _class_part(name, [i for i in message.items if i.history.alert.asset_type == name], head) for name in classes
    ]
    raised = [item for item in message.items if item.is_raise]
    if raised:
        example = raised[0].history.alert.alert_id[:8]
        parts.append(
            f"Take it on (no more messages until it gets worse): tradehits alerts ack {example} --by NAME"
            f" --profile {head.profile}\nAll open alerts: tradehits alerts list --profile {head.profile}"
        )
    parts.append(f"Message {key[:8]}: a repeat has the same number.")
    return "\n\n".join(parts)


def _class_part(name: AssetType, items: Sequence[Item], head: Letterhead) -> str:
    facts = head.facts.get(name, ClassFacts())
    lines = [_headline(name, items, facts)]
    if facts.model:
        lines.append(f"Model: {facts.model}")
    raised = [item for item in items if item.is_raise]
    shown, others = raised[: head.shown_alerts], raised[head.shown_alerts :]
    for item in shown:
        lines += ["", *_alert_lines(item)]
    if others:
        lines += ["", f"and {len(others)} more: {_names([item.history for item in others])}"]
    over = [item.history for item in items if not item.is_raise]
    if over:
        lines += ["", f"Resolved: {_names(over, with_who=True)}"]
    if facts.advice and raised:
        lines += ["", f"Retraining: {facts.advice}"]
    if facts.link:
        lines += ["", f"Report: {facts.link}"]
    return "\n".join(lines)


def _headline(name: AssetType, items: Sequence[Item], facts: ClassFacts) -> str:
    counted = Counter(
        f"{'worse, now' if i.what == 'ESCALATED' else 'new'} {i.history.alert.severity}" if i.is_raise else "resolved"
        for i in items
    )
    told = ", ".join(f"{count} {what}" for what, count in counted.items())
    when = f" on {facts.judged}" if facts.judged else ""
    source = f" ({facts.source} predictions)" if facts.source else ""
    return f"{_CLASSES[name]}{when}{source}: {told}"


def _alert_lines(item: Item) -> list[str]:
    alert, judged = item.history.alert, item.history.judged
    eased = " (eased to WARNING since)" if level(item.history.judged_severity) < level(alert.severity) else ""
    lines = [
        f"{alert.severity}{eased} {alert.alert_type} {alert.metric_name}, since {alert.alert_time:%Y-%m-%d}"
        f" [{alert.alert_id[:8]}]"
    ]
    if alert.message:
        lines.append(f"  {alert.message}")
    figures = [
        f"{name} {_figure(value)}"
        for name, value in (
            ("now", alert.current_value),
            ("limit", alert.threshold_value),
            ("normally", alert.baseline_value),
        )
        if value is not None
    ]
    if figures:
        lines.append(f"  {', '.join(figures)}")
    features = [str(name) for name in judged.get("features") or ()]
    if features:
        more = f" and {len(features) - _FEATURES} more" if len(features) > _FEATURES else ""
        lines.append(f"  features: {', '.join(features[:_FEATURES])}{more}")
    if judged.get("remedy"):
        lines.append(f"  what to do: {judged['remedy']}")
    return lines


def _names(histories: Sequence[History], *, with_who: bool = False) -> str:
    told = []
    for history in histories[:_NAMES]:
        alert = history.alert
        who = f" (by {alert.resolved_by})" if with_who and alert.resolved_by not in (None, "monitoring") else ""
        told.append(f"{alert.metric_name}{who}" if with_who else f"{alert.severity} {alert.metric_name}")
    rest = len(histories) - len(told)
    return ", ".join(told) + (f" and {rest} more" if rest > 0 else "")


def _figure(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"

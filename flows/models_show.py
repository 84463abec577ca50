"""What `tradehits models` prints: tables for people, JSON for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from flows.champion_change import Changed
    from flows.models import Shown
    from registry.versions import VersionFacts
    from training.gate import Decision

WIDTH = 132
NOTHING = "No model is registered yet: `tradehits run` or `tradehits train` makes one."


def listed(versions: Sequence[VersionFacts], output: str) -> str:
    """Every version, one a line or one an object."""
    if output == "json":
        return _json([asdict(facts) for facts in versions])
    if not versions:
        return NOTHING
    left = ("version", "status", "service", "data", "audit")
    table = _table((*left, "trained through", "VALIDATE accuracy", "base rate", "Brier", "champion by", "why"), left)
    for facts in versions:
        table.add_row(
            facts.model_version,
            facts.status,
            facts.tags.get("feature_service", ""),
            facts.run_tags.get("data", ""),
            facts.run_tags.get("audit", ""),
            facts.tags.get("trained_through", "")[:10],
            _accuracy(facts.metrics, "validate"),
            _number(facts.metrics.get("validate_base_rate"), 1),
            _number(facts.metrics.get("validate_brier"), 4),
            facts.tags.get("champion_by", ""),
            facts.tags.get("champion_why", ""),
        )
    return _text(table)


def shown(version: Shown, output: str) -> str:
    """One version with results, checks, thresholds and history."""
    if output == "json":
        return _json(asdict(version))
    facts = version.facts
    lines = [
        f"{facts.model_version}: {facts.status}{', its record is published' if version.published else ''}",
        f"run {facts.run_id}, registered {facts.created_at:%Y-%m-%d %H:%M} UTC",
        *(f"{name}: {value}" for name, value in {**facts.tags, **facts.run_tags}.items()),
        "thresholds: " + ", ".join(f"{name} {value}" for name, value in version.thresholds.items()),
        f"earlier champions, newest first: {', '.join(version.earlier) or 'none'}",
        "",
        _text(_results(facts.metrics)),
        "",
        f"{len(version.checks)} checks: {_counted(check.status for check in version.checks)}",
    ]
    lines += [
        f"  {check.status}: {check.check} of {check.subject}: {check.detail}"
        for check in version.checks
        if check.status != "passed"
    ]
    return "\n".join(lines)


def compared(decision: Decision, output: str) -> str:
    """Two versions and the rules."""
    if output == "json":
        return _json(decision.to_dict())
    found = decision.comparison
    lines = [f"{decision.challenger} against {decision.champion}"]
    if found is not None and found.challenger is not None and found.champion is not None:
        table = _table((f"{found.rows:,} common bars", "accuracy", "base rate", "Brier", "ECE"), ("",))
        for name, score in ((decision.challenger, found.challenger), (str(decision.champion), found.champion)):
            table.add_row(
                name,
                f"{score.accuracy:.2f}",
                _number(found.base_rate, 2),
                f"{score.brier:.5f}",
                f"{score.ece:.4f}",
            )
        lines += [_text(table), f"Diebold-Mariano p-value (two-sided): {_number(found.diebold_mariano_p, 4) or 'none'}"]
    lines += _rules(decision)
    verdict = "may be promoted" if decision.promote else "stays challenger"
    return "\n".join([*lines, f"{decision.challenger} {verdict} by the rules"])


def changed(done: Changed, output: str) -> str:
    """What a promotion or rollback did."""
    if output == "json":
        decision = None if done.decision is None else done.decision.to_dict()
        return _json({**asdict(done), "decision": decision})
    if done.change is None:
        return f"{done.model_version} is the champion of {done.asset_type} already: nothing changed"
    rules = ", against the rules" if done.change.against_the_rules else ""
    lines = [
        f"{done.asset_type}: {done.change.action} from {done.change.from_version or 'none'} to {done.model_version} by "
        f"{done.change.by}{rules}; in force after {done.switch_seconds:.2f} s"
    ]
    if done.settled is None:
        lines.append("its record is published by the next command that has its turn; until then the old one stands")
    else:
        lines.append(
            f"record published: {done.settled.rows:,} rows, {done.settled.appended:,} of them scored since training, "
            f"{done.seconds:.1f} s in all"
        )
    if done.decision is not None:
        lines += _rules(done.decision)
    return "\n".join(lines)


def _rules(decision: Decision) -> list[str]:
    return [f"  {'holds' if rule.passed else 'FAILS'}  {rule.name}: {rule.detail}" for rule in decision.rules]


def _results(metrics: Mapping[str, float]) -> Table:
    table = _table(("split", "rows", "accuracy (95%)", "base rate", "AUC", "Brier"), ("split",))
    for split in ("train", "test", "validate"):
        if f"{split}_rows" in metrics:
            table.add_row(
                split.upper(),
                f"{metrics[f'{split}_rows']:,.0f}",
                _accuracy(metrics, split),
                _number(metrics.get(f"{split}_base_rate"), 1),
                _number(metrics.get(f"{split}_auc"), 3),
                _number(metrics.get(f"{split}_brier"), 4),
            )
    return table


def _accuracy(metrics: Mapping[str, float], split: str) -> str:
    """Never without its interval."""
    low, high = metrics.get(f"{split}_accuracy_ci_low"), metrics.get(f"{split}_accuracy_ci_high")
    if f"{split}_accuracy" not in metrics or low is None or high is None:
        return ""
    return f"{metrics[f'{split}_accuracy']:.1f} ({low:.1f}-{high:.1f})"


def _counted(statuses: Iterator[str]) -> str:
    found = list(statuses)
    return ", ".join(f"{found.count(status)} {status}" for status in dict.fromkeys(found)) or "none"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _table(columns: Sequence[str], left: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        is_text = name in left or name in ("champion by", "why")
        table.add_column(name, justify="left" if is_text else "right", overflow="fold", no_wrap=name in left)
    return table


def _text(table: Table) -> str:
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str, ensure_ascii=False, allow_nan=False)

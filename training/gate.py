"""Champion or challenger: the rules of promotion, as a pure function of paired evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from configs.promotion import PromotionSettings
from market.statistics import Interval
from training.checks import CheckResult
from training.paired import Comparison

AUDIT = "audit"
NEWS = "news"


@dataclass(frozen=True)
class Rule:
    """One rule of promotion and how it was met.

    Attributes:
        name: audit, rows, brier, gain, calibration or news.
        passed: Whether it holds.
        detail: A sentence with the figures.
        numbers: The figures.
        is_binding: Whether promotion by a person needs it; the others bind automatic promotion only.
    """

    name: str
    passed: bool
    detail: str
    numbers: Mapping[str, float]
    is_binding: bool = True


@dataclass(frozen=True)
class Decision:
    """Whether a challenger may become the champion.

    Attributes:
        champion: None when the class has none yet; the audit alone decides then.
    """

    challenger: str
    champion: str | None
    rules: tuple[Rule, ...]
    comparison: Comparison | None

    @property
    def promote(self) -> bool:
        """Whether the rules let a person promote it."""
        return all(rule.passed for rule in self.rules if rule.is_binding)

    @property
    def promote_automatically(self) -> bool:
        """Whether a training run may promote it by itself."""
        return all(rule.passed for rule in self.rules)

    @property
    def passes_audit(self) -> bool:
        """Whether no check stands failed; no promotion goes without it."""
        return all(rule.passed for rule in self.rules if rule.name == AUDIT)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not, as sentences; empty when it may be promoted automatically."""
        return tuple(rule.detail for rule in self.rules if not rule.passed)

    def to_dict(self) -> dict[str, Any]:
        """Plain fields for JSON."""
        return {
            "challenger": self.challenger,
            "champion": self.champion,
            "promote": self.promote,
            "promote_automatically": self.promote_automatically,
            "reasons": list(self.reasons),
            "rules": [asdict(rule) for rule in self.rules],
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
        }


def decide(
    challenger: str,
    champion: str | None,
    checks: Sequence[CheckResult],
    comparison: Comparison | None,
    settings: PromotionSettings,
    *,
    challenger_through: datetime,
    champion_through: datetime | None,
) -> Decision:
    """Apply the rules.

    Args:
        challenger: `model_version`.
        champion: `model_version`; None when there is none, then the audit alone decides.
        checks: Of the challenger's run.
        comparison: None without a champion.
        settings: The rules.
        challenger_through: `trained_through` of the challenger's bundle.
        champion_through: Of the champion's.
    """
    rules = [_audit(checks)]
    if champion is not None and comparison is not None and champion_through is not None:
        rules += [
            _rows(comparison, settings),
            *_evidence(comparison, settings),
            _news(comparison, challenger_through, champion_through),
        ]
    return Decision(challenger, champion, tuple(rules), comparison)


def _audit(checks: Sequence[CheckResult]) -> Rule:
    failed = [f"{check.check} of {check.subject}" for check in checks if check.status == "failed"]
    waived = sum(check.status == "waived" for check in checks)
    numbers = {"checks": float(len(checks)), "failed": float(len(failed)), "waived": float(waived)}
    if not checks:
        return Rule(AUDIT, False, "its run kept no audit: train again", numbers)
    if failed:
        return Rule(AUDIT, False, f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}", numbers)
    note = f", {waived} of them waived" if waived else ""
    return Rule(AUDIT, True, f"{len(checks)} checks stand in no one's way{note}", numbers)


def _rows(comparison: Comparison, settings: PromotionSettings) -> Rule:
    numbers = {"rows": float(comparison.rows), "dates": float(comparison.dates), "share": comparison.common_share}
    wanted = f"needed: {settings.min_rows:,} on {settings.min_dates:,} dates, {settings.min_common_share:.0%}"
    passed = (
        comparison.rows >= settings.min_rows
        and comparison.dates >= settings.min_dates
        and comparison.common_share >= settings.min_common_share
    )
    found = (
        f"{comparison.rows:,} known bars on {comparison.dates:,} dates were predicted by both, "
        f"{comparison.common_share:.0%} of the champion's"
    )
    return Rule("rows", passed, found if passed else f"{found}; {wanted}", numbers)


def _evidence(comparison: Comparison, settings: PromotionSettings) -> Iterator[Rule]:
    new, old = comparison.challenger, comparison.champion
    brier_ci, accuracy_ci = comparison.brier_gain_ci, comparison.accuracy_gain_ci
    if new is None or old is None or brier_ci is None or accuracy_ci is None:
        for name in ("brier", "gain", "calibration"):
            yield Rule(name, False, f"{name}: too few common bars to judge it", {})
        return
    worse = new.brier - old.brier
    yield Rule(
        "brier",
        worse <= settings.brier_tolerance,
        f"Brier score {new.brier:.5f} against the champion's {old.brier:.5f}; {settings.brier_tolerance:.5f} more is "
        "allowed",
        {"challenger": new.brier, "champion": old.brier, "tolerance": settings.brier_tolerance},
    )
    yield _gain(comparison, brier_ci, accuracy_ci, settings)
    bound = max(new.ece_by_chance + settings.max_ece, old.ece + settings.ece_tolerance)
    yield Rule(
        "calibration",
        new.ece <= bound,
        f"expected calibration error {new.ece:.4f}, at most {bound:.4f} is allowed (the champion's is {old.ece:.4f}, "
        f"chance alone gives {new.ece_by_chance:.4f})",
        {"challenger": new.ece, "champion": old.ece, "by_chance": new.ece_by_chance, "bound": bound},
    )


def _gain(comparison: Comparison, brier: Interval, accuracy_points: Interval, settings: PromotionSettings) -> Rule:
    is_better = brier.low > 0
    is_no_worse = brier.low >= -settings.brier_margin and accuracy_points.low >= -settings.accuracy_margin_points
    verdict = (
        "significantly better" if is_better else "not inferior" if is_no_worse else "neither better nor non-inferior"
    )
    detail = (
        f"{verdict}: Brier gain {comparison.brier_gain:+.5f} ({brier.low:+.5f} to {brier.high:+.5f}), accuracy "
        f"{comparison.accuracy_gain_points:+.2f} points ({accuracy_points.low:+.2f} to {accuracy_points.high:+.2f}) "
        f"at base rate {comparison.base_rate:.1f}; margins {settings.brier_margin:.5f} and "
        f"{settings.accuracy_margin_points:.2f} points, level {settings.level:.0%}"
    )
    numbers = {
        "brier_gain_low": brier.low,
        "brier_gain_high": brier.high,
        "accuracy_gain_low": accuracy_points.low,
        "accuracy_gain_high": accuracy_points.high,
        "significant": float(is_better),
    }
    return Rule("gain", is_better or is_no_worse, detail, {k: v for k, v in numbers.items() if math.isfinite(v)})


def _news(comparison: Comparison, challenger_through: datetime, champion_through: datetime) -> Rule:
    """A model that knows no more and is no better would only make the record restless."""
    days = (challenger_through - champion_through).total_seconds() / 86_400
    interval = comparison.brier_gain_ci
    is_better = interval is not None and interval.low > 0
    detail = (
        f"it was trained through {challenger_through:%Y-%m-%d %H:%M}, the champion through "
        f"{champion_through:%Y-%m-%d %H:%M}"
        + ("" if days > 0 or is_better else ": it knows no more and is not significantly better")
    )
    return Rule(NEWS, days > 0 or is_better, detail, {"days": days}, is_binding=False)

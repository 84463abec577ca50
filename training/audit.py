"""The integrity gate: every check on one asset class's data, features and record.

A failed check blocks registration. Warnings are evidence for a person to look at. Checks are independent: one that
cannot do its work fails and says why, and the others still run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from configs.settings import Settings
from market.assets import ASSET_TYPES, AssetType
from market.errors import IntegrityError, TradeHitsError
from training.audit_base_rate import base_rate_check
from training.audit_identity import identity_check, overlap_check
from training.audit_labels import label_check, purge_check, refit_check, time_check
from training.audit_population import population_check
from training.audit_record import Record, record_of
from training.audit_too_good import too_good_check
from training.audit_waivers import Waiver, with_waivers
from training.checks import CheckResult, Progress
from training.dataset import Dataset
from training.scale import scale_check
from training.truncation import recompute, truncation_check
from training.walk_forward import WalkForward
from warehouse.warehouse import Warehouse

__all__ = [
    "AuditReport",
    "CheckResult",
    "audit_class",
    "audit_run",
    "audit_training",
    "label_check",
    "require_passed",
]

NO_RECORD = "record"


@dataclass(frozen=True)
class AuditReport:
    """What the audit of one asset class found.

    Attributes:
        asset_type: The asset class.
        results: Every check's results, in the order of the checks.
        seconds: What each check took.
    """

    asset_type: AssetType
    results: tuple[CheckResult, ...]
    seconds: dict[str, float]

    def of(self, *statuses: str) -> list[CheckResult]:
        """Results of these statuses."""
        return [result for result in self.results if result.status in statuses]

    def waived(self, waivers: Sequence[Waiver], now: datetime) -> AuditReport:
        """The same report with the waivers in force at an instant."""
        return replace(self, results=tuple(with_waivers(self.results, waivers, self.asset_type, now)))


def audit_run(
    warehouse: Warehouse, settings: Settings, dataset: Dataset, walk_forward: WalkForward
) -> list[CheckResult]:
    """The results of `audit_training`."""
    return list(audit_training(warehouse, settings, dataset, walk_forward).results)


def audit_training(
    warehouse: Warehouse,
    settings: Settings,
    dataset: Dataset,
    walk_forward: WalkForward,
    *,
    metrics: Collection[str] = (),
    progress: Progress | None = None,
) -> AuditReport:
    """Run every check on one asset class's training run; see `audit_class`."""
    record = record_of(walk_forward, dataset.content_hash)
    return audit_class(warehouse, settings, dataset, record, metrics=metrics, progress=progress)


def audit_class(
    warehouse: Warehouse,
    settings: Settings,
    dataset: Dataset,
    record: Record | None,
    *,
    metrics: Collection[str] = (),
    progress: Progress | None = None,
) -> AuditReport:
    """Run every check on one asset class.

    Args:
        warehouse: What is stored; it is only read.
        settings: Section `audit`, and everything that decides the pipeline.
        dataset: The training set, as models see it.
        record: Predictions and folds of a run; None checks data and features alone and says so.
        metrics: Names that the run logs, held to the base-rate rule.
        progress: Told how many checks are done.
    """
    results: list[CheckResult] = []
    seconds: dict[str, float] = {}
    steps = _steps(warehouse, settings, dataset, record, metrics)
    for position, (name, check) in enumerate(steps.items()):
        started = time.perf_counter()
        try:
            results += check()
        except TradeHitsError as error:
            results.append(CheckResult(name, "failed", "the check itself", error.message, error.remedy))
        seconds[name] = time.perf_counter() - started
        if progress:
            progress(position + 1, len(steps))
    return AuditReport(dataset.asset_type, tuple(results), seconds)


def require_passed(results: Iterable[CheckResult]) -> None:
    """Stop publication when a check failed.

    Raises:
        IntegrityError: Names every failed check with its subject and detail.
    """
    checked = list(results)
    failed = [result for result in checked if result.status == "failed"]
    if failed:
        lines = "; ".join(f"{result.check} of {result.subject}: {result.detail}" for result in failed)
        raise IntegrityError(
            f"{len(failed)} of {len(checked)} checks failed, nothing is published: {lines}",
            remedy="; ".join(dict.fromkeys(result.remedy for result in failed if result.remedy)),
        )


def _steps(
    warehouse: Warehouse, settings: Settings, dataset: Dataset, record: Record | None, metrics: Collection[str]
) -> dict[str, Callable[[], list[CheckResult]]]:
    """The checks by name, cheap ones first; those of the record only where there is one."""
    steps: dict[str, Callable[[], list[CheckResult]]] = {"identity": lambda: identity_check(warehouse, dataset, record)}
    if record is None:
        steps[NO_RECORD] = lambda: [_no_record()]
    else:
        steps |= {
            "overlap": lambda: overlap_check(dataset, record),
            "time": lambda: time_check(record),
            "purge": lambda: purge_check(dataset, record),
        }
    steps["labels"] = lambda: label_check(warehouse, dataset)
    steps["truncation"] = lambda: _recomputed_checks(warehouse, settings, dataset)
    if record is not None:
        steps["refit"] = lambda: refit_check(dataset, settings, record)
    steps["too_good"] = lambda: too_good_check(dataset, settings, record)
    if metrics:
        steps["base_rate"] = lambda: base_rate_check(metrics)
    steps["population"] = lambda: population_check(warehouse, settings, dataset)
    steps["canary"] = lambda: _canaries(warehouse, settings, dataset)
    return steps


def _recomputed_checks(warehouse: Warehouse, settings: Settings, dataset: Dataset) -> list[CheckResult]:
    """The truncation proof and the scale proof share one build of sampled histories."""
    recomputed = recompute(warehouse, settings, dataset.asset_type)
    findings = truncation_check(warehouse, settings, dataset.asset_type, dataset, recomputed)
    truncation = [
        CheckResult(
            "truncation", "failed" if finding.column else "passed", finding.subject, finding.detail, finding.remedy
        )
        for finding in findings
    ]
    return [*truncation, *scale_check(settings, recomputed)]


def _canaries(warehouse: Warehouse, settings: Settings, dataset: Dataset) -> list[CheckResult]:
    from training.canary import CANARIES_PER_CLASS, canary_checks

    return canary_checks(warehouse, settings, dataset, CANARIES_PER_CLASS * len(ASSET_TYPES))


def _no_record() -> CheckResult:
    return CheckResult(
        NO_RECORD,
        "warning",
        "newest training run",
        "no training run of this class has a record: predictions, folds and models could not be checked",
        "run `tradehits train`",
    )

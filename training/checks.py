"""What every check of the audit says about its subject, and who had it waived."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Literal

Status = Literal["passed", "warning", "failed", "waived"]
STATUSES: tuple[Status, ...] = ("passed", "warning", "failed", "waived")


@dataclass(frozen=True)
class CheckResult:
    """One check on one subject (a table, a column, a fold rule).

    Attributes:
        check: Name of the check, such as `truncation` or `canary`.
        status: `failed` blocks registration; `warning` is evidence to look at; `waived` is a failure that a named
            person let through, with the reason in `detail`.
        subject: What was checked: a table, a column, a rule. Reports over several classes put the class before it.
        detail: The evidence: rows, columns, figures.
        remedy: What to do about it; empty when there is nothing to do.
    """

    check: str
    status: Status
    subject: str
    detail: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain fields, as reports and artifacts show them."""
        return asdict(self)


Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def counted(results: Iterable[CheckResult]) -> dict[Status, int]:
    """Number of results by status, every status named."""
    found = [result.status for result in results]
    return {status: found.count(status) for status in STATUSES}


def told_count(count: int, status: Status) -> str:
    """Such as `2 warnings`."""
    return f"{count} {status}{'s' if status == 'warning' and count != 1 else ''}"

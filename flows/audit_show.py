"""The audit on the command line: what failed, was waived or is remarkable in full, what passed in one line a check."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.audit import titled
from training.audit import AuditReport
from training.audit_report import WHAT_IS_CHECKED
from training.audit_waivers import Waiver
from training.checks import CheckResult, Status, counted, told_count

WIDTH = 132
_STYLES: dict[Status, str] = {"failed": "bold red", "waived": "magenta", "warning": "yellow", "passed": "green"}


def as_table(reports: Sequence[AuditReport]) -> str:
    """A table a person can read: status, check and subject, evidence and remedy."""
    table = Table(box=None, pad_edge=False)
    table.add_column("status", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("evidence", overflow="fold", ratio=1)
    for report in reports:
        for status in ("failed", "waived", "warning"):
            for result in report.of(status):
                table.add_row(Text(status, style=_STYLES[status]), result.check, _evidence(report, result))
        for check, results in _passed(report).items():
            told = f"{report.asset_type}: {len(results)} passed. {WHAT_IS_CHECKED.get(check, '')}"
            table.add_row(Text("passed", style=_STYLES["passed"]), check, Text(told, style="dim"))
    counts = counted(result for report in reports for result in report.results)
    shown = [told_count(count, status) for status, count in counts.items() if count or status != "waived"]
    lines = [_drawn(table), "", ", ".join(shown) + "."]
    if counts["failed"]:
        lines.append(
            "A failed check blocks registration. Mend it, or take it on yourself: `tradehits audit waive --help`."
        )
    return "\n".join(lines)


def waivers_table(waivers: Sequence[Waiver]) -> str:
    """Every waiver ever given, with who, why, and whether it still counts."""
    if not waivers:
        return "No check was ever waived."
    table = Table(box=None, pad_edge=False)
    for name in ("id", "given", "by", "check", "subject", "state", "why"):
        table.add_column(name, overflow="fold")
    for waiver in waivers:
        table.add_row(
            waiver.waiver_id[:8],
            f"{waiver.created_at:%Y-%m-%d}",
            waiver.waived_by,
            waiver.check_name,
            f"{waiver.asset_type or 'every class'}: {waiver.subject}",
            _state(waiver),
            waiver.reason,
        )
    return _drawn(table)


def _state(waiver: Waiver) -> str:
    if waiver.withdrawn_at is not None:
        return f"withdrawn {waiver.withdrawn_at:%Y-%m-%d} by {waiver.withdrawn_by}: {waiver.withdrawn_reason}"
    return "in force" if waiver.valid_until is None else f"until {waiver.valid_until}"


def _evidence(report: AuditReport, result: CheckResult) -> Text:
    shown = titled(report.asset_type, result)
    text = Text(f"{shown.subject}\n{shown.detail}")
    if shown.remedy:
        text.append(f"\nremedy: {shown.remedy}", style="dim")
    return text


def _passed(report: AuditReport) -> dict[str, list[CheckResult]]:
    by_check: dict[str, list[CheckResult]] = {}
    for result in report.of("passed"):
        by_check.setdefault(result.check, []).append(result)
    return by_check


def _drawn(table: Table) -> str:
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())

"""`tradehits monitor` for people and for programs."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.monitor_report import ClassReport, MonitorReport

WIDTH = 132
_COLUMNS = (
    *("class", "date", "read from", "accuracy", "base rate", "7 days", "30 before", "of baseline", "judged", "raised"),
    *("opened", "resolved"),
)
_LEFT = ("class", "date", "read from")


def as_json(report: MonitorReport) -> str:
    """The whole report; times as ISO text, figures that are not finite as null, as in the tables."""
    values = _finite(asdict(report)) | {"succeeded": report.succeeded}
    return json.dumps(values, indent=2, default=_plain, allow_nan=False, ensure_ascii=False)


def as_table(report: MonitorReport) -> str:
    """One line a class, then what each of them has to say."""
    lines = [f"daily performance: {report.performance_rows:,} rows written"]
    if report.classes:
        table = Table(box=None, pad_edge=False)
        for name in _COLUMNS:
            table.add_column(name, justify="left" if name in _LEFT else "right", no_wrap=True)
        for one in report.classes:
            table.add_row(*_cells(one))
        out = io.StringIO()
        Console(file=out, width=WIDTH).print(table)
        lines += [line.rstrip() for line in out.getvalue().splitlines()]
    lines += [line for one in report.classes for line in _said(one)]
    if report.sent or report.undelivered:
        lines.append(f"messages: {report.sent:,} sent, {report.undelivered:,} to be tried again")
    lines += [f"all reports: {report.index}"] if report.index else []
    lines += [*report.notes, *(f"FAILED: {text}" for text in report.failed)]
    return "\n".join(lines)


def _cells(one: ClassReport) -> list[str]:
    figures = one.figures
    day = f"{one.date}" if one.date else ""
    if figures is None:
        return [one.asset_type, day, one.source or "", *([""] * 5), *_counts(one)]
    baseline = figures.baseline_accuracy
    return [
        one.asset_type,
        day,
        one.source or "",
        f"{figures.accuracy_pct:.1f}",
        f"{figures.base_rate_pct:.1f}",
        f"{figures.rolling_7d_accuracy:.1f}",
        "" if baseline is None else f"{baseline:.1f}",
        "" if not baseline else f"{100 * figures.rolling_7d_accuracy / baseline:.0f}%",
        *_counts(one),
    ]


def _counts(one: ClassReport) -> list[str]:
    raised = sum(condition.severity is not None for condition in one.conditions)
    return [f"{value:,}" for value in (len(one.conditions), raised, len(one.opened), len(one.resolved))]


def _said(one: ClassReport) -> Iterator[str]:
    for condition in one.conditions:
        if condition.severity is not None:
            yield f"{condition.severity} {condition.alert_type} {condition.message}"
            if condition.remedy:
                yield f"  {condition.remedy}"
    if one.advice:
        yield f"{one.asset_type}: {one.advice}"
    for note in one.notes:
        yield f"{one.asset_type}: {note}"
    if one.page:
        yield f"{one.asset_type}: report: {one.page}"
    for text in one.failed:
        yield f"FAILED {one.asset_type}: {text}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")

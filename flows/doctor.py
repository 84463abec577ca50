"""`tradehits doctor`: what the warehouse lacks, what is wrong with the stored data, and what it does to results."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from configs.settings import Settings
from market.errors import ConfigError
from warehouse.engines import open_warehouse
from warehouse.examination import Finding, examine

WIDTH = 132
_STYLES = {"error": "bold red", "warning": "yellow", "info": "dim"}


def run_doctor(settings: Settings, output: str) -> tuple[str, bool]:
    """Examine the stored data of a profile.

    Args:
        settings: Names the warehouse; rules and thresholds.
        output: `table` or `json`.

    Returns:
        Text to print, and whether no finding is an error.

    Raises:
        ConfigError: For another output.
    """
    if output not in ("table", "json"):
        raise ConfigError(f"doctor has no output '{output}'", remedy="table or json")
    findings = doctor(settings)
    healthy = all(finding.severity != "error" for finding in findings)
    if output == "json":
        return json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False), healthy
    return _as_text(findings), healthy


def doctor(settings: Settings) -> list[Finding]:
    """Every finding, the gravest first; the stored data is left out where the warehouse itself cannot be used."""
    missing = _engine_findings(settings)
    if any(finding.severity == "error" for finding in missing):
        return missing
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    with warehouse.read() as read:
        return [*missing, *examine(read, settings)]


def _engine_findings(settings: Settings) -> list[Finding]:
    """What the engine needs and lacks; the embedded one needs nothing."""
    if settings.warehouse.engine != "bigquery":
        return []
    from warehouse.bigquery_check import check_bigquery

    return check_bigquery(settings.warehouse)


def _as_text(findings: Sequence[Finding]) -> str:
    if not findings:
        return "No finding: every table has one row a key, no session is missing, and nothing is in quarantine."
    table = Table(box=None, pad_edge=False)
    table.add_column("severity", no_wrap=True)
    table.add_column("where", overflow="fold")
    table.add_column("what", overflow="fold", ratio=1)
    for finding in findings:
        what = Text(f"{finding.check}: {finding.message}")
        if finding.remedy:
            what.append(f"\n  remedy: {finding.remedy}", style="dim")
        table.add_row(Text(finding.severity, style=_STYLES[finding.severity]), Text(finding.subject), what)
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

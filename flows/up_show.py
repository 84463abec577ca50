"""What `tradehits up` prints: one table of links, or of checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from configs.settings import Settings
from flows.up_check import PageCheck
from flows.up_programs import Program, log_of

_MINIMUM_WIDTH = 120


def show_links(settings: Settings, programs: Sequence[Program]) -> None:
    """Every page with its address, what it shows, and the log of its process."""
    table = Table(title=f"TradeHits is up, profile {settings.profile}", title_justify="left", box=None, pad_edge=False)
    for name in ("page", "address", "shows", "log"):
        table.add_column(name, no_wrap=name != "shows", overflow="fold")
    for one in programs:
        if not one.once:
            table.add_row(one.name, one.url, one.says, str(log_of(settings, one)))
    if settings.mlflow.kind == "server":
        table.add_row("mlflow", settings.mlflow_page, "training runs, models, backtests", "a server of its own")
    console = _console()
    console.print(table)
    console.print("Ctrl-C stops everything.", style="dim")


def show_checks(checks: Sequence[PageCheck], output: str) -> None:
    """What was looked for and what was found; `output` is table or json."""
    if output == "json":
        _console().print_json(json.dumps([asdict(one) for one in checks]))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("page", "what", "", "found"):
        table.add_column(name, overflow="fold")
    for one in checks:
        table.add_row(one.page, one.what, "[green]ok[/]" if one.ok else "[bold red]NO[/]", one.found)
    console = _console()
    console.print(table)
    failed = [one for one in checks if not one.ok]
    console.print(f"{len(checks) - len(failed)} of {len(checks)} are as they should be", style="bold")


def _console() -> Console:
    console = Console()
    return Console(width=max(console.width, _MINIMUM_WIDTH))

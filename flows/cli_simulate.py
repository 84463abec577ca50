"""The command line of `tradehits simulate-month`."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_options import ReportChoice, profile_settings

if TYPE_CHECKING:
    from flows.simulate_month import Month

_WIDTH = 120
FIRST = date(2024, 6, 1)
"""Its 30 days hold weekends, and a holiday of the exchanges."""


def simulate_month(
    profile: Annotated[
        str, typer.Option("--profile", help="Settings profile that the month is lived with; its state is not touched.")
    ] = "test",
    start: Annotated[
        datetime | None,
        typer.Option("--start", formats=["%Y-%m-%d"], help="The first morning. Default: 2024-06-01, with a holiday."),
    ] = None,
    days: Annotated[int, typer.Option("--days", help="Mornings.")] = 30,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Live through a month of simulated bars, schedule by schedule, and check every day; exit code 1 if a rule broke.

    Ingest, inference, monitoring and backtest every day, training every Sunday, at the clock times of the schedules.
    """
    from flows.progress import RichReporter
    from flows.simulate_month import simulate_month as live

    month = live(profile_settings(profile), start.date() if start else FIRST, days, RichReporter())
    if output is ReportChoice.JSON:
        typer.echo(json.dumps({**asdict(month), "holds": month.holds}, default=str, indent=2))
    else:
        _show(month)
    if not month.holds:
        raise typer.Exit(1)


def _show(month: Month) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("morning", "", "bars", "predictions", "outcomes", "performance", "alerts", "trades", "seconds"):
        table.add_column(name, justify="left" if name in ("morning", "") else "right", no_wrap=True)
    table.add_column("champions and broken rules", overflow="fold")
    for day in month.days:
        told = ", ".join(f"{name} {version.rsplit('/', 1)[-1]}" for name, version in sorted(day.champions.items()))
        broken = "; ".join(f"[bold red]{one.rule}: {one.rows}[/]" for one in day.violations)
        numbers = (
            day.new_bars,
            day.predictions,
            day.outcomes,
            day.performance_rows,
            day.open_alerts,
            day.trades,
            round(day.seconds, 1),
        )
        trained = "trained" if day.retrained else ""
        trained += f", {', '.join(day.refused)} refused" if day.refused else ""
        table.add_row(f"{day.date:%a %Y-%m-%d}", trained, *map(str, numbers), "; ".join(filter(None, (told, broken))))
    console = Console()
    console = Console(width=max(console.width, _WIDTH))
    console.print(table)
    verdict = "every rule held on every day" if month.holds else "[bold red]rules were broken[/]"
    console.print(f"{len(month.days)} days in {month.seconds:,.0f} s: {verdict}. State: {month.home}")

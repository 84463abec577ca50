"""The command line of operation: `tradehits deploy` and `tradehits status`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_options import ProfileOption, ReportChoice, profile_settings

if TYPE_CHECKING:
    from flows.deploy_component import Deployed

FormatOption = Annotated[ReportChoice, typer.Option("--format", help="table or json.")]
_STYLES = {"SUCCESS": "green", "PENDING": "yellow", "FAILED": "bold red"}
_MINIMUM_WIDTH = 120


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(deploy)
    app.command()(status)


def deploy(
    profile: ProfileOption = None,
    emit_gcloud: Annotated[
        Path | None,
        typer.Option("--emit-gcloud", help="Write the schedules as Cloud Scheduler commands into FILE, and stop."),
    ] = None,
    output: FormatOption = ReportChoice.TABLE,
) -> None:
    """Put tables, views, feature definitions, schedules and service in place, check each, and log each.

    Exit code 1 when a check failed; what waits for something else (`PENDING`) says for what.
    """
    settings = profile_settings(profile)
    if emit_gcloud is not None:
        from flows.deploy_gcloud import emit_gcloud as write_script

        typer.echo(f"{write_script(emit_gcloud)} jobs in {emit_gcloud}")
        return
    from flows.deploy import run_deploy
    from flows.progress import RichReporter

    done = run_deploy(settings, RichReporter())
    typer.echo(json.dumps([asdict(one) for one in done], indent=2)) if output is ReportChoice.JSON else _show(done)
    if any(one.status == "FAILED" for one in done):
        raise typer.Exit(1)


def _show(done: Sequence[Deployed]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("component", "name", "status", "details"):
        table.add_column(name, no_wrap=name != "details", overflow="fold")
    for one in done:
        table.add_row(one.component, one.name, f"[{_STYLES[one.status]}]{one.status}[/]", one.details)
    console = Console()
    console = Console(width=max(console.width, _MINIMUM_WIDTH))
    console.print(table)
    counts = Counter(one.status for one in done)
    console.print(", ".join(f"{number} {name}" for name, number in sorted(counts.items())), style="bold")


def status(profile: ProfileOption = None, output: FormatOption = ReportChoice.TABLE) -> None:
    """How each asset class is doing: `v_pipeline_status`, one block a class."""
    from flows.status import pipeline_status

    typer.echo(pipeline_status(profile_settings(profile), output.value))

"""The command line of reports: `tradehits report ensemble` and `report tearsheet`."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_options import ProfileOption, ReportChoice, profile_settings
from flows.cli_report_tearsheet import tearsheet

report_app = typer.Typer(help="What stored predictions have been worth.", no_args_is_help=True)


@report_app.command()
def ensemble(
    profile: ProfileOption = None,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """XGBoost alone against the ensemble on matured live predictions, and what that says about the weights."""
    from flows.report_ensemble import report_ensemble

    typer.echo(report_ensemble(profile_settings(profile), output.value).rstrip("\n"))


report_app.command()(tearsheet)


@report_app.callback()
def report() -> None:
    """What stored predictions have been worth."""

"""The command line of `tradehits up`."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_options import ProfileOption, ReportChoice, profile_settings


def up(
    profile: ProfileOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Start everything, look at every page, and stop; exit code 0 or 1.")
    ] = False,
    output: Annotated[ReportChoice, typer.Option("--format", help="Of --check: table or json.")] = ReportChoice.TABLE,
) -> None:
    """Start MLflow, Prefect with worker and schedules, the HTTP service and the reports, and keep them alive.

    Ctrl-C stops everything. Logs are in the profile's cache folder, under `up`.
    """
    from flows import up as platform
    from flows.up_show import show_checks, show_links

    settings = profile_settings(profile)

    def tell(text: str) -> None:
        typer.echo(text, err=True)

    if check:
        checks = platform.check(settings, tell)
        show_checks(checks, output.value)
        if not all(one.ok for one in checks):
            raise typer.Exit(1)
        return
    if not platform.up(settings, tell, lambda programs: show_links(settings, programs)):
        raise typer.Exit(1)

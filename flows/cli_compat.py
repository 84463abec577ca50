"""The command line of compatibility: `tradehits compat`."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_options import ProfileOption, ReportChoice, profile_settings


def compat(
    profile: ProfileOption = None,
    url: Annotated[
        str | None, typer.Option("--url", help="A running service, such as http://127.0.0.1:3000. Default: start one.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", envvar="TRADEHITS_API_KEY", show_envvar=True, help="Its API key, where it wants one."),
    ] = None,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Run the SQL queries and curl requests that users run, and say what each returned.

    Exit code 1 when one does not work as it did.
    """
    from flows.compat import compat as run_examples
    from flows.compat import shown

    outcomes = run_examples(profile_settings(profile), url=url, key=key)
    typer.echo(shown(outcomes, output.value))
    if any(outcome.verdict == "failed" for outcome in outcomes):
        raise typer.Exit(1)

"""The command line of API keys: `tradehits serve keys add`, `list` and `revoke`."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_options import ProfileOption, ReportChoice, profile_settings

keys_app = typer.Typer(help="API keys of the service: add, list, revoke.", no_args_is_help=True)


@keys_app.command()
def add(
    name: Annotated[str, typer.Argument(help="Who or what will use it; the access log shows this name.")],
    profile: ProfileOption = None,
) -> None:
    """Make a key and print it: the only time that it is shown."""
    from flows.keys import add_key

    typer.echo(add_key(profile_settings(profile), name))


@keys_app.command("list")
def list_command(
    profile: ProfileOption = None,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Every key ever made, revoked ones included; never the keys themselves."""
    from flows.keys import list_keys

    typer.echo(list_keys(profile_settings(profile), output.value))


@keys_app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Name or id of the key.")],
    profile: ProfileOption = None,
) -> None:
    """End a key for good; running services notice by themselves."""
    from flows.keys import revoke_key

    typer.echo(revoke_key(profile_settings(profile), key))

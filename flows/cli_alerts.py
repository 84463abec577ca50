"""The command line of alerts: `tradehits alerts list`, `show`, `ack`, `resolve`, `deliver` and `test`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_options import AssetTypeChoice, ProfileOption, ReportChoice, profile_settings

if TYPE_CHECKING:
    from market.assets import AssetType

alerts_app = typer.Typer(
    help="Alerts: list, show, acknowledge, resolve, deliver, test a channel.", no_args_is_help=True
)

AlertArgument = Annotated[str, typer.Argument(help="Its id, or the beginning of it, as `alerts list` shows it.")]
ByOption = Annotated[str, typer.Option("--by", help="Who does it.")]
NoteOption = Annotated[str, typer.Option("--note", help="What the history should say about it.")]
OutputOption = Annotated[ReportChoice, typer.Option("--format", help="table or json.")]


@alerts_app.command("list")
def list_command(
    profile: ProfileOption = None,
    asset_type: Annotated[
        list[AssetTypeChoice] | None, typer.Option("--asset-type", help="Of this class only; repeatable.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    output: OutputOption = ReportChoice.TABLE,
) -> None:
    """Open alerts, newest first."""
    settings = profile_settings(profile)
    from flows.alerts import list_alerts

    classes: list[AssetType] = [choice.value for choice in asset_type or []]
    typer.echo(list_alerts(settings, output.value, asset_types=classes, everything=everything))


@alerts_app.command()
def show(alert_id: AlertArgument, profile: ProfileOption = None, output: OutputOption = ReportChoice.TABLE) -> None:
    """One alert, and everything that happened to it."""
    settings = profile_settings(profile)
    from flows.alerts import show_alert

    typer.echo(show_alert(settings, alert_id, output.value))


@alerts_app.command()
def ack(alert_id: AlertArgument, by: ByOption, note: NoteOption = "", profile: ProfileOption = None) -> None:
    """Take an alert on: it stays open, and is sent no more until it escalates."""
    settings = profile_settings(profile)
    from flows.alerts import acknowledge

    typer.echo(acknowledge(settings, alert_id, by, note))


@alerts_app.command()
def resolve(alert_id: AlertArgument, by: ByOption, note: NoteOption = "", profile: ProfileOption = None) -> None:
    """Close an alert; what is raised again on a later day opens a new one."""
    settings = profile_settings(profile)
    from flows.alerts import resolve as resolve_alert

    typer.echo(resolve_alert(settings, alert_id, by, note))


@alerts_app.command()
def deliver(profile: ProfileOption = None) -> None:
    """Send what waits: messages that failed, the digest, what quiet hours held back. Judges nothing."""
    settings = profile_settings(profile)
    from flows.alerts import deliver as deliver_waiting

    typer.echo(deliver_waiting(settings))


@alerts_app.command()
def test(
    channel: Annotated[str, typer.Argument(help="Name of the channel: <NAME> of TRADEHITS_ALERT_URL_<NAME>.")],
    profile: ProfileOption = None,
) -> None:
    """Send a channel a harmless message."""
    settings = profile_settings(profile)
    from flows.alerts import test_channel

    typer.echo(test_channel(settings, channel.lower()))

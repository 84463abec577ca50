"""The command line of the audit: `tradehits audit`, `audit waive` and `audit explain`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_options import AssetTypeChoice, ProfileOption, ReportChoice, profile_settings, writing_flow
from flows.explain_command import explain_command
from market.errors import ConfigError

if TYPE_CHECKING:
    from configs.settings import Settings
    from flows.context import Context
    from market.assets import AssetType

audit_app = typer.Typer(invoke_without_command=True)


@audit_app.callback()
def audit(
    context: typer.Context,
    profile: ProfileOption = None,
    asset_type: Annotated[
        list[AssetTypeChoice] | None,
        typer.Option("--asset-type", help="Audit this class only; repeatable. Default: all with bars."),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Id of a training run. Default: the newest of each class.")
    ] = None,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Check data, features and the newest run's record for hindsight, duplicates and broken time rules.

    Exit code 1 when a check failed.
    """
    if context.invoked_subcommand is not None:
        return
    settings = profile_settings(profile)
    from flows.audit import as_json
    from flows.audit import audit as run_audit
    from flows.audit_show import as_table
    from flows.progress import LogReporter, RichReporter

    reporter = LogReporter() if output is ReportChoice.JSON else RichReporter()
    classes: list[AssetType] = [choice.value for choice in asset_type or []]
    reports = run_audit(settings, reporter, asset_types=classes, run_id=run)
    typer.echo(as_json(reports) if output is ReportChoice.JSON else as_table(reports))
    if any(report.of("failed") for report in reports):
        raise typer.Exit(1)


@audit_app.command()
def waive(
    profile: ProfileOption = None,
    check: Annotated[str, typer.Option("--check", help="Name of the failed check, such as truncation.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Its subject, as the audit shows it.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who decides.")] = "",
    why: Annotated[str, typer.Option("--why", help="The reason.")] = "",
    asset_type: Annotated[
        AssetTypeChoice | None, typer.Option("--asset-type", help="Of this class only. Default: as the subject says.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day on which it counts (UTC).")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Show every waiver ever given.")] = False,
    withdraw: Annotated[str | None, typer.Option("--withdraw", help="End this waiver; --by and --why say who.")] = None,
) -> None:
    """Let a failed check through, with name and reason; it stays in every report as waived."""
    settings = profile_settings(profile)
    if show:
        _list_waivers(settings)
        return
    if not by.strip() or not why.strip():
        raise ConfigError("a waiver needs --by and --why", remedy="say who decides, and why")

    def body(context: Context) -> None:
        from training.audit_waivers import add_waiver, withdraw_waiver

        if withdraw is not None:
            done = withdraw_waiver(context.warehouse, withdraw, by=by, why=why)
            typer.echo(f"{done.waiver_id[:8]} withdrawn: {done.check_name} of {done.subject} blocks again")
            return
        given = add_waiver(
            context.warehouse,
            check=check,
            subject=subject,
            by=by,
            why=why,
            asset_type=asset_type.value if asset_type else None,
            until=until.date() if until else None,
        )
        typer.echo(
            f"{given.waiver_id[:8]} recorded: {given.check_name} of {given.subject}, waived by {given.waived_by}"
        )

    writing_flow("waive", settings, body)


def _list_waivers(settings: Settings) -> None:
    from flows.audit_show import waivers_table
    from training.audit_waivers import stored_waivers
    from warehouse.engines import open_warehouse

    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    typer.echo(waivers_table(stored_waivers(warehouse)))


audit_app.command("explain")(explain_command)

"""The command line of monitoring: `tradehits monitor`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_options import AssetTypeChoice, ProfileOption, ReportChoice, profile_settings, writing_flow

if TYPE_CHECKING:
    from flows.context import Context
    from flows.monitor_report import MonitorReport
    from market.assets import AssetType


def monitor(
    profile: ProfileOption = None,
    date: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="Judge as this day would have. Default: each class's today."),
    ] = None,
    asset_type: Annotated[
        list[AssetTypeChoice] | None,
        typer.Option("--asset-type", help="This class only; repeatable. Default: all with bars."),
    ] = None,
    check_drift: Annotated[
        bool, typer.Option("--check-drift/--no-check-drift", help="Judge and alert, or bring daily figures up to date.")
    ] = True,
    alert_threshold: Annotated[
        float | None,
        typer.Option(
            "--alert-threshold",
            help="7-day accuracy below this share of its baseline is a WARNING. Default: the setting.",
        ),
    ] = None,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Is the model still working? Daily performance, drift, alerts, reports, messages, advice.

    Exits with 1 when something could not be judged or stored; a report or channel that failed is told and no more.
    """
    settings = profile_settings(profile)
    classes: list[AssetType] = [choice.value for choice in asset_type or []]

    def body(context: Context) -> MonitorReport:
        from flows.monitor import monitor as monitor_classes

        day = date.date() if date else None
        return monitor_classes(context, classes, day, check_drift=check_drift, alert_threshold=alert_threshold)

    report = writing_flow("monitor", settings, body)

    from flows.monitor_show import as_json, as_table

    typer.echo(as_json(report) if output is ReportChoice.JSON else as_table(report))
    if not report.succeeded:
        raise typer.Exit(1)

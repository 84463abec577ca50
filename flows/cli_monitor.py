"""The command line of monitoring: `tradehits monitor`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_options import (
    AssetTypeChoice,
    CatchUpOption,
    ProfileOption,
    ReportChoice,
    profile_settings,
    refuse_beside_catch_up,
    told_days,
    writing_flow,
)

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
    catch_up: CatchUpOption = False,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Is the model still working? Daily performance, drift, alerts, reports, messages, advice.

    Exits with 1 when something could not be judged or stored; a report or channel that failed is told and no more.
    """
    settings = profile_settings(profile)
    classes: list[AssetType] = [choice.value for choice in asset_type or []]
    if catch_up:
        refuse_beside_catch_up({"--date": date, "--no-check-drift": not check_drift})

    def body(context: Context) -> MonitorReport:
        from flows.monitor import monitor as monitor_classes

        if catch_up:
            _catch_up(context, classes, alert_threshold)
        day = date.date() if date else None
        return monitor_classes(context, classes, day, check_drift=check_drift, alert_threshold=alert_threshold)

    report = writing_flow("monitor", settings, body)

    from flows.monitor_show import as_json, as_table

    typer.echo(as_json(report) if output is ReportChoice.JSON else as_table(report))
    if not report.succeeded:
        raise typer.Exit(1)


def _catch_up(context: Context, classes: list[AssetType], alert_threshold: float | None) -> None:
    from flows.catch_up import catch_up_monitoring
    from warehouse.features import stored_asset_types

    chosen = classes or stored_asset_types(context.warehouse)
    told_days(catch_up_monitoring(context, chosen, alert_threshold=alert_threshold))

"""The command line of inference: `tradehits predict` and `tradehits today`."""

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
    from market.assets import AssetType


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(predict)
    app.command()(today)


def predict(
    profile: ProfileOption = None,
    date: Annotated[
        datetime | None,
        typer.Option(
            "--date", formats=["%Y-%m-%d"], help="Score the bars stamped with this day, as known then. Default: newest."
        ),
    ] = None,
    asset_type: Annotated[
        list[AssetTypeChoice] | None,
        typer.Option("--asset-type", help="This class only; repeatable. Default: all with bars."),
    ] = None,
    check_all: Annotated[
        bool,
        typer.Option(
            "--check-all", help="Compare every symbol with the stored rows, and replay every stored prediction."
        ),
    ] = False,
    catch_up: CatchUpOption = False,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Score the newest closed bar of every symbol, fill known outcomes, and publish the service's snapshot.

    Predictions are made once: running it again, or under a new champion, changes none of them.
    """
    settings = profile_settings(profile)
    classes: list[AssetType] = [choice.value for choice in asset_type or []]
    if catch_up:
        refuse_beside_catch_up({"--date": date})

    def body(context: Context) -> None:
        from flows.inference import predict as predict_classes
        from flows.inference_show import as_json, as_table

        if catch_up:
            _catch_up(context, classes)
        day = date.date() if date else None
        report = predict_classes(context, classes, day, check_all=check_all, features_are_new=catch_up)
        typer.echo(as_json(report) if output is ReportChoice.JSON else as_table(report))

    writing_flow("predict", settings, body)


def _catch_up(context: Context, classes: list[AssetType]) -> None:
    from flows.catch_up import catch_up_predictions
    from flows.features import features
    from warehouse.features import stored_asset_types

    features(context, only_new=True)
    told_days(catch_up_predictions(context, classes or stored_asset_types(context.warehouse)))


def today(profile: ProfileOption = None) -> None:
    """Today's signals, from which model, how sure: five lines."""
    from flows.today import today as read_today

    typer.echo("\n".join(read_today(profile_settings(profile))))

"""The command `tradehits audit explain`; what it needs is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli_options import AssetTypeChoice, ProfileOption, ReportChoice, profile_settings

MAX_DUPLICATES = 50


def explain_command(
    path: Annotated[
        Path,
        typer.Option("--path", help="A csv or parquet file of daily bars, or a folder; other columns are ignored."),
    ],
    profile: ProfileOption = None,
    asset_type: Annotated[
        AssetTypeChoice | None,
        typer.Option("--asset-type", help="Class of the bars. Default: what the file says, else etf."),
    ] = None,
    duplicates: Annotated[
        int,
        typer.Option(
            "--duplicates", min=1, max=MAX_DUPLICATES, help="Copies of each row in the reported construction."
        ),
    ] = 1,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="PNG file of the waterfall. Default: in the profile's reports.")
    ] = None,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Rebuild a reported accuracy on your bars and take its faults away one by one, down to the honest figure."""
    from flows.explain import explain
    from flows.explain_show import as_json, as_text
    from flows.progress import RichReporter

    explained = explain(
        profile_settings(profile),
        path,
        asset_type=asset_type.value if asset_type else None,
        duplicates=duplicates,
        picture=picture,
        reporter=RichReporter(),
    )
    typer.echo(as_json(explained) if output is ReportChoice.JSON else as_text(explained))
    typer.echo(f"picture: {explained.picture}", err=True)

"""`tradehits report tearsheet`; the app `report` takes it in `flows.cli_report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli_options import ProfileOption, profile_settings


def tearsheet(
    backtest_id: Annotated[str, typer.Option("--backtest-id", help="As `tradehits backtest` printed it.")],
    out: Annotated[Path, typer.Option("--out", help="The HTML file, or a folder for it.")],
    profile: ProfileOption = None,
) -> None:
    """One backtest as a self-contained page: equity, months, risk, trades, costs, symbols, simulated paths."""
    settings = profile_settings(profile)
    from flows.tearsheet import tearsheet as write_page

    typer.echo(f"written: {write_page(settings, backtest_id, out)}")

"""What the command line's modules share: options, choices, and how a command gets its settings and its turn."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from click import get_current_context

if TYPE_CHECKING:
    from configs.settings import Settings
    from flows.context import Context

T = TypeVar("T")

ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile", help="Settings profile: sample, local, bigquery, test. Default: TRADEHITS_PROFILE, else sample."
    ),
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--source",
        help="sample, simulated, parquet, csv, yfinance, ccxt or bigquery. Default: what the profile names.",
    ),
]
PathOption = Annotated[
    list[Path] | None, typer.Option("--path", help="A file or folder of the source; repeat it for several.")
]


class AssetTypeChoice(StrEnum):
    """Asset classes as command-line choices."""

    STOCKS = "stocks"
    ETF = "etf"
    CRYPTO = "crypto"


ClassOption = Annotated[
    AssetTypeChoice | None,
    typer.Option("--asset-type", help="Bars of this class only, and the class of files that do not say theirs."),
]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", help="What was known at this instant, such as 2024-01-31T00:00:00Z; default: today."),
]


class FormatChoice(StrEnum):
    """Output formats."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class ModeChoice(StrEnum):
    """Ways to fit the folds."""

    EXACT = "exact"
    WARM_START = "warm_start"


class ReportChoice(StrEnum):
    """Output formats of reports."""

    TABLE = "table"
    JSON = "json"


def profile_settings(profile: str | None) -> Settings:
    """The settings of a profile; statements of this command are billed under its name."""
    from configs.settings import load_settings
    from warehouse.engines import command

    context = get_current_context(silent=True)
    command.set(context.info_name or "" if context else "")
    return load_settings(profile)


def writing_flow(name: str, settings: Settings, body: Callable[[Context], T]) -> T:
    """Run a writing command: one at a time per profile, as a Prefect flow where a server is configured."""
    from flows.context import exclusive, open_context
    from flows.prefecting import run_flow
    from flows.progress import RichReporter

    with exclusive(settings):
        return run_flow(name, lambda tasks: body(open_context(settings, RichReporter(), tasks)))

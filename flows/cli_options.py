"""What the command line's modules share: options, choices, and how a command gets its settings and its turn."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

try:  # typer brings click along under its own name, and other versions of it need click
    from typer._click.globals import get_current_context
except ImportError:
    from click import get_current_context  # type: ignore[no-redef]

if TYPE_CHECKING:
    from configs.settings import Settings
    from flows.context import Context

T = TypeVar("T")

_OBSERVED = "tradehits.observed"

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

CatchUpOption = Annotated[
    bool,
    typer.Option("--catch-up", help="First do the days that were missed, in order; one that fails stops the rest."),
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
    """The settings of a profile; statements of this command are billed, and its events kept, under its name."""
    from configs.settings import load_settings
    from warehouse.engines import command

    context = get_current_context(silent=True)
    command.set(context.info_name or "" if context else "")
    settings = load_settings(profile)
    if context is not None and _OBSERVED not in context.meta:
        from flows.observing import observed_command

        context.meta[_OBSERVED] = True
        context.with_resource(observed_command(settings, _called(context)))
    return settings


def _called(context: Any) -> str:
    """The command as a person calls it, without the program: `models promote`."""
    names: list[str] = []
    while context is not None:
        names.insert(0, context.info_name or "")
        context = context.parent
    return " ".join(names[1:] or names)


def refuse_beside_catch_up(given: dict[str, object]) -> None:
    """Refuse options that name a day or another question than the daily one.

    Args:
        given: Options with their values; None and False are not given.

    Raises:
        ConfigError: One is given.
    """
    from market.errors import ConfigError

    named = [option for option, value in given.items() if value not in (None, False)]
    if named:
        raise ConfigError(
            f"--catch-up does missed days and then the newest one: it does not go with {', '.join(named)}",
            remedy="give one or the other",
        )


def told_days(lines: list[str]) -> None:
    """Say what was caught up, beside the command's own output."""
    for line in lines:
        typer.echo(line, err=True)


def writing_flow(name: str, settings: Settings, body: Callable[[Context], T]) -> T:
    """Run a writing command: one at a time per profile, as a Prefect flow where a server is configured."""
    from flows.context import exclusive, open_context
    from flows.prefecting import run_flow
    from flows.progress import RichReporter

    with exclusive(settings):
        return run_flow(name, lambda tasks: body(open_context(settings, RichReporter(), tasks)))

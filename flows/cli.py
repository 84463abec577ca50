"""The command line: `tradehits`. Heavy libraries are imported by the commands that use them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from market.errors import ConfigError, TradeHitsError

if TYPE_CHECKING:
    from configs.settings import Settings
    from flows.context import Context
    from market.assets import AssetType

T = TypeVar("T")

app = typer.Typer(
    name="tradehits",
    help="Trading signals whose every number is out-of-sample, free of hindsight, and can prove it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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
        help="Where bars come from: sample, simulated, parquet, csv, yfinance, ccxt. Default: the profile's own.",
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


class FormatChoice(StrEnum):
    """Output formats."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class ReportChoice(StrEnum):
    """Output formats of reports."""

    TABLE = "table"
    JSON = "json"


@app.command()
def run(
    profile: ProfileOption = None,
    source: SourceOption = None,
    path: PathOption = None,
    asset_type: ClassOption = None,
) -> None:
    """Everything: bars, features, walk-forward training, checks, published predictions and a summary."""
    settings = _settings(profile)

    def body(context: Context) -> None:
        from flows.run import run as run_everything

        summary, reports = run_everything(context, source=source, paths=path or [], asset_type=_class(asset_type))
        _show(settings, reports)
        typer.echo(f"\nDone in {summary['seconds']:.0f} s.")

    _flow("run", settings, body)


@app.command()
def ingest(
    profile: ProfileOption = None,
    source: SourceOption = None,
    path: PathOption = None,
    asset_type: ClassOption = None,
) -> None:
    """Read bars, check every one, and store what is new or changed with fresh indicators."""
    settings = _settings(profile)

    def body(context: Context) -> None:
        from flows.ingest import ingest as ingest_bars
        from flows.show import show_ingest

        show_ingest(ingest_bars(context, source=source, paths=path or [], asset_type=_class(asset_type)))

    _flow("ingest", settings, body)


@app.command()
def features(profile: ProfileOption = None) -> None:
    """Build the walk-forward features from stored bars and load them into Feast."""
    settings = _settings(profile)

    def body(context: Context) -> None:
        from flows.features import features as build
        from flows.show import show_features

        show_features(build(context))

    _flow("features", settings, body)


@app.command()
def train(
    profile: ProfileOption = None,
    asset_type: Annotated[
        list[AssetTypeChoice] | None,
        typer.Option("--asset-type", help="Train this class only; repeatable. Default: all."),
    ] = None,
) -> None:
    """Train walk-forward, check the result, register it, and publish the first champion's record."""
    settings = _settings(profile)

    def body(context: Context) -> None:
        from flows.retrain import train as train_classes

        _show(settings, train_classes(context, [choice.value for choice in asset_type or []]))

    _flow("train", settings, body)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One GoogleSQL SELECT; any project name in backticks is accepted.")],
    profile: ProfileOption = None,
    output: Annotated[FormatChoice, typer.Option("--format", help="table, csv or json.")] = FormatChoice.TABLE,
) -> None:
    """Ask the warehouse in GoogleSQL, read-only, times in UTC."""
    from flows.sql_command import run_sql

    typer.echo(run_sql(_settings(profile), query, output.value).rstrip("\n"))


def _class(choice: AssetTypeChoice | None) -> AssetType | None:
    return choice.value if choice else None


@app.command()
def doctor(
    profile: ProfileOption = None,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Examine what is stored: duplicates and what they do to accuracy, stale symbols, quarantine, variants."""
    from flows.doctor import run_doctor

    text, healthy = run_doctor(_settings(profile), output.value)
    typer.echo(text.rstrip("\n"))
    if not healthy:
        raise typer.Exit(1)


def _settings(profile: str | None) -> Settings:
    from configs.settings import load_settings

    return load_settings(profile)


def _flow(name: str, settings: Settings, body: Callable[[Context], T]) -> T:
    """Run a writing command: one at a time per profile, as a Prefect flow where a server is configured."""
    from flows.context import exclusive, open_context
    from flows.prefecting import run_flow
    from flows.progress import RichReporter

    with exclusive(settings):
        return run_flow(name, lambda tasks: body(open_context(settings, RichReporter(), tasks)))


def _show(settings: Settings, reports: list) -> None:  # type: ignore[type-arg]
    from flows.show import show_reports

    show_reports(settings, reports)


def main() -> None:
    """Entry point: named errors become one message and an exit code (1 failed, 2 bad usage)."""
    # OpenMP threads that spin while they wait make training several times slower on a machine with other work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except ConfigError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except TradeHitsError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)

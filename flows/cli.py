"""The command line: `tradehits`. Heavy libraries are imported by the commands that use them."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_alerts import alerts_app
from flows.cli_audit import audit_app
from flows.cli_backtest import backtest
from flows.cli_backup import register as register_backup
from flows.cli_compat import compat
from flows.cli_deploy import register as register_deploy
from flows.cli_models import models_app
from flows.cli_monitor import monitor
from flows.cli_options import (
    AsOfOption,
    AssetTypeChoice,
    ClassOption,
    FormatChoice,
    ModeChoice,
    PathOption,
    ProfileOption,
    ReportChoice,
    SourceOption,
    profile_settings,
    writing_flow,
)
from flows.cli_predict import register as register_predict
from flows.cli_report import report_app
from flows.cli_serve import serve_app
from flows.cli_simulate import simulate_month
from flows.cli_up import up
from market.errors import ConfigError, TradeHitsError

if TYPE_CHECKING:
    from configs.settings import Settings
    from flows.context import Context
    from market.assets import AssetType

app = typer.Typer(
    name="tradehits",
    help="Trading signals whose every number is out-of-sample, free of hindsight, and can prove it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
warehouse_app = typer.Typer(help="Look after the warehouse's own file and tables.", no_args_is_help=True)
app.add_typer(warehouse_app, name="warehouse")
app.add_typer(audit_app, name="audit")
app.add_typer(alerts_app, name="alerts")
app.add_typer(models_app, name="models")
app.add_typer(report_app, name="report")
app.add_typer(serve_app, name="serve")
app.command()(backtest)
app.command()(compat)
app.command()(up)
register_backup(app)
register_deploy(app)
app.command("simulate-month")(simulate_month)
app.command()(monitor)


@app.command()
def run(
    profile: ProfileOption = None,
    source: SourceOption = None,
    path: PathOption = None,
    asset_type: ClassOption = None,
) -> None:
    """Everything: bars, features, walk-forward training, checks, published records, inference, backtests, drift."""
    settings = profile_settings(profile)

    def body(context: Context) -> None:
        from flows.backtest_show import as_table as backtests_table
        from flows.inference_show import as_table
        from flows.monitor_show import as_table as monitoring_table
        from flows.run import run as run_everything

        done = run_everything(context, source=source, paths=path or [], asset_type=_class(asset_type))
        _show(settings, done.training)
        typer.echo(f"\nPredictions of the newest bars:\n{as_table(done.inference)}")
        typer.echo(f"\nBacktests of VALIDATE, after costs:\n{backtests_table(done.backtests)}")
        typer.echo(f"\nMonitoring:\n{monitoring_table(done.monitoring)}")
        typer.echo(f"\nDone in {done.summary['seconds']:.0f} s.")

    writing_flow("run", settings, body)


@app.command()
def ingest(
    profile: ProfileOption = None,
    source: SourceOption = None,
    path: PathOption = None,
    asset_type: ClassOption = None,
) -> None:
    """Read bars, check every one, and store what is new or changed with fresh indicators."""
    settings = profile_settings(profile)

    def body(context: Context) -> None:
        from flows.ingest import ingest as ingest_bars
        from flows.show import show_ingest

        show_ingest(ingest_bars(context, source=source, paths=path or [], asset_type=_class(asset_type)))

    writing_flow("ingest", settings, body)


@app.command()
def features(
    profile: ProfileOption = None,
    as_of: AsOfOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="With --as-of: a parquet file for the training rows.")
    ] = None,
    asset_type: Annotated[
        AssetTypeChoice | None, typer.Option("--asset-type", help="With --as-of: this class only.")
    ] = None,
) -> None:
    """Build the walk-forward features from stored bars and load them into Feast; with --as-of, those of the past."""
    settings = profile_settings(profile)
    if as_of is not None:
        _features_as_of(settings, as_of, output, asset_type)
        return
    if output is not None or asset_type is not None:
        raise ConfigError("--output and --asset-type go with --as-of", remedy="give --as-of, or leave them out")

    def body(context: Context) -> None:
        from flows.features import features as build
        from flows.show import show_features

        show_features(build(context))

    writing_flow("features", settings, body)


@app.command()
def train(
    profile: ProfileOption = None,
    asset_type: Annotated[
        list[AssetTypeChoice] | None,
        typer.Option("--asset-type", help="Train this class only; repeatable. Default: all."),
    ] = None,
    as_of: AsOfOption = None,
    mode: Annotated[
        ModeChoice | None, typer.Option("--mode", help="How folds are fitted. Default: the setting training.mode.")
    ] = None,
) -> None:
    """Train walk-forward, check the result, register it, and publish its record if it becomes champion by evidence.

    With --as-of it trains on what was known then: a study that is logged, and never registered or published.
    """
    settings = profile_settings(profile)
    if mode is not None:
        settings = settings.model_copy(update={"training": settings.training.with_mode(mode.value)})

    def body(context: Context) -> None:
        from flows.asof import instant
        from flows.retrain import train as train_classes

        classes: list[AssetType] = [choice.value for choice in asset_type or []]
        _show(settings, train_classes(context, classes, as_of=instant(as_of) if as_of else None))

    writing_flow("train", settings, body)


register_predict(app)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One GoogleSQL SELECT; any project name in backticks is accepted.")],
    profile: ProfileOption = None,
    output: Annotated[FormatChoice, typer.Option("--format", help="table, csv or json.")] = FormatChoice.TABLE,
) -> None:
    """Ask the warehouse in GoogleSQL, read-only, times in UTC."""
    from flows.sql_command import run_sql

    typer.echo(run_sql(profile_settings(profile), query, output.value).rstrip("\n"))


@warehouse_app.command()
def compact(
    profile: ProfileOption = None,
    versions: Annotated[
        bool, typer.Option("--versions", help="First drop superseded versions of bars older than versions.keep_days.")
    ] = False,
) -> None:
    """Rewrite the warehouse file without unused space, compare, and put it in place; safe when killed."""
    from flows.warehouse_command import compact as compact_file

    typer.echo(compact_file(profile_settings(profile), versions=versions))


@warehouse_app.command()
def statistics(profile: ProfileOption = None) -> None:
    """Rows, bytes and last change of every table."""
    from flows.warehouse_command import statistics as describe

    typer.echo(describe(profile_settings(profile)))


def _features_as_of(settings: Settings, as_of: str, output: Path | None, asset_type: AssetTypeChoice | None) -> None:
    """Rows and hash of training sets of the past; reads only, so it needs no turn in the pipeline."""
    from flows.asof import features_as_of, instant
    from flows.show import show_as_of

    classes: list[AssetType] = [asset_type.value] if asset_type else []
    show_as_of(features_as_of(settings, instant(as_of), asset_types=classes, output=output))
    if output is not None:
        typer.echo(f"rows written to {output}")


def _class(choice: AssetTypeChoice | None) -> AssetType | None:
    return choice.value if choice else None


@app.command()
def doctor(
    profile: ProfileOption = None,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Examine what is stored: duplicates and what they do to accuracy, stale symbols, quarantine, variants."""
    from flows.doctor import run_doctor

    text, healthy = run_doctor(profile_settings(profile), output.value)
    typer.echo(text.rstrip("\n"))
    if not healthy:
        raise typer.Exit(1)


@app.command()
def probe(
    profile: ProfileOption = None,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Ask the engine the golden GoogleSQL probes: BigQuery's documented answers, or a refusal by name."""
    from flows.probe import run_probe

    text, passed = run_probe(profile_settings(profile), output.value)
    typer.echo(text.rstrip("\n"))
    if not passed:
        raise typer.Exit(1)


@app.command()
def migrate(
    profile: ProfileOption = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Compare the datasets with the platform's tables; changes nothing (default).")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Carry the plan out.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what --apply did.")] = False,
    dataset: Annotated[str | None, typer.Option("--dataset", help="With --plan: this dataset only.")] = None,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Tables that were in BigQuery before: adopt, shadow or leave each; none is altered unless you adopt it."""
    from flows.migrate import Step, run_migrate

    if plan + apply + undo > 1:
        raise ConfigError("--plan, --apply and --undo are three commands", remedy="give one of them")
    step: Step = "apply" if apply else "undo" if undo else "plan"
    typer.echo(run_migrate(profile_settings(profile), step, output.value, dataset))


def _show(settings: Settings, reports: list) -> None:  # type: ignore[type-arg]
    from flows.show import show_reports

    show_reports(settings, reports)


def main() -> None:
    """Entry point: named errors become one message and an exit code (1 failed, 2 bad usage)."""
    # OpenMP threads that spin while they wait make training several times slower on a machine with other work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Google's libraries announce on every start when they will stop supporting this Python.
    warnings.filterwarnings("ignore", message="You are using a Python version", category=FutureWarning)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except ConfigError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except TradeHitsError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)

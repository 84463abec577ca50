"""The command line of the registry: `tradehits models`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli_options import AssetTypeChoice, ProfileOption, ReportChoice, profile_settings

if TYPE_CHECKING:
    from market.assets import AssetType

models_app = typer.Typer(
    help="Registered models: list, show, compare, promote, roll back, and model cards.", no_args_is_help=True
)

VersionArgument = Annotated[
    str, typer.Argument(help="walk_forward_<class>/<n>; with --asset-type also <n>, champion or challenger.")
]
OfClass = Annotated[AssetTypeChoice | None, typer.Option("--asset-type", help="This class only.")]
RequiredClass = Annotated[AssetTypeChoice, typer.Option("--asset-type", help="The class whose champion changes.")]
Format = Annotated[ReportChoice, typer.Option("--format", help="table or json.")]
By = Annotated[str, typer.Option("--by", help="Who changes the champion; recorded.")]
Why = Annotated[str, typer.Option("--why", help="The reason; recorded.")]


@models_app.command("list")
def list_command(
    profile: ProfileOption = None, asset_type: OfClass = None, output: Format = ReportChoice.TABLE
) -> None:
    """Every registered version: alias, status, what it was trained on, what it scored."""
    from flows.models import versions
    from flows.models_show import listed

    typer.echo(listed(versions(profile_settings(profile), _class(asset_type)), output.value))


@models_app.command()
def show(
    version: VersionArgument,
    profile: ProfileOption = None,
    asset_type: OfClass = None,
    output: Format = ReportChoice.TABLE,
) -> None:
    """One version: results with base rates and intervals, checks, thresholds, and who promoted it and why."""
    from flows.models import show as show_version
    from flows.models_show import shown

    typer.echo(shown(show_version(profile_settings(profile), version, _class(asset_type)), output.value))


@models_app.command()
def compare(
    challenger: VersionArgument,
    champion: VersionArgument,
    profile: ProfileOption = None,
    asset_type: OfClass = None,
    output: Format = ReportChoice.TABLE,
) -> None:
    """Two versions on the bars that both predicted out of sample, with paired intervals, and what the rules say."""
    from flows.models import compare as compare_versions
    from flows.models_show import compared

    decision = compare_versions(profile_settings(profile), challenger, champion, _class(asset_type))
    typer.echo(compared(decision, output.value))


@models_app.command()
def promote(
    asset_type: RequiredClass,
    by: By,
    why: Why,
    version: Annotated[str | None, typer.Option("--version", help="Default: the challenger.")] = None,
    against_the_rules: Annotated[
        bool, typer.Option("--against-the-rules", help="Even if the evidence says no; recorded as such.")
    ] = False,
    profile: ProfileOption = None,
    output: Format = ReportChoice.TABLE,
) -> None:
    """Make the challenger, or another version, the champion and publish its record."""
    from flows.models import promote as promote_version
    from flows.models_show import changed

    settings = profile_settings(profile)
    done = promote_version(settings, asset_type.value, version, by=by, why=why, against_the_rules=against_the_rules)
    typer.echo(changed(done, output.value))


@models_app.command()
def rollback(
    asset_type: RequiredClass,
    by: By,
    why: Why,
    to: Annotated[str | None, typer.Option("--to", help="An earlier champion. Default: the one before.")] = None,
    profile: ProfileOption = None,
    output: Format = ReportChoice.TABLE,
) -> None:
    """Go back to an earlier champion: model, feature service, thresholds and calibration at once, then its record."""
    from flows.champion_change import rollback as roll_back
    from flows.models_show import changed

    done = roll_back(profile_settings(profile), asset_type.value, to, by=by, why=why)
    typer.echo(changed(done, output.value))


@models_app.command()
def card(
    version: VersionArgument,
    profile: ProfileOption = None,
    asset_type: OfClass = None,
    output: Annotated[Path | None, typer.Option("--output", help="Copy the card to this HTML file.")] = None,
) -> None:
    """Where a version's model card is: one self-contained HTML page."""
    from flows.models import card as card_of

    typer.echo(str(card_of(profile_settings(profile), version, _class(asset_type), output)))


def _class(choice: AssetTypeChoice | None) -> AssetType | None:
    return choice.value if choice else None

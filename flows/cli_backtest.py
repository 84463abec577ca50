"""The command line of backtests: `tradehits backtest`."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, cast

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
    from flows.backtest import BacktestQuestion
    from flows.context import Context
    from market.signals import Confidence

_DAY = ("%Y-%m-%d",)


class OriginChoice(StrEnum):
    """Where predictions come from."""

    WALK_FORWARD = "walk_forward"
    LIVE = "live"


def backtest(
    profile: ProfileOption = None,
    strategy: Annotated[
        list[str] | None, typer.Option("--strategy", help="Name in backtest.strategies; repeatable. Default: all.")
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option("--from", formats=list(_DAY), help="First bar. Default: the first one of the class's VALIDATE."),
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=list(_DAY), help="Last bar, included. Default: the newest.")
    ] = None,
    lookback_days: Annotated[
        int | None,
        typer.Option(
            "--lookback-days",
            min=1,
            help="Instead of --from: so many calendar days up to --to, or up to each class's present day.",
        ),
    ] = None,
    confidence_levels: Annotated[
        list[str] | None,
        typer.Option(
            "--confidence-levels",
            help="Such as HIGH,MEDIUM: what strategies that enter by confidence act on; only they are run then.",
        ),
    ] = None,
    asset_type: Annotated[
        list[AssetTypeChoice] | None,
        typer.Option("--asset-type", help="This class only; repeatable. Default: all with predictions."),
    ] = None,
    grid: Annotated[
        bool, typer.Option("--grid", help="Also every cell of each strategy's grid; every one counts as a trial.")
    ] = False,
    predictions: Annotated[
        OriginChoice,
        typer.Option("--predictions", help="The champion's record, or live: what was predicted, beside the record."),
    ] = OriginChoice.WALK_FORWARD,
    catch_up: CatchUpOption = False,
    output: Annotated[ReportChoice, typer.Option("--format", help="table or json.")] = ReportChoice.TABLE,
) -> None:
    """Trade the published predictions by configured strategies, with costs, and store results and trades.

    One row for each asset class and strategy, and one for the portfolio of all classes whose dates overlap (`all`).
    """
    settings, levels = profile_settings(profile), _levels(confidence_levels or [])
    if catch_up:
        live = predictions is OriginChoice.LIVE
        given = {"--from": start, "--to": end, "--lookback-days": lookback_days, "--grid": grid}
        refuse_beside_catch_up({**given, "--confidence-levels": levels or None, "--predictions live": live})

    def body(context: Context) -> None:
        from flows.backtest import BacktestQuestion
        from flows.backtest import backtest as run_backtests
        from flows.backtest_live import compare_live
        from flows.backtest_show import shown

        question = BacktestQuestion(
            strategies=tuple(strategy or ()),
            asset_types=tuple(choice.value for choice in asset_type or ()),
            start=_day(start),
            end=_day(end),
            lookback_days=lookback_days,
            levels=levels,
            grid=grid,
            origin=predictions.value,
        )
        if catch_up:
            _catch_up(context, question)
        finished = run_backtests(context, question)
        live = compare_live(context, question) if predictions is OriginChoice.LIVE else []
        typer.echo(shown(finished, live, output.value))

    writing_flow("backtest", settings, body)


def _catch_up(context: Context, question: BacktestQuestion) -> None:
    from flows.catch_up import catch_up_backtests

    told_days(catch_up_backtests(context, question))


def _levels(given: list[str]) -> tuple[Confidence, ...]:
    from market.errors import ConfigError
    from market.strategies import CONFIDENCES, in_order

    named = [one.strip().upper() for text in given for one in text.split(",")]
    unknown = [one for one in named if one not in CONFIDENCES]
    if unknown:
        raise ConfigError(f"unknown confidence level {unknown[0]!r}", remedy=f"one of {', '.join(CONFIDENCES)}")
    return in_order(cast("list[Confidence]", named))


def _day(given: datetime | None) -> date | None:
    return given.date() if given else None

"""Backtests of the champion's record, or of what was predicted live: strategies, classes, portfolio, tables, MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from configs.backtest import StrategySettings
from configs.settings import Settings
from flows.backtest_cells import Arena, Cell, cells_of, class_arena, portfolio_arena
from flows.backtest_log import BacktestLog
from flows.backtest_measure import measure_cells, plan
from flows.backtest_report import BacktestReport, result_row, trade_rows
from flows.backtest_trials import deflate, model_trials
from flows.context import Context
from market.assets import ASSET_TYPES, AssetType
from market.errors import BacktestError, ConfigError
from market.signals import Confidence
from market.strategies import in_order
from warehouse.backtests import (
    BacktestInputs,
    Origin,
    backtest_writes,
    read_inputs,
    stored_trials,
    today_of,
    validate_start,
)
from warehouse.clock import wall_clock
from warehouse.ingest import stored_sources
from warehouse.warehouse import ReadConnection

SIMULATED = "simulated"

_WHERE_TO_LOOK: Final[dict[Origin, tuple[str, str]]] = {
    "walk_forward": (
        "published predictions",
        "choose dates that `SELECT asset_type, MIN(datetime), MAX(datetime) FROM "
        "ml_models.walk_forward_predictions_v2 GROUP BY 1` covers, or run `tradehits run` first",
    ),
    "live": (
        "live predictions that were made in time",
        "choose dates that `SELECT asset_type, is_backfill, MIN(datetime), MAX(datetime) FROM "
        "tradehits.v_live_predictions GROUP BY 1, 2` covers; back-fills are no live predictions",
    ),
}


@dataclass(frozen=True)
class BacktestQuestion:
    """What is asked for.

    Attributes:
        strategies: Names in the settings; empty: all.
        asset_types: Classes; empty: all that have predictions in the window.
        start: First bar; None: each class's VALIDATE, from its first date on.
        end: Last bar, included; None: the newest.
        lookback_days: Instead of `start`: so many calendar days up to `end`, or up to each class's present day.
        levels: Confidence levels of the strategies that enter by confidence, instead of their own; the others are not
            run then. Empty: their own.
        grid: Also every cell of each strategy's grid.
        origin: The champion's record, or live predictions.
    """

    strategies: tuple[str, ...] = ()
    asset_types: tuple[AssetType, ...] = ()
    start: date | None = None
    end: date | None = None
    lookback_days: int | None = None
    levels: tuple[Confidence, ...] = ()
    grid: bool = False
    origin: Origin = "walk_forward"


@dataclass(frozen=True)
class Backtested:
    """One finished backtest, and its row as it is stored."""

    report: BacktestReport
    row: dict[str, Any]


def backtest(context: Context, question: BacktestQuestion) -> list[Backtested]:
    """Run strategies on each asset class and on the portfolio of all classes whose dates overlap; store and log them.

    The same inputs give the same `backtest_id` and replace their own rows. A strategy without trades is a result.

    Raises:
        ConfigError: An unknown strategy, dates that contradict each other, or confidence levels for a strategy that
            does not enter by confidence.
        BacktestError: No prediction in the window, or rows that cannot be backtested.
    """
    settings = context.settings
    cells = _cells(settings, question)
    with context.reporter.step("read predictions and bars"):
        inputs = gather(context, question)
        simulated = {name for name, sources in stored_sources(context.warehouse).items() if SIMULATED in sources}
    arenas: list[Arena] = [class_arena(one) for one in inputs]
    if (portfolio := portfolio_arena(inputs)) is not None:
        arenas.append(portfolio)
    with context.reporter.step("open MLflow"):
        log = BacktestLog(settings)
        models = model_trials(settings)
    finished: list[Backtested] = []
    for arena in arenas:
        done = context.tasks.run(
            f"backtest-{arena.asset_type}", _backtest_arena, context, log, arena, cells, models, simulated
        )
        finished += done
    return finished


def gather(context: Context, question: BacktestQuestion) -> list[BacktestInputs]:
    """Predictions and bars of every class asked for.

    Raises:
        ConfigError: Dates that contradict each other.
        BacktestError: A class that was asked for has no prediction in the window, or none has.
    """
    _refuse_dates(question)
    settings, asked = context.settings, question.asset_types or ASSET_TYPES
    found, empty = [], []
    with context.warehouse.read() as read:
        for asset_type in asked:
            start, end = _window(read, settings, question, asset_type)
            inputs = read_inputs(read, settings, asset_type, question.origin, start, end)
            if inputs is None:
                empty.append(f"{asset_type} from {start}")
            else:
                found.append(inputs)
    if not found or (question.asset_types and empty):
        until = f" to {question.end}" if question.end else ""
        name, remedy = _WHERE_TO_LOOK[question.origin]
        if question.lookback_days is not None and question.end is None:
            remedy += "; where bars ended long ago, give --to, or replay them with clock.<class>: end_of_data"
        raise BacktestError(f"there are no {name} of {', '.join(empty)}{until}", field="datetime", remedy=remedy)
    return found


def _refuse_dates(question: BacktestQuestion) -> None:
    if question.start and question.end and question.end < question.start:
        raise ConfigError(f"--to {question.end} lies before --from {question.start}", remedy="exchange the dates")
    if question.lookback_days is not None and question.start:
        raise ConfigError("--lookback-days and --from both say where the window begins", remedy="leave one of them out")
    if question.lookback_days is not None and question.lookback_days < 1:
        raise ConfigError(f"--lookback-days {question.lookback_days} is no window", remedy="give 1 or more")


def _window(
    read: ReadConnection, settings: Settings, question: BacktestQuestion, asset_type: AssetType
) -> tuple[date, date | None]:
    if question.lookback_days is not None:
        last = question.end or today_of(read, asset_type)
        return last - timedelta(days=question.lookback_days - 1), last
    return question.start or validate_start(settings, asset_type), question.end


def _backtest_arena(
    context: Context,
    log: BacktestLog,
    arena: Arena,
    cells: Sequence[Cell],
    models: dict[AssetType, int],
    simulated: set[str],
) -> list[Backtested]:
    settings, name = context.settings, arena.asset_type
    planned = [plan(arena, settings, cell) for cell in cells]
    with context.reporter.step(f"{name}: {len(planned)} backtests") as advance:
        reports = measure_cells(arena, settings, planned, simulated=simulated, advance=advance)
    with context.reporter.step(f"{name}: store"):
        with context.warehouse.read() as read:
            before = stored_trials(read, name)
        tried = sum(models.get(one, 1) for one in arena.market.classes)
        deflated = deflate(reports, before, models=tried, periods=arena.market.days_per_year)
        now = wall_clock()
        rows = [result_row(report, one, now) for report, one in zip(reports, deflated, strict=True)]
        finished = [Backtested(report, row) for report, row in zip(reports, rows, strict=True)]
        _store(context, finished)
    with context.reporter.step(f"{name}: log"):
        log.log(finished)
    return finished


def _store(context: Context, finished: Sequence[Backtested]) -> None:
    import polars as pl

    trades = pl.concat([trade_rows(one.report) for one in finished])
    context.warehouse.write(backtest_writes([one.row for one in finished], trades))


def _cells(settings: Settings, question: BacktestQuestion) -> list[Cell]:
    known = settings.backtest.strategies
    unknown = [name for name in question.strategies if name not in known]
    if unknown:
        raise ConfigError(
            f"unknown strategy {unknown[0]!r}",
            remedy=f"one of {', '.join(known)}, or add it under backtest.strategies in configs/",
        )
    chosen = dict.fromkeys(question.strategies or tuple(known))
    if question.levels:
        chosen = dict.fromkeys(name for name in chosen if _enters_by_confidence(known, name, question))
    return [
        cell
        for name in chosen
        for cell in cells_of(name, known[name], grid=question.grid, levels=in_order(question.levels))
    ]


def _enters_by_confidence(known: Mapping[str, StrategySettings], name: str, question: BacktestQuestion) -> bool:
    able = [one for one, settings in known.items() if settings.entry == "confidence"]
    if name not in able and (question.strategies or not able):
        raise ConfigError(
            f"--confidence-levels do not apply to {name!r}, which does not enter by confidence",
            remedy=f"ask for one that does: {', '.join(able) or 'none is configured'}",
        )
    return name in able

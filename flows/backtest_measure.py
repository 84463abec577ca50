"""One strategy on one market, measured: figures, benchmark, intervals and simulations."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from configs.backtest import MonteCarloSettings
from configs.settings import Settings
from flows.backtest_cells import (
    Arena,
    Cell,
    backtest_id,
    decisions_of,
    shuffled_signals,
    signals_of,
    told_choices,
    trial_id,
)
from flows.backtest_report import BacktestReport, Benchmark
from market.backtest import BacktestParameters, BacktestRun, Signals, run_backtest, run_grid
from market.monte_carlo import Paths, bootstrap_days, permute_trades
from market.monte_carlo_null import Null, null_of, shift_shares
from market.overfitting import ReturnShape
from market.returns import ReturnMeasures, alpha_beta, drawdown_pct, equity_returns, measure_curves, measure_returns
from market.returns_benchmark import buy_and_hold
from market.returns_intervals import return_intervals
from market.returns_trades import measure_trades
from market.returns_usage import measure_usage
from market.strategies import Decisions

_NOT_VALIDATE = "reaches into {splits}: thresholds and settings were chosen while looking at these bars"
_GRID_THREADS = 2


@dataclass(frozen=True)
class Planned:
    """A cell with everything decided but not yet traded."""

    cell: Cell
    parameters: BacktestParameters
    decisions: Decisions
    signals: Signals


def plan(arena: Arena, settings: Settings, cell: Cell) -> Planned:
    """What a cell would do on a market."""
    parameters = settings.backtest.parameters(arena.asset_type, cell.settings)  # type: ignore[arg-type]
    decisions = decisions_of(arena, cell.settings)
    return Planned(cell, parameters, decisions, signals_of(arena, decisions))


def measure_cells(
    arena: Arena,
    settings: Settings,
    planned: list[Planned],
    *,
    simulated: Collection[str],
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> list[BacktestReport]:
    """Trade all cells in one pass over the market and measure each.

    Args:
        arena: Market and predictions.
        settings: Simulations and intervals.
        planned: The cells.
        simulated: Asset classes with bars that were drawn.
        advance: Told how many cells are done.

    Raises:
        BacktestError: See `market.backtest.run_backtest`.
    """
    runs = run_grid(arena.market, [(one.signals, one.parameters) for one in planned], threads=_GRID_THREADS)
    held = buy_and_hold(arena.market)
    reports = []
    for number, (one, run) in enumerate(zip(planned, runs, strict=True)):
        reports.append(_measure(arena, settings, one, run, held, simulated))
        advance(number + 1, len(planned))
    return reports


def _measure(
    arena: Arena,
    settings: Settings,
    planned: Planned,
    run: BacktestRun,
    held: npt.NDArray[np.float64],
    simulated: Collection[str],
) -> BacktestReport:
    market, capital, given = arena.market, planned.parameters.capital_usd, settings.backtest.monte_carlo
    periods = market.days_per_year
    returns, other = equity_returns(run.equity, capital), equity_returns(held, 1.0)
    measures, trades = measure_returns(returns, periods_per_year=periods), run.trades
    results = trades["return_usd"].to_numpy()
    return BacktestReport(
        backtest_id=backtest_id(arena, planned.cell, planned.parameters),
        strategy_name=planned.cell.strategy_name,
        asset_type=arena.asset_type,
        start=market.start,
        end=market.end,
        is_simulated=bool(set(simulated) & set(market.classes)),
        model_version=arena.model_version,
        origin=arena.inputs[0].origin,
        parameters={
            "trial": trial_id(arena, planned.cell, planned.parameters),
            "origin": arena.inputs[0].origin,
            "classes": list(market.classes),
            "symbols": len(market.keys.symbols),
            "data_hash": arena.data_hash,
            "thresholds": {one.asset_type: vars(one.thresholds) for one in arena.inputs},
            **told_choices(planned.cell, planned.parameters),
        },
        run=run,
        daily=_daily(arena, planned, run, returns, held),
        returns=measures,
        shape=ReturnShape.of(returns),
        trades=measure_trades(trades["return_pct"].to_numpy(), results, trades["position_size"].to_numpy()),
        usage=measure_usage(run),
        benchmark=_benchmark(returns, other, periods),
        intervals=return_intervals(
            returns,
            periods_per_year=periods,
            samples=settings.evaluation.bootstrap_samples,
            block_days=settings.evaluation.bootstrap_block_days,
            seed=settings.evaluation.bootstrap_seed,
            benchmark=other,
        ),
        paths=_paths(returns, given) if trades.height else None,
        orders=permute_trades(
            _by_exit(trades), capital, paths=given.paths, ruin_loss_pct=given.ruin_loss_pct, seed=given.seed
        ),
        null=_null(arena, planned, measures, settings) if not planned.cell.is_grid else None,
        remarks=_remarks(arena, run, simulated),
    )


def _paths(returns: npt.NDArray[np.float64], given: MonteCarloSettings) -> Paths | None:
    return bootstrap_days(
        returns,
        paths=given.paths,
        days=given.days,
        block_days=given.block_days,
        ruin_loss_pct=given.ruin_loss_pct,
        seed=given.seed,
    )


def _benchmark(returns: npt.NDArray[np.float64], other: npt.NDArray[np.float64], periods: int) -> Benchmark:
    alpha, beta = alpha_beta(returns, other, periods_per_year=periods)
    measures: ReturnMeasures = measure_returns(other, periods_per_year=periods)
    return Benchmark(measures.total_return_pct, measures, alpha, beta)


def _null(arena: Arena, planned: Planned, measures: ReturnMeasures, settings: Settings) -> Null | None:
    """The Sharpe ratio among those of the same signals moved in time."""
    given = settings.backtest.monte_carlo
    if not given.shuffles or measures.sharpe_ratio is None:
        return None
    capital, periods = planned.parameters.capital_usd, arena.market.days_per_year
    curves = np.empty((given.shuffles, arena.market.days.size))
    shares = shift_shares(given.shuffles, given.seed)
    for number, signals in enumerate(shuffled_signals(arena, planned.decisions, shares)):
        run = run_backtest(arena.market, signals, planned.parameters)
        curves[number] = equity_returns(run.equity, capital)
    return null_of(measures.sharpe_ratio, measure_curves(curves, periods_per_year=periods)["sharpe_ratio"])


def _daily(
    arena: Arena,
    planned: Planned,
    run: BacktestRun,
    returns: npt.NDArray[np.float64],
    held: npt.NDArray[np.float64],
) -> pl.DataFrame:
    frame = arena.predictions.frame
    direction = pl.Series("direction", planned.decisions.direction)
    known = frame.select(
        pl.col("datetime").dt.date().alias("date"), "actual_direction", "entry_probability"
    ).with_columns(direction)
    up, acted = pl.col("actual_direction") == 1, pl.col("direction") != 0
    right, hit = (pl.col("entry_probability") >= 0.5) == up, (pl.col("direction") > 0) == up
    counts = (
        known.drop_nulls("actual_direction")
        .group_by("date")
        .agg(
            pl.len().alias("predictions"),
            right.sum().alias("predictions_right"),
            up.sum().alias("predictions_up"),
            acted.sum().alias("signals"),
            (acted & hit).sum().alias("signals_right"),
            (acted & up).sum().alias("signals_up"),
        )
        .with_columns(pl.exclude("date").cast(pl.Int64))
    )
    names = [name for name in counts.columns if name != "date"]
    return (
        run.daily.with_columns(
            pl.Series("return_pct", 100 * returns),
            pl.Series("drawdown_pct", drawdown_pct(returns)),
            pl.Series("benchmark_usd", planned.parameters.capital_usd * held),
        )
        .join(counts, on="date", how="left", maintain_order="left")
        .with_columns(pl.col(names).fill_null(0))
    )


def _by_exit(trades: pl.DataFrame) -> npt.NDArray[np.float64]:
    return trades.sort("exit_date", maintain_order=True)["return_usd"].to_numpy()


def _remarks(arena: Arena, run: BacktestRun, simulated: Collection[str]) -> tuple[str, ...]:
    remarks = []
    drawn = sorted(set(simulated) & set(arena.market.classes))
    if drawn:
        remarks.append(f"simulated bars: {', '.join(drawn)}")
    splits = sorted(set(arena.predictions.frame["data_split"]) - {"VALIDATE"})
    if splits:
        remarks.append(_NOT_VALIDATE.format(splits=" and ".join(splits)))
    backfills = sum(one.backfills for one in arena.inputs)
    if backfills:
        remarks.append(f"{backfills} back-filled predictions left out: made when the next bar could be known")
    if not run.signals.row.size:
        p = arena.predictions.frame["entry_probability"].to_numpy()
        remarks.append(f"no signal: probabilities lie from {p.min():.3f} to {p.max():.3f}; a valid answer, not a fault")
    elif not run.trades.height:
        remarks.append(f"no trade: none of {run.signals.row.size} signals could be filled")
    return tuple(remarks)

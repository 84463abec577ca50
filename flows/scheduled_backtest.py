"""The daily backtest's own part: a strategy of the confidence levels asked for, and what its last days added."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from configs.backtest import StrategySettings
from configs.settings import Settings
from flows.backtest_report import trade_rows
from market.errors import ConfigError
from market.signals import Confidence

if TYPE_CHECKING:
    from flows.backtest import Backtested


def with_levels(settings: Settings, levels: tuple[Confidence, ...]) -> tuple[Settings, str]:
    """Settings in which a strategy enters at these confidence levels, and its name.

    Levels that a configured strategy has already are that strategy; others become one beside it, named after them,
    because a result under a name that says something else would be compared with the wrong ones.

    Raises:
        ConfigError: No level, or no configured strategy enters by confidence.
    """
    if not levels:
        raise ConfigError("confidence_levels is empty", remedy="name some of HIGH, MEDIUM, LOW")
    known = {name: one for name, one in settings.backtest.strategies.items() if one.entry == "confidence"}
    if not known:
        raise ConfigError("no strategy enters by confidence", remedy="add one under backtest.strategies")
    for name, one in known.items():
        if set(one.levels) == set(levels):
            return settings, name
    pattern = next(iter(known.values()))
    values = {**pattern.model_dump(), "levels": levels, "grid": {}}
    name = f"confidence_{'_'.join(level.lower() for level in levels)}"
    strategies = {**settings.backtest.strategies, name: StrategySettings.model_validate(values)}
    backtest = settings.backtest.model_copy(update={"strategies": strategies})
    return settings.model_copy(update={"backtest": backtest}), name


def recent_trades(one: Backtested, days: int, strategy: str) -> str:
    """Trades that were closed in the last days of a backtest, in a sentence; no ratio, because days are no evidence."""
    report = one.report
    since = report.end - timedelta(days=days)
    trades = trade_rows(report).filter(pl.col("exit_date").dt.date() > since)
    named = f"{report.asset_type} {strategy}, {since + timedelta(days=1)} to {report.end}"
    if trades.is_empty():
        return f"{named}: no trade"
    won = int(trades["is_winner"].sum())
    return f"{named}: {trades.height:,} trades, {won:,} won, {trades['return_usd'].sum():+,.0f} USD after costs"

"""What a backtest found: every figure of one strategy on one market, and what tables and artifacts keep of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import polars as pl

from market.backtest import BacktestRun
from market.monte_carlo import LEVELS, Orders, Paths
from market.monte_carlo_null import Null
from market.overfitting import ReturnShape
from market.returns import ReturnMeasures
from market.returns_trades import TradeMeasures
from market.returns_usage import Usage
from market.statistics import Interval

TRADE_COLUMNS: Final = (
    *("trade_id", "backtest_id", "asset_type", "symbol", "entry_date", "entry_price", "entry_signal"),
    *("entry_confidence", "entry_probability", "entry_growth_score", "exit_date", "exit_price", "exit_reason"),
    *("position_size", "return_pct", "return_usd", "costs_usd", "holding_days", "is_winner", "atr_at_entry"),
    *("volatility_at_entry", "trend_regime_at_entry"),
)


@dataclass(frozen=True)
class Benchmark:
    """Buy and hold of the same symbols; see `market.returns_benchmark`.

    Attributes:
        return_pct: Total.
        measures: All figures of its daily returns.
        alpha: Of the strategy against it, a fraction a year; None where undefined.
        beta: Likewise.
    """

    return_pct: float
    measures: ReturnMeasures
    alpha: float | None
    beta: float | None


@dataclass(frozen=True)
class Deflated:
    """The deflated Sharpe ratio and what it was deflated for; see `market.overfitting`.

    Attributes:
        ratio: None where the Sharpe ratio is undefined.
        trials: Configurations tried on this class, and the models tried before one of them became champion.
    """

    ratio: float | None
    trials: int


@dataclass(frozen=True)
class BacktestReport:
    """One strategy on one market.

    Attributes:
        backtest_id: The same for the same inputs.
        strategy_name: With what differs, for a grid's cell.
        asset_type: A class, or `all`.
        is_simulated: Whether any of its bars were drawn, not traded.
        model_version: Behind its predictions.
        origin: `walk_forward` or `live`.
        parameters: The configuration, its trial's id, and the hash of the data.
        run: The engine's own result.
        daily: The engine's days with `return_pct benchmark_usd drawdown_pct`, and of each bar's predictions and signals
            how many there were, were right, and rose: `predictions predictions_right predictions_up signals
            signals_right signals_up`.
        shape: Of the daily returns; None where the Sharpe ratio is undefined.
        intervals: 95% intervals by block bootstrap of days.
        paths, orders, null: Simulations; None where there was too little to simulate.
        remarks: What a reader should know.
    """

    backtest_id: str
    strategy_name: str
    asset_type: str
    start: date
    end: date
    is_simulated: bool
    model_version: str
    origin: str
    parameters: Mapping[str, Any]
    run: BacktestRun
    daily: pl.DataFrame
    returns: ReturnMeasures
    shape: ReturnShape | None
    trades: TradeMeasures
    usage: Usage
    benchmark: Benchmark
    intervals: Mapping[str, Interval | None]
    paths: Paths | None
    orders: Orders | None
    null: Null | None
    remarks: tuple[str, ...]

    @property
    def trial(self) -> str:
        """Which configuration this is."""
        return str(self.parameters["trial"])


def result_row(report: BacktestReport, deflated: Deflated, created_at: datetime) -> dict[str, Any]:
    """The row of `backtest_results`; undefined figures are None."""
    returns, trades = asdict(report.returns), asdict(report.trades)
    returns.pop("days")
    row = {
        "backtest_id": report.backtest_id,
        "created_at": created_at,
        "strategy_name": report.strategy_name,
        "asset_type": report.asset_type,
        "start_date": report.start,
        "end_date": report.end,
        **trades,
        **returns,
        "benchmark_return_pct": report.benchmark.return_pct,
        "alpha": report.benchmark.alpha,
        "beta": report.benchmark.beta,
        "deflated_sharpe_ratio": deflated.ratio,
        "trials": deflated.trials,
        "monte_carlo": as_json(simulations(report)),
        "costs_pct": report.usage.costs_pct,
        "parameters": as_json(report.parameters),
        "model_version": report.model_version,
        "notes": "; ".join(report.remarks) or None,
    }
    return {name: _known(value) for name, value in row.items()}


def simulations(report: BacktestReport) -> dict[str, Any]:
    """Simulations, intervals and the use of capital: what stands in `monte_carlo`."""
    paths = None if report.paths is None else plain(report.paths)
    if paths is not None:
        paths.pop("fan")
    return {
        "days": paths,
        "trades": plain(report.orders),
        "null": plain(report.null),
        "intervals_95": plain(dict(report.intervals)),
        "usage": plain(report.usage),
    }


def full_report(report: BacktestReport, row: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a page about it needs beside its trades and days, ready for JSON."""
    fan = None
    if report.paths is not None:
        rows = zip((f"p{level:02d}" for level in LEVELS), report.paths.fan.equity, strict=True)
        fan = {"day": report.paths.fan.day.tolist(), **{name: values.tolist() for name, values in rows}}
    decoded = {**row, "monte_carlo": simulations(report), "parameters": plain(report.parameters)}
    return {
        "result": plain(decoded),
        "is_simulated": report.is_simulated,
        "origin": report.origin,
        "benchmark": plain(report.benchmark.measures),
        "refused": plain(report.run.refused),
        "fan": fan,
    }


def trade_rows(report: BacktestReport) -> pl.DataFrame:
    """The rows of `backtest_trades`; NaN becomes NULL."""
    trades = report.run.trades
    number = pl.int_range(pl.len(), dtype=pl.Int64).cast(pl.String).str.zfill(7)
    return trades.with_columns(
        pl.lit(report.backtest_id).alias("backtest_id"),
        (pl.lit(report.backtest_id + "-") + number).alias("trade_id"),
        *(pl.col(name).fill_nan(None) for name, dtype in trades.schema.items() if dtype == pl.Float64),
    ).select(TRADE_COLUMNS)


def plain(value: Any) -> Any:
    """Dataclasses as dicts, dates as texts, numpy values as Python's, and what is not finite as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain({name: getattr(value, name) for name in value.__dataclass_fields__})
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, np.generic):
        return plain(value.item())
    return _known(value)


def as_json(value: Any) -> str:
    """One line of JSON, keys in their order, without NaN."""
    return json.dumps(plain(value), allow_nan=False, ensure_ascii=False)


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value

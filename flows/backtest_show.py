"""What `tradehits backtest` prints: tables for people, JSON for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from flows.backtest_report import plain, simulations

if TYPE_CHECKING:
    from flows.backtest import Backtested
    from flows.backtest_live import LiveDifference

WIDTH = 150
_LEFT = ("class", "strategy")
_COLUMNS = (
    *_LEFT,
    *(
        "trades",
        "win rate",
        "return",
        "buy & hold",
        "Sharpe",
        "95% interval",
        "DSR",
        "max DD",
        "VaR 95",
        "costs",
        "null p",
    ),
)
NOTES = (
    "Percent, after costs; DSR: probability that the Sharpe ratio is real given all that was tried; null p: chance",
    "that the same signals at shuffled times do as well. No signal, and an interval that holds 0, are answers.",
)


def shown(finished: Sequence[Backtested], live: Sequence[LiveDifference], output: str) -> str:
    """Every backtest: a JSON list of the rows of `backtest_results` (JSON columns decoded), or a table."""
    if output == "json":
        differences = {one.asset_type: plain(one) for one in live}
        rows = [_row(one) for one in finished]
        for row in rows:
            if row["asset_type"] in differences:
                row["live"] = differences[row["asset_type"]]
        return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False)
    parts = [as_table(finished), *NOTES, "", *_remarks(finished), *(line for one in live for line in one.lines())]
    parts += [f"{one.report.backtest_id}  {one.report.asset_type} {one.report.strategy_name}" for one in finished]
    parts += ["", "One of them as a page: tradehits report tearsheet --backtest-id ID --out FILE.html"]
    return "\n".join(parts)


def _row(one: Backtested) -> dict[str, Any]:
    row = {name: plain(value) for name, value in one.row.items()}
    return {
        **row,
        "parameters": plain(one.report.parameters),
        "monte_carlo": simulations(one.report),
        "refused_signals": plain(one.report.run.refused),
        "data": "simulated" if one.report.is_simulated else "real",
    }


def as_table(finished: Sequence[Backtested]) -> str:
    """One line a backtest."""
    if not finished:
        return "none: the record does not reach into VALIDATE yet"
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(
            name, justify="left" if name in _LEFT else "right", overflow="fold", no_wrap=name != "strategy"
        )
    for one in finished:
        report, row = one.report, one.row
        interval = report.intervals["sharpe_ratio"]
        table.add_row(
            report.asset_type,
            report.strategy_name,
            f"{report.trades.total_trades:,}",
            _number(row["win_rate"], 1),
            _number(row["total_return_pct"], 1),
            _number(row["benchmark_return_pct"], 1),
            _number(row["sharpe_ratio"], 2),
            f"{interval.low:.2f} to {interval.high:.2f}" if interval else "",
            _number(row["deflated_sharpe_ratio"], 2),
            _number(row["max_drawdown_pct"], 1),
            _number(row["var_95_pct"], 2),
            _number(row["costs_pct"], 1),
            _number(report.null.p_value if report.null else None, 3),
        )
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def _remarks(finished: Sequence[Backtested]) -> list[str]:
    said: dict[str, list[str]] = {}
    for one in finished:
        for remark in one.report.remarks:
            said.setdefault(remark, []).append(f"{one.report.asset_type} {one.report.strategy_name}")
    lines = [f"{_some(names)}: {remark}" for remark, names in said.items()]
    return [*lines, ""] if lines else []


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _number(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:,.{decimals}f}"

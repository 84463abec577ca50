"""`tradehits report tearsheet`: one stored backtest as a page to look at."""

from __future__ import annotations

import os
from pathlib import Path

from configs.settings import Settings
from flows.backtest_log import BacktestLog
from flows.tearsheet_data import TearsheetData
from flows.tearsheet_page import render
from market.errors import BacktestError
from warehouse.backtests import read_result
from warehouse.engines import open_warehouse


def tearsheet(settings: Settings, backtest_id: str, out: Path) -> Path:
    """Write the page of a backtest.

    Args:
        settings: The profile that stored it.
        backtest_id: As `backtest` printed it.
        out: The file, or a folder for it.

    Returns:
        The file, written whole: a reader sees the old one or the new one.

    Raises:
        BacktestError: There is no such backtest.
        RegistryError: Its days are not in MLflow.
    """
    from plotly.offline import get_plotlyjs

    wanted = backtest_id.strip().lower()
    if not wanted or not all(digit in "0123456789abcdef" for digit in wanted):
        raise BacktestError(
            f"{backtest_id!r} is no backtest's id", field="backtest_id", remedy="copy it from what `backtest` printed"
        )
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    row, trades = read_result(warehouse, wanted)
    report, daily = BacktestLog(settings).report(row["backtest_id"])
    # What the table says now is shown: trials may have been counted since the report was logged.
    counted = {name: row[name] for name in ("deflated_sharpe_ratio", "trials")}
    data = TearsheetData({**report, "result": {**report["result"], **counted}}, daily, trades)
    target = out / f"tearsheet_{row['backtest_id'][:12]}.html" if out.is_dir() else out
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_suffix(f".{os.getpid()}.tmp")
    staged.write_text(render(data, get_plotlyjs()), encoding="utf-8")
    staged.replace(target)
    return target

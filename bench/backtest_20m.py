"""Benchmark `backtest_20m`: 20 million bars from a frame to trades and daily equity as frames, checks included.

4,000 symbols of 5,000 bars, a signal on every tenth bar, a portfolio with limits: 400 places, exposure and cash
bounded, volatility-targeted sizes, stop, target, time limit, borrow cost.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench import backtest_bars as bars
from bench.measure import Comparison, growth_exponent, measured

NAME = "backtest_20m"
LENGTH = 5000
SYMBOLS = {"small": 400, "full": 4000}


def run(size: str) -> Iterator[Comparison]:
    """All bars, and a tenth of them for the growth."""
    symbols = SYMBOLS[size]
    measures, notes = {}, {}
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        for name, count in (("tenth", symbols // 10), ("whole", symbols)):
            folder = Path(root) / name
            measured(_written, folder, count)
            measures[name] = measured(our_seconds, folder)
            notes[name] = (folder / "note.txt").read_text()
    growth = growth_exponent(measures["tenth"], measures["whole"], 10)
    yield Comparison(
        NAME, f"{size}: {symbols * LENGTH:,} bars", measures["whole"], "itself at a tenth", measures["tenth"], growth,
        notes["whole"],
    )  # fmt: skip


def our_seconds(folder: Path) -> float:
    """Keys matched, bars checked, signals traded, frames made; code compiled before."""
    import polars as pl

    from market.backtest import BacktestParameters, Signals, align_predictions, prepare_market, run_backtest
    from market.costs import ClassCosts
    from market.risk import Limits, Sizing

    frame = bars.read_frame(folder)
    direction = np.load(folder / "direction.npy").ravel()
    made = np.flatnonzero(direction)
    predictions = frame.select("asset_type", "symbol", "datetime")[made]
    predictions = predictions.with_columns(entry_probability=pl.Series(0.5 + 0.2 * direction[made]))
    strength = np.random.default_rng(1).random(made.size)
    rules = BacktestParameters(
        costs={"crypto": ClassCosts(10, 5, 300)},
        sizing=Sizing(method="volatility_target", position_volatility_pct=0.5),
        limits=Limits(maximum_positions=400, gross_exposure=1.5),
    )

    def backtest(window: pl.DataFrame, wanted: pl.DataFrame) -> str:
        market = prepare_market(window)
        aligned = align_predictions(market, wanted)
        signals = Signals.from_directions(aligned, direction[aligned.row], strength[: wanted.height])
        result = run_backtest(market, signals, rules)
        days = result.daily.height
        return f"{signals.row.size:,} signals, {result.trades.height:,} trades, {days:,} days"

    first = predictions["symbol"] == predictions["symbol"][0]
    backtest(frame.head(LENGTH), predictions.filter(first))
    start = time.perf_counter()
    note = backtest(frame, predictions)
    seconds = time.perf_counter() - start
    (folder / "note.txt").write_text(note)
    return seconds


def _written(folder: Path, symbols: int) -> float:
    bars.write_bars(folder, symbols, LENGTH)
    return 0.0

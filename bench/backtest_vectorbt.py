"""Benchmark `backtest_vectorbt`: the engine against vectorbt on the same bars, signals, stops, targets and costs.

Both start from arrays and end with orders; ours has the daily equity by then, vectorbt computes it on demand (the note
tells both). Compilation is excluded on both sides. The note says whether every order and the equity agree to 1e-9. A
second line measures as many return curves of the same length: nine figures each, compared as well. Vectorbt runs in
`.venv-vectorbt`, made by `bench/vectorbt_env.sh`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench import backtest_bars as bars
from bench.measure import Comparison, Measure, best_of, growth_exponent, measured

NAME = "backtest_vectorbt"
LENGTH = 5000
SYMBOLS = {"small": 100, "full": 1000}
GROWTH = (100, 1000)
"""Ten times as much, at both sizes: what is smaller takes a few milliseconds, which tell nothing about growth."""

REPEATS = 5
TOLERANCE = 1e-9
PERIODS_PER_YEAR = 252

REPOSITORY = Path(__file__).parents[1]


def run(size: str) -> Iterator[Comparison]:
    """N symbols against vectorbt; the growth of ours is always that of `GROWTH`."""
    count = SYMBOLS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        folders = {symbols: Path(root) / str(symbols) for symbols in {count, *GROWTH}}
        for symbols, folder in folders.items():
            measured(_written, folder, symbols)
        folder = folders[count]
        ours = {symbols: measured(our_seconds, one) for symbols, one in folders.items()}
        theirs, with_equity = vectorbt_measure(
            folder,
            "orders",
            bars.POSITION_USD,
            bars.FEE_BPS,
            bars.SLIPPAGE_BPS,
            bars.STOP_ATRS,
            bars.TARGET_ATRS,
        )
        note = f"{agreement(folder)}; vectorbt with equity {with_equity:.2f} s; {(folder / 'note.txt').read_text()}"
        label = f"{size}: {count} x {LENGTH:,} bars"
        yield Comparison(NAME, label, ours[count], "vectorbt", theirs, _growth(ours), note)
        ours = {symbols: measured(our_measure_seconds, one) for symbols, one in folders.items()}
        theirs, _ = vectorbt_measure(folder, "measures", PERIODS_PER_YEAR)
        label = f"{size}: {count} curves x {LENGTH:,} days"
        yield Comparison(NAME, label, ours[count], "vectorbt", theirs, _growth(ours), same_measures(folder))


def _growth(found: Mapping[int, Measure]) -> float:
    smaller, larger = GROWTH
    return growth_exponent(found[smaller], found[larger], larger / smaller)


def our_seconds(folder: Path) -> float:
    """`run_backtest` on a prepared market; writes orders and equity."""
    from market.backtest import prepare_market, run_backtest

    frame, signals = bars.read_frame(folder), bars.read_signals(folder)
    start = time.perf_counter()
    market = prepare_market(frame)
    prepared = time.perf_counter() - start
    rules = bars.parameters(len(market.keys.symbols))
    result = run_backtest(market, signals, rules)
    seconds = best_of(REPEATS, lambda: run_backtest(market, signals, rules).equity)
    framed = best_of(1, lambda: (result.trades, result.daily))
    (folder / "note.txt").write_text(
        f"ours: bars checked in {prepared:.2f} s, frames of {len(result.trade_records):,} trades in {framed:.2f} s"
    )
    np.save(folder / "our_equity.npy", result.equity)
    np.save(folder / "our_trades.npy", result.trade_records)
    return seconds


def our_measure_seconds(folder: Path) -> float:
    """`measure_curves` on all curves."""
    from market.returns import measure_curves

    returns = np.load(folder / "returns.npy")
    np.savez(folder / "our_measures.npz", **measure_curves(returns, periods_per_year=PERIODS_PER_YEAR))
    return best_of(REPEATS, lambda: measure_curves(returns, periods_per_year=PERIODS_PER_YEAR))


def vectorbt_measure(folder: Path, what: str, *numbers: float) -> tuple[Measure, float]:
    """Seconds and peak of vectorbt, and its seconds with the equity where it makes one."""
    subprocess.run([REPOSITORY / "bench" / "vectorbt_env.sh"], check=True, env=os.environ | {"PYTHON": sys.executable})
    python = REPOSITORY / ".venv-vectorbt" / "bin" / "python"
    script = REPOSITORY / "bench" / "vectorbt_peer.py"
    command = [python, script, what, folder, *map(str, numbers)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return Measure(told["seconds"], told["peak_mib"]), told.get("with_equity", 0.0)


def same_measures(folder: Path) -> str:
    """Whether all figures of all curves agree."""
    ours, theirs = np.load(folder / "our_measures.npz"), np.load(folder / "vectorbt_measures.npz")
    differ = [name for name in ours if not np.allclose(ours[name], theirs[name], rtol=TOLERANCE, atol=TOLERANCE)]
    return f"{len(ours.files)} figures {'DIFFER: ' + ', '.join(differ) if differ else f'agree to {TOLERANCE:g}'}"


def agreement(folder: Path) -> str:
    """Whether orders and equity agree; the last day apart, on which ours closes what is open and vectorbt does not."""
    from market.backtest_kernel import END_OF_DATA

    trades, orders = np.load(folder / "our_trades.npy"), np.load(folder / "vectorbt_orders.npy")
    ours, theirs = _our_orders(trades, END_OF_DATA), _their_orders(orders)
    count = len(theirs["key"])
    if len(ours["key"]) != count or (ours["key"] != theirs["key"]).any():
        return f"orders DIFFER: {len(ours['key']):,} and {count:,}"
    for name in ("units", "price", "fees"):
        if not np.allclose(ours[name], theirs[name], rtol=TOLERANCE, atol=0):
            return f"orders DIFFER in {name}"
    equity, peer = np.load(folder / "our_equity.npy"), np.load(folder / "vectorbt_equity.npy")
    left = trades[trades["reason"] == END_OF_DATA]
    closing = _exit_costs(left).sum()
    equity[-1] += closing
    if not np.allclose(equity, peer, rtol=TOLERANCE, atol=0):
        return f"{count:,} orders agree, the equity DIFFERS"
    return f"{count:,} orders and {equity.size:,} days of equity agree to {TOLERANCE:g}"


def _our_orders(trades: Any, end_of_data: int) -> dict[str, Any]:
    """Entries and exits; what leaves and enters at one open is one order, as in vectorbt."""
    gone = trades[trades["reason"] != end_of_data]
    row = np.concatenate([trades["entry_row"], gone["exit_row"]])
    units = np.concatenate([trades["units"], -gone["units"]])
    price = np.concatenate([trades["entry_price"], gone["exit_price"]])
    key, first, place = np.unique(row, return_index=True, return_inverse=True)
    net = np.bincount(place, units)
    return {"key": key, "units": net, "price": price[first], "fees": np.abs(net) * price[first] * bars.FEE_BPS * 1e-4}


def _their_orders(orders: Any) -> dict[str, Any]:
    key = orders["col"].astype(np.int64) * LENGTH + orders["idx"]
    order = np.argsort(key)
    sign = np.where(orders["side"] == 0, 1.0, -1.0)
    values = {"key": key, "units": sign * orders["size"], "price": orders["price"], "fees": orders["fees"]}
    return {name: column[order] for name, column in values.items()}


def _exit_costs(trades: Any) -> Any:
    """Fees and slippage of exits at a reference price that slippage turned into the fill."""
    side = np.sign(trades["units"])
    reference = trades["exit_price"] / (1 - side * bars.SLIPPAGE_BPS * 1e-4)
    size = np.abs(trades["units"])
    return size * trades["exit_price"] * bars.FEE_BPS * 1e-4 + size * np.abs(reference - trades["exit_price"])


def _written(folder: Path, symbols: int) -> float:
    bars.write_bars(folder, symbols, LENGTH)
    returns = np.random.default_rng(19).normal(3e-4, 0.01, (symbols, LENGTH))
    # Vectorbt's first peak is the first day's close, ours the starting capital: the same after a day without a loss.
    returns[:, 0] = np.abs(returns[:, 0])
    np.save(folder / "returns.npy", returns)
    return 0.0

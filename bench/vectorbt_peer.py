"""Run vectorbt on a folder of `bench.backtest_bars`; needs only vectorbt, and runs in an environment of its own.

    python vectorbt_peer.py orders FOLDER POSITION_USD FEE_BPS SLIPPAGE_BPS STOP_ATRS TARGET_ATRS
    python vectorbt_peer.py measures FOLDER PERIODS_PER_YEAR

Writes `vectorbt_orders.npy` and `vectorbt_equity.npy`, or `vectorbt_measures.npz`, and prints seconds (the quickest of
several runs, compiled before) and peak memory as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import vectorbt as vbt

REPEATS = 5


def main() -> None:
    what, folder, numbers = sys.argv[1], Path(sys.argv[2]), [float(one) for one in sys.argv[3:]]
    told = (orders if what == "orders" else measures)(folder, *numbers)
    told["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps(told))  # noqa: T201


def measures(folder: Path, periods_per_year: float) -> dict[str, float]:
    """The figures of every curve in `returns.npy`, shape (curves, days)."""
    returns = np.load(folder / "returns.npy").T.copy()

    def measured() -> dict[str, np.ndarray]:
        accessor = pd.DataFrame(returns).vbt.returns(freq="1D", year_freq=f"{periods_per_year} days")
        return {
            "total_return_pct": 100 * accessor.total().to_numpy(),
            "annualized_return_pct": 100 * accessor.annualized().to_numpy(),
            "volatility_pct": 100 * accessor.annualized_volatility().to_numpy(),
            "sharpe_ratio": accessor.sharpe_ratio().to_numpy(),
            "sortino_ratio": accessor.sortino_ratio().to_numpy(),
            "calmar_ratio": accessor.calmar_ratio().to_numpy(),
            "max_drawdown_pct": 100 * accessor.max_drawdown().to_numpy(),
            "var_95_pct": 100 * accessor.value_at_risk(cutoff=0.05).to_numpy(),
            "cvar_95_pct": 100 * accessor.cond_value_at_risk(cutoff=0.05).to_numpy(),
        }

    np.savez(folder / "vectorbt_measures.npz", **measured())
    return {"seconds": _quickest(measured)}


def orders(folder: Path, position: float, fee: float, slippage: float, stop: float, target: float) -> dict[str, float]:
    """The orders and the equity of every signal in `direction.npy`."""
    bars = {name: np.load(folder / f"{name}.npy").T.copy() for name in ("open", "high", "low", "close", "atr")}
    # A signal at one bar's close is an order at the next bar's open, with the ATR of the signal's bar.
    direction = _next_bar(np.load(folder / "direction.npy").T, 0)
    distance = _next_bar(bars["atr"], np.nan) / bars["open"]

    def portfolio() -> vbt.Portfolio:
        made = vbt.Portfolio.from_signals(
            bars["close"],
            entries=direction > 0,
            short_entries=direction < 0,
            price=bars["open"],
            open=bars["open"],
            high=bars["high"],
            low=bars["low"],
            size=position / bars["open"],
            size_type="amount",
            sl_stop=stop * distance,
            tp_stop=target * distance,
            stop_entry_price="price",
            stop_exit_price="stopmarket",
            upon_opposite_entry="reverse",
            fees=fee * 1e-4,
            slippage=slippage * 1e-4,
            init_cash=10 * bars["close"].shape[1] * position,
            cash_sharing=True,
            group_by=True,
            freq="1D",
        )
        assert len(made.order_records)
        return made

    portfolio().value()
    result = portfolio()
    simulated, valued = _quickest(portfolio), _quickest(lambda: portfolio().value())
    np.save(folder / "vectorbt_orders.npy", result.order_records)
    np.save(folder / "vectorbt_equity.npy", np.asarray(result.value()).ravel())
    return {"seconds": simulated, "with_equity": valued}


def _next_bar(values: np.ndarray, first: float) -> np.ndarray:
    moved = np.roll(values, 1, axis=0)
    moved[0] = first
    return moved


def _quickest(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


if __name__ == "__main__":
    main()

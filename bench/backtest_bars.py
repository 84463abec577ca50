"""Bars and signals on which the engine's rules and vectorbt's coincide, as files that both read.

Three rules differ. Vectorbt looks for stops from the bar after an entry; a stop inside a bar goes before a signal due
at its open, and before a target that the open has jumped over. Ours are the other way round: the open comes first, and
the entry's own bar can stop out. So the bar after a signal stands still at its open (no stop inside), opens where the
bar before closed when an earlier signal of the other side may have left a position to be reversed (no gap through a
stop and a reversal at one open), and no bar spans the distance from target to stop. Everything else is random.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

COLUMNS = ("open", "high", "low", "close", "atr")
SIGNAL_SHARE = 0.107
POSITION_USD = 1_000.0
FEE_BPS, SLIPPAGE_BPS = 10.0, 5.0
STOP_ATRS, TARGET_ATRS = 2.0, 3.0


def write_bars(folder: Path, symbols: int, length: int) -> None:
    """`COLUMNS` and `direction` (-1, 0, 1 at the signal's bar), each of shape (symbols, length)."""
    random = np.random.default_rng(17)
    folder.mkdir(parents=True)
    direction = random.choice(
        np.array([-1, 0, 1], dtype=np.int8),
        (symbols, length),
        p=[SIGNAL_SHARE / 2, 1 - SIGNAL_SHARE, SIGNAL_SHARE / 2],
    )
    after, reversal = _after_signals(direction)
    moves = _moves(random, 0.02, (symbols, length))
    moves[reversal] = 0.0
    close = 100 * np.exp(np.cumsum(moves, axis=1))
    opened = np.concatenate((close[:, :1], close[:, :-1]), axis=1) * np.exp(_moves(random, 0.004, close.shape))
    opened[after] = close[after]
    reach = np.where(after, 0.0, np.abs(_moves(random, 0.008, (2, symbols, length))))
    np.save(folder / "high.npy", np.maximum(opened, close) * (1 + reach[0]))
    np.save(folder / "low.npy", np.minimum(opened, close) * (1 - reach[1]))
    for name, values in (("open", opened), ("close", close), ("atr", 0.02 * close), ("direction", direction)):
        np.save(folder / f"{name}.npy", values)


def _moves(random: np.random.Generator, deviation: float, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Normal, but never beyond 2.5 deviations."""
    return np.clip(random.normal(0.0, deviation, shape), -2.5 * deviation, 2.5 * deviation)


def _after_signals(direction: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Where the bar before has a signal, and where the signal before that one has the other side."""
    last = np.zeros(len(direction), dtype=np.int8)
    reversal = np.zeros(direction.shape, dtype=bool)
    for bar in range(1, direction.shape[1]):
        signal = direction[:, bar - 1]
        reversal[:, bar] = (signal != 0) & (last == -signal)
        last = np.where(signal != 0, signal, last)
    after = np.zeros(direction.shape, dtype=bool)
    after[:, 1:] = direction[:, :-1] != 0
    return after, reversal


def read_frame(folder: Path) -> Any:
    """The bars as the engine takes them."""
    import polars as pl

    arrays = {name: np.load(folder / f"{name}.npy") for name in COLUMNS}
    symbols, length = arrays["close"].shape
    names = pl.Series([f"S{number:06d}/USD" for number in range(symbols)])
    days = pl.datetime_range(pl.datetime(2000, 1, 1), pl.datetime(2300, 1, 1), "1d", eager=True).head(length)
    return pl.DataFrame(
        {
            "asset_type": pl.repeat("crypto", symbols * length, eager=True),
            "symbol": names.gather(np.repeat(np.arange(symbols), length)),
            "datetime": days.gather(np.tile(np.arange(length), symbols)),
            **{name: values.ravel() for name, values in arrays.items()},
            "volume": pl.repeat(1e9, symbols * length, eager=True),
        }
    )


def read_signals(folder: Path) -> Any:
    """All signals, equally strong."""
    from market.backtest import Signals

    direction = np.load(folder / "direction.npy").ravel()
    rows = np.flatnonzero(direction)
    return Signals(rows, direction[rows], np.ones(rows.size), np.ones(rows.size))


def parameters(symbols: int) -> Any:
    """A fixed amount for every position, no limits, stop and target by ATR, reversal."""
    from market.backtest import BacktestParameters
    from market.costs import ClassCosts
    from market.risk import Limits

    return BacktestParameters(
        costs={"crypto": ClassCosts(FEE_BPS, SLIPPAGE_BPS, volume_cap_share=1.0)},
        limits=Limits(
            maximum_positions=10 * symbols, gross_exposure=float("inf"), cash_limit=False, minimum_position_usd=0.0
        ),
        capital_usd=10 * symbols * POSITION_USD,
        stop_atrs=STOP_ATRS,
        target_atrs=TARGET_ATRS,
        time_limit_bars=None,
    )

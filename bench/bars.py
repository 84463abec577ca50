"""Bars for the benchmarks: independent random walks, the same for every run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

FIRST_DAY = datetime(2017, 1, 1, tzinfo=UTC)


def random_bars(symbols: int, length: int, *, first_symbol: int = 0, first_day: datetime = FIRST_DAY) -> pl.DataFrame:
    """Daily crypto bars of `symbols` symbols, `length` each, sorted by symbol and day."""
    random = np.random.default_rng(7 + first_symbol)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, (symbols, length)), axis=1))
    opened = np.concatenate((close[:, :1], close[:, :-1]), axis=1)
    reach = np.abs(random.normal(0.0, 0.01, (2, symbols, length)))
    days = pl.datetime_range(first_day, first_day + timedelta(days=length - 1), "1d", time_unit="us", eager=True)
    names = pl.Series([f"S{first_symbol + i:05d}/USD" for i in range(symbols)])
    return pl.DataFrame(
        {
            "asset_type": pl.repeat("crypto", symbols * length, eager=True),
            "symbol": names.gather(np.repeat(np.arange(symbols), length)),
            "datetime": days.gather(np.tile(np.arange(length), symbols)),
            "open": opened.ravel(),
            "high": (np.maximum(opened, close) * (1 + reach[0])).ravel(),
            "low": (np.minimum(opened, close) * (1 - reach[1])).ravel(),
            "close": close.ravel(),
            "volume": random.lognormal(10.0, 1.0, symbols * length),
        }
    )

"""Bars as the engine reads them: checked, in contiguous arrays, sorted by symbol and time.

A market is prepared once and serves any number of strategies and grid cells. Nothing is sorted or repaired here: rows
out of order, twice or with holes are named, because a silent repair would hide what is wrong with the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import combinations
from typing import Any, Final, Literal, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from market.assets import ASSET_TYPES, AssetType
from market.backtest_columns import Floats, numbers, refuse
from market.backtest_keys import Keys, checked_keys
from market.errors import BacktestError

ALL: Final = "all"
PRICES: Final = ("open", "high", "low", "close")
RANGE_TOLERANCE: Final = 1e-9
"""Relative distance by which open and close may lie outside low to high: rounding of adjusted prices."""

DAYS_PER_YEAR: Final[dict[AssetType, int]] = {"stocks": 252, "etf": 252, "crypto": 365}
CALENDAR_DAYS_PER_YEAR: Final = 365


@dataclass(frozen=True)
class Market:
    """Daily bars of one or more asset classes, checked, in contiguous arrays.

    Attributes:
        keys: Series (asset class and symbol), where each begins, and every bar's day.
        open, high, low, close, volume, atr: Shape (rows,). `atr` is NaN where unknown.
        has_atr: Whether the bars came with ATRs.
        days: Days of the equity curve, days since 1970-01-01, ascending, shape (dates,).
    """

    keys: Keys
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    atr: Floats
    has_atr: bool
    days: npt.NDArray[np.int32]

    @property
    def rows(self) -> int:
        """Number of bars."""
        return self.close.size

    @property
    def classes(self) -> tuple[AssetType, ...]:
        """Asset classes in it, in their usual order."""
        present = set(self.keys.asset_types)
        return tuple(one for one in ASSET_TYPES if one in present)

    @property
    def asset_type(self) -> AssetType | Literal["all"]:
        """The asset class, or `all` for several."""
        return self.classes[0] if len(self.classes) == 1 else ALL

    @property
    def days_per_year(self) -> int:
        """252 for stocks and ETFs, 365 for crypto and for several classes together."""
        return CALENDAR_DAYS_PER_YEAR if self.asset_type == ALL else DAYS_PER_YEAR[self.asset_type]

    @cached_property
    def dates(self) -> pl.Series:
        """Dates of the equity curve."""
        return pl.Series("date", self.days).cast(pl.Date)

    @property
    def start(self) -> date:
        """First date."""
        return cast(date, self.dates[0])

    @property
    def end(self) -> date:
        """Last date."""
        return cast(date, self.dates[-1])


def prepare_market(bars: pl.DataFrame, *, every_day: bool = False) -> Market:
    """Check bars and lay them out for the engine.

    Args:
        bars: `asset_type symbol datetime open high low close volume`, and `atr` where stops or targets are used (NULL
            or NaN while unknown); one row per key, sorted by it, cut to the backtest's window. Prices are adjusted for
            splits, volumes in units of the symbol. Further columns are ignored.
        every_day: The equity curve has every calendar day from the first bar to the last, not only days with a bar.

    Raises:
        BacktestError: A column is missing, keys are unsorted or twice, a price is missing, not finite or not positive,
            high and low do not span open and close, a volume is missing or negative, an ATR is infinite or negative, or
            no bar of a class has volume, so that nothing could ever fill.
    """
    keys = checked_keys(bars, "bars")
    prices = {name: numbers(bars, name) for name in (*PRICES, "volume")}
    for name in PRICES:
        refuse(~(np.isfinite(prices[name]) & (prices[name] > 0)), name, "price is missing, not finite or not positive")
    volume = prices["volume"]
    refuse(~(np.isfinite(volume) & (volume >= 0)), "volume", "volume is missing, not finite or negative")
    _refuse_ranges(**{name: prices[name] for name in PRICES})
    _refuse_silent_classes(keys, volume)
    has_atr = "atr" in bars.columns
    atr = numbers(bars, "atr") if has_atr else np.full(bars.height, np.nan)
    refuse(np.isinf(atr) | (atr < 0), "atr", "ATR is infinite or negative")
    return Market(keys=keys, **prices, atr=atr, has_atr=has_atr, days=_calendar(keys.day, every_day))


def overlapping_market(bars: pl.DataFrame) -> Market | None:
    """The market of a portfolio over several classes: those whose dates overlap, cut to the dates they share.

    Of all sets of classes with a common span the largest is taken, among equals the one with the longest span. Its
    equity curve has every calendar day, so that 365 days make a year.

    Args:
        bars: As for `prepare_market`.

    Returns:
        None when no two classes overlap.
    """
    spans = {
        cast(AssetType, name): (first, last)
        for name, first, last in bars.group_by("asset_type")
        .agg(pl.col("datetime").min().alias("first"), pl.col("datetime").max().alias("last"))
        .sort("asset_type")
        .iter_rows()
    }
    best: tuple[int, Any, tuple[AssetType, ...], Any, Any] | None = None
    for size in range(len(spans), 1, -1):
        for chosen in combinations(sorted(spans), size):
            start, end = max(spans[one][0] for one in chosen), min(spans[one][1] for one in chosen)
            if start <= end and (best is None or (size, end - start) > best[:2]):
                best = (size, end - start, chosen, start, end)
    if best is None:
        return None
    _, _, chosen, start, end = best
    inside = pl.col("asset_type").is_in(list(chosen)) & pl.col("datetime").is_between(start, end)
    return prepare_market(bars.filter(inside), every_day=True)


def _refuse_ranges(open: Floats, high: Floats, low: Floats, close: Floats) -> None:
    slack = high * RANGE_TOLERANCE
    outside = (np.minimum(open, close) < low - slack) | (np.maximum(open, close) > high + slack)
    refuse(outside, "high", "low to high does not span open and close")


def _refuse_silent_classes(keys: Keys, volume: Floats) -> None:
    traded = np.maximum.reduceat(volume, keys.start[:-1]) > 0
    for name in sorted(set(keys.asset_types)):
        if not any(has for has, one in zip(traded, keys.asset_types, strict=True) if one == name):
            raise BacktestError(
                f"no bar of {name} has volume, so no order could fill",
                field="volume",
                remedy="load bars with volumes; prices alone cannot be backtested",
            )


def _calendar(day: npt.NDArray[np.int32], every_day: bool) -> npt.NDArray[np.int32]:
    first, last = int(day.min()), int(day.max())
    seen = np.full(last - first + 1, every_day)
    seen[day - first] = True
    return (np.flatnonzero(seen) + first).astype(np.int32)

"""Was a symbol's history re-adjusted for a dividend or split since it was stored?

A source of adjusted prices rescales a symbol's past whenever a dividend is paid or shares are split. Bars that overlap
with stored ones then differ from them by one ratio, and stored bars before the overlap must be rescaled by it, or the
series would have a seam where two scales meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from market.assets import AssetType
from market.bar_checks import BAR_KEY, PRICES

MIN_BARS = 2
"""Overlapping bars with one ratio, so at least eight equal ratios; a single bar may be a correction."""

MAX_SPREAD = 1e-3
"""Of the ratios around their own, relative: sources round prices. Never more than a quarter of the ratio's distance
from 1 either, so that a small dividend is not taken for noise, nor noise for a dividend."""

MIN_CHANGE = 1e-5
"""Smallest distance of a ratio from 1; below it differences are rounding."""

_BIG_STEP = 0.2
"""Log of a ratio that must show as a step in the stored prices when only the older part of an overlap has it."""


@dataclass(frozen=True)
class Readjustment:
    """A symbol's stored past in another scale than its incoming bars.

    Attributes:
        price_factor: Stored prices before `until` become comparable when multiplied by it.
        volume_factor: The same for volume: 1, or the inverse.
        until: Stamp after which both scales agree: stored bars up to it are in the old scale.
        bars: Overlapping bars that show it.
    """

    asset_type: AssetType
    symbol: str
    price_factor: float
    volume_factor: float
    until: datetime
    bars: int


def find_readjustments(stored: pl.DataFrame, incoming: pl.DataFrame) -> list[Readjustment]:
    """Symbols whose overlap differs from what is stored by one ratio.

    Args:
        stored: Newest stored bars: `BAR_KEY`, prices, volume; at least those of the incoming keys.
        incoming: Sound bars, the same columns.

    Returns:
        One a symbol, sorted by class and symbol. Where a ratio is not constant, the differences are corrections of
        single bars, and the symbol is not named.
    """
    values = (*PRICES, "volume")
    old = stored.select(*BAR_KEY, *(pl.col(name).alias(f"old_{name}") for name in values))
    both = incoming.select(*BAR_KEY, *values).join(old, on=list(BAR_KEY), how="inner").sort(BAR_KEY)
    differs = pl.any_horizontal(pl.col(name) != pl.col(f"old_{name}") for name in PRICES)
    changed = both.filter(differs.any().over("asset_type", "symbol"))
    groups = changed.partition_by("asset_type", "symbol", maintain_order=True)
    return [found for group in groups if (found := _of_symbol(group)) is not None]


def unproven_readjustments(stored: pl.DataFrame, incoming: pl.DataFrame) -> pl.DataFrame:
    """Single overlapping bars whose four prices all moved by one ratio: a new scale, or a correction; nobody can tell.

    Args:
        stored: As for `find_readjustments`.
        incoming: Likewise.

    Returns:
        The columns of `incoming` and `price_factor`, one row for each such symbol.
    """
    if stored.is_empty():
        return incoming.clear().with_columns(price_factor=pl.lit(None, pl.Float64))
    key = list(BAR_KEY)
    old = stored.select(*key, *(pl.col(name).alias(f"old_{name}") for name in PRICES))
    alone = incoming.join(old, on=key, how="inner").filter(pl.len().over("asset_type", "symbol") == 1)
    ratios = [pl.col(name) / pl.col(f"old_{name}") for name in PRICES]
    alone = alone.with_columns(
        price_factor=ratios[-1], spread=pl.max_horizontal(ratios) / pl.min_horizontal(ratios) - 1
    )
    moved = ((pl.col("price_factor") - 1).abs() >= MIN_CHANGE) & (pl.col("spread") < MIN_CHANGE / 10)
    is_flat = pl.col("high") == pl.col("low")
    return alone.filter(moved & ~is_flat).select(*incoming.columns, "price_factor")


def _of_symbol(overlap: pl.DataFrame) -> Readjustment | None:
    prices = overlap.select(PRICES).to_numpy()
    old = overlap.select(f"old_{name}" for name in PRICES).to_numpy()
    bars = _bars_of_one_ratio(prices / old)
    if bars < MIN_BARS:
        return None
    factor = float(prices[:bars].sum() / old[:bars].sum())
    if bars < overlap.height and not _step_was_stored(overlap, bars, factor):
        return None
    volume = _volume_factor(overlap.head(bars), factor)
    if volume is None:
        return None
    first = overlap.row(0, named=True)
    return Readjustment(first["asset_type"], first["symbol"], factor, volume, overlap["datetime"][bars - 1], bars)


def _bars_of_one_ratio(ratios: npt.NDArray[np.float64]) -> int:
    """How many of the oldest bars share one ratio other than 1; 0 when they do not."""
    ratio = float(np.median(ratios[:MIN_BARS]))
    if abs(ratio - 1) < MIN_CHANGE:
        return 0
    spread = min(MAX_SPREAD, abs(ratio - 1) / 4)
    same = (np.abs(ratios / ratio - 1) <= spread).all(axis=1)
    return int(same.size if same.all() else same.argmin())


def _step_was_stored(overlap: pl.DataFrame, bars: int, factor: float) -> bool:
    """Whether the jump at the end of the rescaled part stood in the stored prices, so that rescaling takes it away.

    If the incoming prices have it instead, they are the faulty ones. A dividend's step is too small to see.
    """
    if abs(np.log(factor)) < _BIG_STEP:
        return True
    before, after = overlap.row(bars - 1, named=True), overlap.row(bars, named=True)
    stored = abs(np.log(after["old_open"] / before["old_close"]))
    return bool(abs(np.log(after["open"] / before["close"])) < stored)


def _volume_factor(overlap: pl.DataFrame, factor: float) -> float | None:
    """1 when volume stayed, the inverse ratio when it went the other way, None when it did neither."""
    ratios = overlap.filter((pl.col("volume") > 0) & (pl.col("old_volume") > 0)).select(
        ratio=pl.col("volume") / pl.col("old_volume")
    )["ratio"]
    if ratios.is_empty():
        return 1.0
    ratio = float(np.median(ratios.to_numpy()))
    choices = {1.0: abs(ratio - 1), 1 / factor: abs(ratio * factor - 1)}
    best = min(choices, key=choices.__getitem__)
    return best if choices[best] <= max(MAX_SPREAD, abs(factor - 1) / 4) else None


def rescaled(history: pl.DataFrame, readjustments: list[Readjustment]) -> pl.DataFrame:
    """Stored bars in the old scale, brought into the new one.

    Args:
        history: Newest stored bars that the source did not deliver again: `BAR_KEY`, prices, volume, other columns.
        readjustments: What to apply.

    Returns:
        The rows at or before `until` of the symbols named, rescaled; other columns unchanged.
    """
    factors = pl.DataFrame(
        [(r.asset_type, r.symbol, r.price_factor, r.volume_factor, r.until) for r in readjustments],
        schema={
            "asset_type": pl.String,
            "symbol": pl.String,
            "price_factor": pl.Float64,
            "volume_factor": pl.Float64,
            "until": history.schema["datetime"],
        },
        orient="row",
    )
    rows = history.join(factors, on=["asset_type", "symbol"]).filter(pl.col("datetime") <= pl.col("until"))
    prices = [pl.col(name) * pl.col("price_factor") for name in PRICES]
    return rows.with_columns(*prices, volume=pl.col("volume") * pl.col("volume_factor")).select(history.columns)

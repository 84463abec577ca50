"""Data in which nothing can be known: bars whose next direction is a coin, and labels without their dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from configs.settings import Settings
from market.assets import CLEAN_TABLES, AssetType
from market.errors import NotEnoughDataError
from market.sessions import bar_known_at
from market.simulate import simulate_market
from registry.provenance import content_hash
from training.dataset import Dataset
from warehouse.clock import wall_clock
from warehouse.warehouse import Warehouse

MIN_DATES = 120
"""Fewer dates than this hold no training half and no test half worth the name."""

_MIN_BARS = 60
_SMALLEST_MOVE = 1e-5
"""Of a bar's log return: a close that stays where it is would be DOWN without a coin."""

_PRICES = ("open", "high", "low", "close")
_COPY_MARK = "~"


def sampled_series(
    keys: pl.DataFrame, *, days: int, rows: int, random: np.random.Generator
) -> tuple[datetime, pl.DataFrame]:
    """Symbols whose newest bars make up about so many rows; few symbols are drawn again under further names.

    Args:
        keys: `symbol` and `datetime` of the asset class's bars.
        days: Newest distinct dates to take.
        rows: Bars wanted.
        random: Chooses the symbols.

    Returns:
        The first date, and `symbol`, `series` (a name of its own for each time a symbol was drawn).

    Raises:
        NotEnoughDataError: Too few dates, or no symbol with enough bars.
    """
    dates = keys["datetime"].unique().sort()
    if dates.len() < MIN_DATES:
        raise NotEnoughDataError(f"{dates.len()} dates, at least {MIN_DATES} are needed", remedy="give more history")
    first: datetime = dates[max(0, dates.len() - days)]
    recent = keys.lazy().filter(pl.col("datetime") >= first).group_by("symbol").len().collect()
    counts = recent.filter(pl.col("len") >= _MIN_BARS).sort("symbol")
    if counts.is_empty():
        raise NotEnoughDataError(f"no symbol has {_MIN_BARS} bars since {first:%Y-%m-%d}", remedy="give more history")
    order = random.permutation(counts.height)
    drawn: list[tuple[str, str]] = []
    total = 0
    while total < rows:
        symbol, bars = counts.row(int(order[len(drawn) % counts.height]))
        drawn.append((symbol, f"{symbol}{_COPY_MARK}{len(drawn) // counts.height}"))
        total += bars
    return first, pl.DataFrame(drawn, schema={"symbol": pl.String, "series": pl.String}, orient="row")


def stored_bars(warehouse: Warehouse, asset_type: AssetType, first: datetime, series: pl.DataFrame) -> pl.DataFrame:
    """Stored bars of the drawn series since the first date, `symbol` being the series' name, in key order."""
    columns = ", ".join(("symbol", "datetime", *_PRICES, "volume", "bar_known_at", "ingested_at"))
    sql = f"SELECT {columns} FROM `{CLEAN_TABLES[asset_type]}` WHERE symbol IN UNNEST(@symbols) AND datetime >= @first"
    stored = pl.DataFrame(warehouse.query(sql, {"symbols": series["symbol"].unique().to_list(), "first": first}))
    bars = stored.join(series, on="symbol", how="inner").with_columns(symbol=pl.col("series")).drop("series")
    return bars.with_columns(asset_type=pl.lit(asset_type)).sort("asset_type", "symbol", "datetime")


def matched_random_walk(bars: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """The same bars with the direction of every one of them redrawn by a fair coin.

    Dates, volumes, sizes of log returns and shapes stay: a bar whose direction changes is mirrored in log prices, gap
    and both shadows included. So the next direction is independent of everything before it, in each series and across
    series, while volatility, its clusters and its ranges are the asset class's own.

    Args:
        bars: `symbol`, `datetime`, positive prices, in key order.
        random: Throws the coin, once a row.

    Returns:
        The same rows and columns with new prices; a series begins at its own first open.
    """
    logs = bars.select(
        pl.col(*_PRICES).log(),
        previous=pl.coalesce(pl.col("close").shift().over("symbol"), "open").log(),
    )
    opened, high, low, close, before = (logs[name].to_numpy() for name in (*_PRICES, "previous"))
    move = close - before
    up = np.where(random.integers(0, 2, size=move.size) == 1, 1.0, -1.0)
    step = up * np.maximum(np.abs(move), _SMALLEST_MOVE)
    mirrored = up * np.where(move < 0, -1.0, 1.0)
    upper, lower = high - np.maximum(opened, close), np.minimum(opened, close) - low
    walked = bars.select("symbol").with_columns(step=pl.Series(step), start=pl.Series(before))
    new_close = walked.select(
        (pl.col("start").first() + pl.col("step").cum_sum()).over("symbol", mapping_strategy="group_to_rows")
    ).to_series()
    closed = new_close.to_numpy()
    begun = closed - step + mirrored * (opened - before)
    above, below = np.where(mirrored > 0, upper, lower), np.where(mirrored > 0, lower, upper)
    return bars.with_columns(
        open=pl.Series(np.exp(begun)),
        high=pl.Series(np.exp(np.maximum(begun, closed) + np.maximum(above, 0.0))),
        low=pl.Series(np.exp(np.minimum(begun, closed) - np.maximum(below, 0.0))),
        close=pl.Series(np.exp(closed)),
    )


def noise_bars(
    settings: Settings, asset_type: AssetType, *, first: datetime, last: datetime, rows: int, seed: int
) -> pl.DataFrame:
    """Bars of the simulated market's noise symbols between two dates: P(up) = 1/2 at every bar."""
    calendars = settings.sessions.calendars
    days = max(1, (last - first).days + 1)
    sessions = days if asset_type == "crypto" else max(1, days * 252 // 365)
    market = simulate_market(
        asset_type,
        seed=seed,
        start=first.date(),
        end=last.date(),
        planted_symbols=0,
        noise_symbols=-(-rows // sessions),
        calendar=calendars.etf if asset_type == "etf" else calendars.stocks,
    )
    known_at = bar_known_at(
        market.bars,
        calendars=calendars.by_asset_type(),
        delay_minutes=settings.sessions.publication_delay_minutes,
    )
    return market.bars.with_columns(known_at, ingested_at=pl.lit(wall_clock()).cast(known_at.dtype))


def sampled_rows(dataset: Dataset, *, days: int, rows: int, random: np.random.Generator) -> Dataset:
    """About so many rows of drawn symbols on the newest dates; a symbol drawn again has another name.

    Raises:
        NotEnoughDataError: Too few dates, or no symbol with enough bars.
    """
    first, series = sampled_series(dataset.keys, days=days, rows=rows, random=random)
    recent = dataset.keys.with_row_index("row").filter(
        (pl.col("datetime") >= first) & pl.col("symbol").is_in(series["symbol"].unique().to_list())
    )
    drawn = recent.join(series, on="symbol", how="inner").sort("datetime", "series")
    places = drawn["row"].to_numpy().astype(np.intp)
    keys = drawn.with_columns(symbol=pl.col("series")).select(dataset.keys.columns)
    return replace(
        dataset,
        matrix=dataset.matrix[places],
        label=dataset.label[places],
        datetime=dataset.datetime[places],
        known_at=dataset.known_at[places],
        label_known_at=dataset.label_known_at[places],
        keys=keys,
        content_hash=content_hash(keys),
    )


def shuffled_labels(sample: Dataset, random: np.random.Generator) -> Dataset:
    """The same features, with each series' known labels dealt out anew over its own bars."""
    series = sample.keys["symbol"].rank("dense").to_numpy()
    source = np.arange(sample.rows)
    known = np.flatnonzero(~np.isnan(sample.label))
    by_series = known[np.argsort(series[known], kind="stable")]
    source[by_series] = known[np.lexsort((random.random(known.size), series[known]))]
    label = sample.label[source]
    keys = sample.keys.with_columns(
        target_direction=pl.Series(label).fill_nan(None).cast(pl.Int64),
        forward_return_pct=sample.keys["forward_return_pct"].gather(source),
    )
    return replace(sample, label=label, keys=keys, content_hash=content_hash(keys))

"""Which rows of a clean table new and corrected bars touch, and what stands in them afterwards.

A bar changes its symbol from itself on: recursive and cumulative indicators carry it to every later bar.
"""

from __future__ import annotations

import polars as pl

from market.assets import CLEAN_TABLES, AssetType
from market.incremental import FEATURE_HISTORY_BARS, HISTORY_BARS, continued_indicators
from market.indicators import Variant
from warehouse.chunks import symbol_ranges, within
from warehouse.warehouse import ReadConnection

KEY = ("asset_type", "symbol", "datetime")

_REACHES_DAYS = tuple(int(share * HISTORY_BARS) for share in (1.02, 1.5, 2.0, 4.0, 16.0))
"""Days that hold `HISTORY_BARS` bars around the clock, of an exchange, and of ever less liquid symbols: counting bars
since a day needs one pass over the table, numbering them a sort of it."""

_ALL_DAYS = 366 * 200


def touched_symbols(read: ReadConnection, asset_type: AssetType, fresh: pl.DataFrame) -> pl.DataFrame:
    """What stands in the clean table for each symbol with fresh bars.

    Args:
        read: The warehouse.
        asset_type: The asset class.
        fresh: Fresh bars: `symbol`, `datetime`.

    Returns:
        `symbol`, `changed_from` (its first fresh bar), `earlier_bars` and `later_bars` (stored bars before, and at or
        after it), `history_from` (an instant with at least `HISTORY_BARS` stored bars between itself and the change, or
        one before the symbol's first bar) and `history_bars` (how many there are).
    """
    work = fresh.group_by("symbol").agg(changed_from=pl.col("datetime").min()).sort("symbol")
    since = ", ".join(f"TIMESTAMP_SUB(changed_from, INTERVAL {days} DAY) AS since_{days}" for days in _REACHES_DAYS)
    counts = ", ".join(
        f"COUNTIF(bars.datetime < work.changed_from AND bars.datetime >= work.since_{days}) AS within_{days}"
        for days in _REACHES_DAYS
    )
    sql = f"""
WITH changed AS ({_joined_arrays("changed_from")}),
work AS (SELECT symbol, changed_from, {since} FROM changed)
SELECT
  bars.symbol,
  COUNTIF(bars.datetime >= work.changed_from) AS later_bars,
  COUNTIF(bars.datetime < work.changed_from) AS earlier_bars,
  {counts}
FROM `{CLEAN_TABLES[asset_type]}` AS bars
JOIN work ON bars.symbol = work.symbol
GROUP BY bars.symbol
"""
    stored = pl.DataFrame(read.query(sql, _arrays(work, "changed_from")))
    counted = work.join(stored, on="symbol", how="left").with_columns(pl.exclude("symbol", "changed_from").fill_null(0))
    reach = pl.coalesce(
        pl.when(pl.col(f"within_{days}") >= HISTORY_BARS).then(pl.lit(days)) for days in _REACHES_DAYS
    ).fill_null(_ALL_DAYS)
    return counted.select(
        "symbol",
        "changed_from",
        "earlier_bars",
        "later_bars",
        history_from=pl.col("changed_from") - pl.duration(days=reach),
        history_bars=pl.coalesce(
            *(pl.when(reach == days).then(f"within_{days}") for days in _REACHES_DAYS), "earlier_bars"
        ),
    )


def rewritten_rows(
    read: ReadConnection, asset_type: AssetType, variant: Variant, fresh: pl.DataFrame, touched: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Recompute the touched symbols, range by range.

    Args:
        read: The warehouse, in the state that `touched` describes.
        asset_type: The asset class.
        variant: Indicator variant of the table.
        fresh: Key, prices, `bar_known_at`, `ingested_at` of the fresh bars.
        touched: From `touched_symbols`.

    Returns:
        The clean table's rows from each symbol's `changed_from` on; and per symbol `changed_from`, `features_from` (the
        bar before, whose label changes) and `history_from` (what its features read).
    """
    rows, changes = [], []
    for part in symbol_ranges(touched.select("symbol", rows=pl.col("later_bars") + pl.col("history_bars"))):
        work = within(touched, part)
        stored = _history(read, asset_type, work)
        own = within(fresh, part).with_columns(obv=pl.lit(None, pl.Float64), ema_200=pl.lit(None, pl.Float64))
        places = work.select("symbol", "changed_from").with_row_index("place")  # sorting by a number is quicker
        bars = overlaid(stored, own).join(places, on="symbol", how="left").sort("place", "datetime").drop("place")
        before = bars.filter(pl.col("datetime") < pl.col("changed_from"))
        state = _state(read, asset_type, variant, before, work.filter(pl.col("earlier_bars") > pl.col("history_bars")))
        computed = continued_indicators(bars.drop("obv", "ema_200"), state, variant)
        rows.append(computed.drop("asset_type", "changed_from").with_columns(indicator_variant=pl.lit(variant)))
        changes.append(_feature_work(before, work))
    return pl.concat(rows), pl.concat(changes)


def overlaid(stored: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Stored bars with the fresh ones in place of those of the same key."""
    return pl.concat([stored.join(fresh, on=KEY, how="anti"), fresh.select(stored.columns)])


def _history(read: ReadConnection, asset_type: AssetType, work: pl.DataFrame) -> pl.DataFrame:
    """Stored bars of the touched symbols from `history_from` on, with the columns that carry state."""
    sql = f"""
WITH work AS ({_joined_arrays("history_from")})
SELECT
  @asset_type AS asset_type, bars.symbol, bars.datetime, bars.open, bars.high, bars.low, bars.close, bars.volume,
  bars.bar_known_at, bars.ingested_at, bars.obv, bars.ema_200
FROM `{CLEAN_TABLES[asset_type]}` AS bars
JOIN work ON bars.symbol = work.symbol AND bars.datetime >= work.history_from
WHERE bars.symbol BETWEEN @first_symbol AND @last_symbol
"""
    bounds = {"first_symbol": work["symbol"].min(), "last_symbol": work["symbol"].max()}
    return pl.DataFrame(read.query(sql, {"asset_type": asset_type, **_arrays(work, "history_from"), **bounds}))


def _state(
    read: ReadConnection, asset_type: AssetType, variant: Variant, before: pl.DataFrame, work: pl.DataFrame
) -> pl.DataFrame:
    """What indicators go on from, for symbols whose history begins before the bars that were read."""
    last = before.group_by("symbol", maintain_order=True).agg(pl.col("obv", "ema_200").last())
    state = work.select("symbol").join(last, on="symbol")
    if variant == "wilder" or state.is_empty():
        return state
    sql = f"""
WITH work AS ({_joined_arrays("changed_from")})
SELECT
  bars.symbol,
  SUM(bars.volume) AS total_volume,
  SUM((bars.high + bars.low + bars.close) / 3 * bars.volume) AS total_price_volume
FROM `{CLEAN_TABLES[asset_type]}` AS bars
JOIN work ON bars.symbol = work.symbol AND bars.datetime < work.changed_from
GROUP BY bars.symbol
"""
    return state.join(pl.DataFrame(read.query(sql, _arrays(work, "changed_from"))), on="symbol")


def _feature_work(before: pl.DataFrame, work: pl.DataFrame) -> pl.DataFrame:
    reach = before.group_by("symbol").agg(
        features_from=pl.col("datetime").max(), history_from=pl.col("datetime").tail(FEATURE_HISTORY_BARS).min()
    )
    changed = work.select("symbol", "changed_from").join(reach, on="symbol", how="left")
    return changed.with_columns(pl.col("features_from", "history_from").fill_null(pl.col("changed_from")))


def _joined_arrays(column: str) -> str:
    """A table of `symbol` and one more column from two array parameters."""
    return (
        f"SELECT symbol, {column} FROM UNNEST(@symbols) AS symbol WITH OFFSET AS i "
        f"JOIN UNNEST(@{column}) AS {column} WITH OFFSET AS j ON i = j"
    )


def _arrays(work: pl.DataFrame, column: str) -> dict[str, object]:
    return {"symbols": work["symbol"].to_list(), column: work[column].to_list()}

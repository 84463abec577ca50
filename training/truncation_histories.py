"""Sampled histories of an asset class, and the copies of them that the proofs recompute."""

from __future__ import annotations

import numpy as np
import polars as pl

from configs.settings import Settings
from configs.sources import BigQueryOptions
from market.assets import CLEAN_TABLES, AssetType
from market.indicators import OUTPUT_COLUMNS
from training.truncation_compare import CUT_MARK
from warehouse.clean import clean_state
from warehouse.warehouse import Warehouse

LABEL_COLUMNS = ("target_direction", "forward_return_pct", "label_known_at")
WHOLE, RESCALED = "whole", "rescaled"
"""Names of the copies that are not cut; the second has its prices multiplied."""

MIN_BARS = 30
_BARS = ("open", "high", "low", "close", "volume")
_PRICES = ("open", "high", "low", "close")
_WARM_UP = 220
_YOUNG = ((2, 6), (6, 12), (12, 20), (20, 50), (50, 130), (130, _WARM_UP))
"""One cut in each range: values that were filled backwards stand in a column's warm-up, which is short or long."""


def sampled_histories(warehouse: Warehouse, settings: Settings, asset_type: AssetType) -> pl.DataFrame:
    """The bars of `audit.truncation_symbols` symbols drawn with `audit.seed`, one a key, sorted by symbol and time.

    Copies of a bar are left out here: a check of their own counts them.
    """
    table = CLEAN_TABLES[asset_type]
    symbols = warehouse.query(
        f"SELECT symbol FROM `{table}` GROUP BY symbol HAVING COUNT(*) >= {MIN_BARS} ORDER BY symbol"
    ).column(0)
    random = np.random.default_rng(settings.audit.seed)
    count = min(settings.audit.truncation_symbols, len(symbols))
    chosen = [symbols[int(i)].as_py() for i in random.choice(len(symbols), count, replace=False)]
    columns = ", ".join(("symbol", "datetime", *_BARS, "bar_known_at", "ingested_at"))
    sql = f"SELECT {columns} FROM `{table}` WHERE symbol IN UNNEST(@symbols)"
    bars = pl.DataFrame(warehouse.query(sql, {"symbols": chosen}))
    unique = bars.unique(["symbol", "datetime"], keep="first")
    return unique.with_columns(asset_type=pl.lit(asset_type)).sort("symbol", "datetime")


def copies(histories: pl.DataFrame, features: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Every sampled symbol cut at several bars, whole, and rescaled, each under a name of its own: one build for all.

    Random cuts would miss a rare flag that looks ahead: only cuts right after its events show it. So each flag that is
    mostly 0 adds a cut right after one of its events, and one a bar later, which shows a look at two bars as such.

    Args:
        histories: From `sampled_histories`.
        features: Stored feature rows of the same symbols, which show the events.
        settings: Gives number of cuts, factor and seed.
    """
    random = np.random.default_rng(settings.audit.seed + 1)
    pieces = []
    for history in histories.partition_by("symbol", maintain_order=True):
        symbol = history["symbol"][0]
        own = features.filter(pl.col("symbol") == symbol).sort("datetime")
        lengths = _random_lengths(random, history.height, settings.audit.truncation_cuts)
        for flag in _rare_flags(own):
            events = np.flatnonzero(own[flag].to_numpy()[: history.height - 1]) + 1
            if len(events):
                event = int(random.choice(events))
                lengths |= {event, min(event + 1, history.height - 1)}
        pieces += [_named(history.head(length), symbol, str(length)) for length in sorted(lengths)]
        factor = settings.audit.rescale_factor
        pieces.append(_named(history, symbol, WHOLE))
        pieces.append(_named(history.with_columns(pl.col(*_PRICES) * factor), symbol, RESCALED))
    return pl.concat(pieces).sort("asset_type", "symbol", "datetime")


def cuts_only(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of the cut copies."""
    return frame.filter(~is_copy(WHOLE) & ~is_copy(RESCALED))


def is_copy(name: str) -> pl.Expr:
    """Whether a row belongs to the copy of this name."""
    return pl.col("symbol").str.ends_with(f"{CUT_MARK}{name}")


def stored_rows(
    warehouse: Warehouse, table: str, histories: pl.DataFrame, asset_type: AssetType | None
) -> pl.DataFrame:
    """Stored rows of the sampled symbols, one a key: copies of a row are found by a check of their own."""
    symbols = histories["symbol"].unique().to_list()
    condition = "symbol IN UNNEST(@symbols)" + (" AND asset_type = @asset_type" if asset_type else "")
    parameters = {"symbols": symbols} | ({"asset_type": asset_type} if asset_type else {})
    found = pl.DataFrame(warehouse.query(f"SELECT * FROM `{table}` WHERE {condition}", parameters))
    return found.unique(["symbol", "datetime"], keep="first", maintain_order=True)


def computed_here(warehouse: Warehouse, settings: Settings, asset_type: AssetType) -> bool:
    """Whether the platform computed the stored indicators; else they came with a table that is only read."""
    source = settings.sources.of(asset_type)
    if not isinstance(source, BigQueryOptions) or source.recompute_indicators:
        return True
    with warehouse.read() as read:
        return clean_state(read, asset_type).change_number > 0


def with_given(bars: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Copies of histories with the stored indicators of their bars."""
    own = stored.select("datetime", *OUTPUT_COLUMNS, parent="symbol")
    parents = bars.with_columns(parent=pl.col("symbol").str.split(CUT_MARK).list.first())
    return parents.join(own, on=["parent", "datetime"], how="left", maintain_order="left").drop("parent")


def _random_lengths(random: np.random.Generator, bars: int, cuts: int) -> set[int]:
    lowest = min(_WARM_UP, bars // 2)
    young = {int(random.integers(low, high)) for low, high in _YOUNG if high <= bars}
    return young | {int(length) for length in random.integers(lowest, bars, cuts)}


def _rare_flags(features: pl.DataFrame) -> list[str]:
    """Stored 0/1 (or -1) columns that are 0 on most bars; labels are no features."""
    return [
        name
        for name, dtype in features.schema.items()
        if dtype.is_integer() and name not in LABEL_COLUMNS and features[name].abs().max() == 1
        and (features[name] == 0).mean() > 0.7  # type: ignore[operator]
    ]  # fmt: skip


def _named(history: pl.DataFrame, symbol: str, name: str) -> pl.DataFrame:
    return history.with_columns(symbol=pl.lit(f"{symbol}{CUT_MARK}{name}"))

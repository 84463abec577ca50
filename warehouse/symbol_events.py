"""Renamings and delistings, told by the configuration, and re-adjusted scales, found in bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa

from configs.settings import Settings
from market.assets import AssetType
from market.readjustment import Readjustment
from market.sessions import Interval
from market.symbols import canonical_symbol
from warehouse.warehouse import Write

TABLE = "tradehits.symbol_events"

_STAMP = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    {
        "asset_type": pa.string(),
        "symbol": pa.string(),
        "event": pa.string(),
        "effective_at": _STAMP,
        "other_symbol": pa.string(),
        "price_factor": pa.float64(),
        "volume_factor": pa.float64(),
        "rescaled_until": _STAMP,
        "interval": pa.string(),
        "source": pa.string(),
        "recorded_at": _STAMP,
    }
)


def under_new_names(bars: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Bars of a renamed symbol from before its renaming, under the new name.

    The old name may belong to another company later, so bars from the renaming on keep it. Where the source gives the
    same bar under both names, the one under the new name stays.

    Args:
        bars: Canonical bars, `market.bars.BAR_SCHEMA` and more; sorted by key.
        settings: Gives `symbols.renamed`.
    """
    renamed = bars.with_columns(is_old_name=pl.lit(value=False))
    for entry in settings.symbols.renamed:
        old, new = (canonical_symbol(entry.asset_type, name) for name in (entry.old, entry.new))
        is_old = (
            (pl.col("asset_type") == entry.asset_type)
            & (pl.col("symbol") == old)
            & (pl.col("datetime") < _midnight(entry.first_session))
        )
        renamed = renamed.with_columns(
            symbol=pl.when(is_old).then(pl.lit(new)).otherwise("symbol"), is_old_name=pl.col("is_old_name") | is_old
        )
    if not renamed["is_old_name"].any():
        return bars
    key = ["asset_type", "symbol", "datetime"]
    return renamed.sort(*key, "is_old_name").unique(key, keep="first", maintain_order=True).drop("is_old_name")


def event_writes(
    settings: Settings,
    asset_type: AssetType,
    readjustments: Sequence[Readjustment],
    *,
    source: str,
    arrived_at: datetime,
    interval: Interval = "1d",
) -> list[Write]:
    """The write that records what is known of the symbols of one asset class; events recorded before stay.

    Args:
        settings: Gives `symbols`.
        asset_type: The asset class.
        readjustments: Scales that changed.
        source: Name of the source that showed them.
        arrived_at: When its bars arrived.
        interval: Of the bars that showed them.
    """
    said, configured = settings.symbols, "configuration"
    rows: list[dict[str, object]] = [
        {"symbol": e.old, "event": "RENAMED", "effective_at": _midnight(e.first_session), "other_symbol": e.new}
        for e in said.renamed
        if e.asset_type == asset_type
    ]
    for event, entries in (("DELISTED", said.delisted), ("RELISTED", said.relisted)):
        rows += [
            {"symbol": e.symbol, "event": event, "effective_at": _midnight(e.session)}
            for e in entries
            if e.asset_type == asset_type
        ]
    for row in rows:
        for name in ("symbol", "other_symbol"):
            row[name] = canonical_symbol(asset_type, str(row[name])) if row.get(name) else None
    rows += [
        {
            "symbol": found.symbol,
            "event": "READJUSTED",
            "effective_at": arrived_at,
            "price_factor": found.price_factor,
            "volume_factor": found.volume_factor,
            "rescaled_until": found.until,
            "interval": interval,
            "source": source,
        }
        for found in readjustments
    ]
    if not rows:
        return []
    common = {"asset_type": asset_type, "source": configured, "recorded_at": arrived_at}
    table = pa.Table.from_pylist([{**common, **row} for row in rows], schema=_SCHEMA)
    return [Write(TABLE, rows=table, mode="append", skip_existing=True)]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)

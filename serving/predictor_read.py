"""What inference asks the warehouse about an asset class: its clock, its symbols, and one bar of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from market.assets import CLEAN_TABLES, AssetType
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import ReadConnection

REALTIME_TABLE = "ml_models.realtime_predictions"

VOLUME_BARS = 20

_SYMBOLS = """
SELECT symbol, MIN(datetime) AS oldest, MAX(datetime) AS newest, MAX(bar_known_at) AS newest_known_at
FROM `{table}`
WHERE bar_known_at <= @now
GROUP BY symbol
ORDER BY symbol
"""
_DELISTED = """
SELECT symbol, MAX(effective_at) AS delisted_on
FROM `tradehits.symbol_events`
WHERE asset_type = @asset_type AND event IN ('DELISTED', 'RELISTED')
GROUP BY symbol
HAVING MAX(IF(event = 'DELISTED', effective_at, NULL)) = MAX(effective_at)
"""
_BARS = f"SELECT * FROM `{FEATURES_TABLE}` WHERE asset_type = @asset_type AND datetime = @stamp ORDER BY symbol"
_VOLUMES = f"""
SELECT symbol, IF(COUNT(volume) = {VOLUME_BARS}, AVG(volume), NULL) AS volume_sma_20
FROM (
  SELECT symbol, volume
  FROM `{{table}}`
  WHERE datetime <= @stamp
  QUALIFY ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY datetime DESC) <= {VOLUME_BARS}
)
GROUP BY symbol
"""
_CORRECTED = """
SELECT DISTINCT symbol
FROM `tradehits.bar_versions`
WHERE asset_type = @asset_type AND `interval` = '1d' AND datetime <= @stamp AND knowledge_at > @known_at
ORDER BY symbol
"""


@dataclass(frozen=True)
class Class:
    """An asset class as inference finds it.

    Attributes:
        symbols: `symbol`, `oldest` and `newest` (stamps of its first bar and of the newest one known by now),
            `newest_known_at`, `delisted_on` (NULL for most), sorted by symbol.
        newest: Stamp of the newest bar known by now; None without bars.
        newest_known_at: When that one was known.
        is_end_of_bars: Whether no stored bar was known later: false where the clock is set into the past.
    """

    asset_type: AssetType
    symbols: pl.DataFrame
    newest: datetime | None
    newest_known_at: datetime | None
    is_end_of_bars: bool


def read_class(read: ReadConnection, asset_type: AssetType, now: datetime) -> Class:
    """Every symbol and its newest bar as of the class's clock."""
    table = CLEAN_TABLES[asset_type]
    symbols = pl.DataFrame(read.query(_SYMBOLS.format(table=table), {"now": now}))
    delisted = pl.DataFrame(read.query(_DELISTED, {"asset_type": asset_type}))
    later = read.query(f"SELECT 1 AS later FROM `{table}` WHERE bar_known_at > @now LIMIT 1", {"now": now})
    newest = symbols.sort("newest").tail(1).to_dicts()
    return Class(
        asset_type,
        symbols.join(delisted, on="symbol", how="left", maintain_order="left"),
        newest[0]["newest"] if newest else None,
        newest[0]["newest_known_at"] if newest else None,
        later.num_rows == 0,
    )


def read_bars(read: ReadConnection, asset_type: AssetType, stamp: datetime) -> pl.DataFrame:
    """Stored features of every symbol's bar of that stamp, sorted by symbol, with `volume_sma_20`.

    The mean volume counts the newest 20 bars up to this one; it is NULL with fewer, or where one has no volume.
    """
    bars = pl.DataFrame(read.query(_BARS, {"asset_type": asset_type, "stamp": stamp}))
    sql = _VOLUMES.format(table=CLEAN_TABLES[asset_type])
    volumes = pl.DataFrame(read.query(sql, {"stamp": stamp}))
    return bars.join(volumes, on="symbol", how="left", maintain_order="left")


def predicted_symbols(read: ReadConnection, asset_type: AssetType, stamp: datetime) -> frozenset[str]:
    """Symbols whose bar of that stamp has a stored prediction: they are never scored again."""
    sql = f"SELECT symbol FROM `{REALTIME_TABLE}` WHERE asset_type = @asset_type AND datetime = @stamp"
    return frozenset(read.query(sql, {"asset_type": asset_type, "stamp": stamp}).column("symbol").to_pylist())


def corrected_symbols(
    read: ReadConnection, asset_type: AssetType, stamp: datetime, known_at: datetime
) -> tuple[str, ...]:
    """Symbols of which a bar up to that stamp was corrected after the instant."""
    parameters = {"asset_type": asset_type, "stamp": stamp, "known_at": known_at}
    return tuple(read.query(_CORRECTED, parameters).column("symbol").to_pylist())

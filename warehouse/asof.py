"""The warehouse as it was known at an instant: bars, indicators and features of one asset class.

Of every bar counts the newest version whose knowledge time is not later than the instant. A bar that is stored for the
first time counts as known when it closed (`bar_known_at`), however late it was loaded; a correction counts from its
arrival. So a correction never changes what was known before it, while a bar that is loaded late appears in every
question about the time since it closed.

Indicators and features are computed anew from these bars by the same code as always, in a warehouse of their own on
this machine, whatever engine holds the versions.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from configs.settings import Settings
from market.assets import AssetType
from market.errors import KnowledgeTimeError
from warehouse.chunks import symbol_ranges
from warehouse.clean import clean_writes
from warehouse.clock import wall_clock
from warehouse.duckdb import DuckDBWarehouse
from warehouse.duckdb_errors import file_errors
from warehouse.duckdb_host import process_name
from warehouse.features import build_features
from warehouse.retention import retention_horizon
from warehouse.warehouse import ReadConnection, Warehouse, Write

VERSIONS_TABLE = "tradehits.bar_versions"
_PRICES = ("open", "high", "low", "close")
_IS_KNOWN = "asset_type = @asset_type AND `interval` = '1d' AND knowledge_at <= @as_of"
_OF_SYMBOLS = "symbol IN UNNEST(@symbols)"

_COUNTS = f"SELECT symbol, COUNT(*) AS `rows` FROM `{VERSIONS_TABLE}` WHERE {_IS_KNOWN} AND {{scope}} GROUP BY symbol"

_KNOWN = f"""
SELECT asset_type, symbol, `interval`, datetime, open, high, low, close, volume, bar_known_at, ingested_at,
  knowledge_at, is_backfill, source
FROM `{VERSIONS_TABLE}`
WHERE {_IS_KNOWN} AND {{scope}} AND symbol BETWEEN @first_symbol AND @last_symbol
QUALIFY ROW_NUMBER() OVER (PARTITION BY symbol, datetime ORDER BY ingested_at DESC) = 1
"""

_LATER_SCALES = f"""
SELECT e.symbol, e.effective_at, e.price_factor, e.volume_factor, e.rescaled_until,
  COUNTIF(v.datetime > e.rescaled_until AND v.ingested_at < e.effective_at) = 0 AS holds_after
FROM `tradehits.symbol_events` AS e
LEFT JOIN `{VERSIONS_TABLE}` AS v
  ON v.asset_type = e.asset_type AND v.symbol = e.symbol AND v.`interval` = e.`interval`
WHERE e.asset_type = @asset_type AND e.event = 'READJUSTED' AND e.`interval` = '1d' AND e.effective_at > @as_of
GROUP BY e.symbol, e.effective_at, e.price_factor, e.volume_factor, e.rescaled_until
"""


@dataclass(frozen=True)
class Past:
    """What was known at an instant.

    Attributes:
        warehouse: Holds the asset class's bar versions (one a bar), clean table and features; it goes with the block.
        asset_type: The asset class.
        as_of: The instant, UTC.
        bars: How many bars were known.
        corrected: How many of them in a corrected version.
        loaded_later: How many count as known by the rule for first loads although they were stored only afterwards.
    """

    warehouse: DuckDBWarehouse
    asset_type: AssetType
    as_of: datetime
    bars: int
    corrected: int
    loaded_later: int


@contextmanager
def warehouse_as_of(
    warehouse: Warehouse,
    settings: Settings,
    asset_type: AssetType,
    as_of: datetime,
    *,
    symbols: Sequence[str] | None = None,
) -> Iterator[Past]:
    """What was known of one asset class at an instant, as a warehouse of its own for the length of the block.

    Args:
        warehouse: Gives `tradehits.bar_versions`; it is only read, and not held while indicators are computed.
        settings: Indicator variant, split dates, and the cache where the warehouse of the past lies.
        asset_type: The asset class.
        as_of: The instant asked for, with a zone.
        symbols: These only; None: all of the class.

    Raises:
        KnowledgeTimeError: The instant has no zone, lies in the future or before the retention horizon, or no bar was
            known then.
    """
    instant = _checked(as_of)
    folder = settings.paths.cache / "staging" / process_name("as-of")
    with file_errors():
        folder.mkdir(parents=True)
    try:
        past = DuckDBWarehouse(folder / "warehouse.duckdb", settings=settings.warehouse, staging=folder / "staging")
        past.ensure_schema()
        with warehouse.read() as read:
            _refuse_forgotten(read, asset_type, instant)
            _copy_versions(read, past, asset_type, instant, symbols)
        facts = past.query(
            "SELECT COUNT(*) AS bars, COUNTIF(NOT is_backfill) AS corrected, COUNTIF(ingested_at > @as_of) AS later "
            f"FROM `{VERSIONS_TABLE}`",
            {"as_of": instant},
        ).to_pylist()[0]
        if not facts["bars"]:
            raise KnowledgeTimeError(
                f"no daily bar of {asset_type} was known at {instant.isoformat()}", remedy="ask for a later instant"
            )
        nothing = pl.DataFrame(past.query(f"SELECT * FROM `{VERSIONS_TABLE}` LIMIT 0"))
        past.write(clean_writes(past, settings, asset_type, nothing))
        build_features(past, settings, [asset_type])
        yield Past(past, asset_type, instant, facts["bars"], facts["corrected"], facts["later"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_scale_of(bars: pl.DataFrame, later_scales: pl.DataFrame) -> pl.DataFrame:
    """Bars that were stored after their source had changed a symbol's scale, back in the scale before.

    A source of adjusted prices rescales a symbol's past when shares are split. A bar first stored after that is in the
    new scale, while the versions known before are in the old one: together they would show a jump that never was.

    Args:
        bars: `symbol`, `datetime`, prices, `volume`, `ingested_at`, and other columns.
        later_scales: The changes after the instant asked for: `symbol`, `effective_at` (the arrival that showed it),
            `price_factor`, `volume_factor`, `rescaled_until`, and `holds_after`: whether bars after `rescaled_until`
            are in the new scale too (false where both scales agreed on stored ones).

    Returns:
        The same rows in the same order.
    """
    marked = bars.with_row_index("row")
    affected = marked.select("row", "symbol", "datetime", "ingested_at").join(later_scales, on="symbol")
    is_rescaled = pl.col("holds_after") | (pl.col("datetime") <= pl.col("rescaled_until"))
    affected = affected.filter((pl.col("ingested_at") >= pl.col("effective_at")) & is_rescaled)
    factors = affected.group_by("row").agg(pl.col("price_factor", "volume_factor").product())
    joined = marked.join(factors, on="row", how="left", maintain_order="left")
    prices = [pl.col(name) / pl.col("price_factor").fill_null(1.0) for name in _PRICES]
    return joined.with_columns(*prices, volume=pl.col("volume") / pl.col("volume_factor").fill_null(1.0)).select(
        bars.columns
    )


def _checked(as_of: datetime) -> datetime:
    if as_of.tzinfo is None:
        raise KnowledgeTimeError(f"{as_of} has no zone", remedy="say it in UTC, as in 2024-01-31T00:00:00Z")
    instant = as_of.astimezone(UTC)
    if instant > wall_clock():
        raise KnowledgeTimeError(
            f"{instant.isoformat()} lies in the future: what will be known then may still change",
            remedy="ask for an instant that has passed",
        )
    return instant


def _refuse_forgotten(read: ReadConnection, asset_type: AssetType, as_of: datetime) -> None:
    horizon = retention_horizon(read, asset_type)
    if horizon is not None and as_of < horizon:
        raise KnowledgeTimeError(
            f"{asset_type}: versions superseded before {horizon.isoformat()} were dropped, so what was known at "
            f"{as_of.isoformat()} cannot be told any more",
            remedy=f"ask for {horizon.isoformat()} or later; versions.keep_days says how long versions are kept",
        )


def _copy_versions(
    read: ReadConnection, past: Warehouse, asset_type: AssetType, as_of: datetime, symbols: Sequence[str] | None
) -> None:
    """One version a bar, a range of symbols at a time."""
    asked = {"asset_type": asset_type, "as_of": as_of}
    later_scales = pl.DataFrame(read.query(_LATER_SCALES, asked))
    scope, chosen = ("TRUE", {}) if symbols is None else (_OF_SYMBOLS, {"symbols": list(symbols)})
    for part in symbol_ranges(pl.DataFrame(read.query(_COUNTS.format(scope=scope), asked | chosen))):
        bounds = {"first_symbol": part.first, "last_symbol": part.last}
        known = in_scale_of(pl.DataFrame(read.query(_KNOWN.format(scope=scope), asked | bounds | chosen)), later_scales)
        past.write([Write(VERSIONS_TABLE, rows=known.to_arrow(), mode="append")])

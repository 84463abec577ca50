"""Bars into the warehouse: append-only versions, and the newest bars with their indicators.

Gather (read what is stored), decide (`plan_ingest`, pure), apply (one transaction per asset class).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from configs.settings import Settings
from market.assets import CLEAN_TABLES, AssetType
from market.findings import FINDING_SCHEMA
from market.readjustment import find_readjustments
from market.sessions import Interval, bar_known_at, session_close_table
from warehouse.champions import published_champions
from warehouse.clean import clean_writes
from warehouse.clock import asset_settings_write, newest_known_at, wall_clock
from warehouse.ingest_plan import RESCALED, IngestPlan, plan_ingest
from warehouse.quarantine import quarantine_writes
from warehouse.reading import Batch
from warehouse.symbol_events import event_writes
from warehouse.warehouse import ReadConnection, Warehouse, Write

SESSIONS_AHEAD_DAYS = 60
ATTACHED = "bigquery"
"""Source of bars that lie in a table of your own and are not stored here; see `warehouse.attached`."""

_NEWEST_VERSIONS = """
SELECT asset_type, symbol, datetime, open, high, low, close, volume, bar_known_at, ingested_at
FROM `tradehits.bar_versions`
WHERE asset_type = @asset_type AND `interval` = @bar_interval AND {scope}
QUALIFY ROW_NUMBER() OVER (PARTITION BY asset_type, symbol, datetime ORDER BY ingested_at DESC) = 1
"""
_OVERLAP = _NEWEST_VERSIONS.format(scope="datetime BETWEEN @first AND @last")
_HISTORY = _NEWEST_VERSIONS.format(scope="symbol IN UNNEST(@symbols)")


@dataclass(frozen=True)
class IngestReport:
    """What one ingestion did to one asset class; counts of bars.

    Attributes:
        read: Rows of the source.
        quarantined: Rows of them that were left out; `read` = `new` + `changed` + `unchanged` + `quarantined`.
        flagged: Findings about rows that were kept.
        rescaled: Stored bars brought into a new scale, beside the rows read.
        stored: Bars there are now, one a key.
        first: Stamp of the first bar that was read and kept; None without one.
        last: Of the last one.
    """

    asset_type: AssetType
    interval: Interval
    source: str
    symbols: int
    read: int
    new: int
    changed: int
    unchanged: int
    quarantined: int
    flagged: int
    rescaled: int
    stored: int
    first: datetime | None
    last: datetime | None


def ingest_asset_type(warehouse: Warehouse, settings: Settings, bars: pl.DataFrame, *, source: str) -> IngestReport:
    """Store daily bars of one asset class that passed `market.bars.check_bars`; see `store_batch`."""
    known_at = bar_known_at(
        bars,
        calendars=settings.sessions.calendars.by_asset_type(),
        delay_minutes=settings.sessions.publication_delay_minutes,
    )
    bars = bars.with_columns(known_at.alias("bar_known_at"))
    findings = FINDING_SCHEMA.to_frame()
    return store_batch(
        warehouse, settings, Batch(bars["asset_type"][0], "1d", source, bars, findings, read=bars.height, quarantined=0)
    )


def store_batch(warehouse: Warehouse, settings: Settings, batch: Batch) -> IngestReport:
    """Store what a source gave of one asset class in one transaction, and bring the newest daily bars up to date.

    Running it twice with the same bars changes nothing. Indicators are computed anew for what new and changed bars
    touch, and for everything when the stored ones are of another variant.

    Args:
        warehouse: Where to.
        settings: Sessions, indicator variant, clock.
        batch: Inspected bars.
    """
    arrived_at = wall_clock()
    if batch.bars.is_empty():
        warehouse.write(quarantine_writes(batch.findings, source=batch.source, quarantined_at=arrived_at))
        return _report(warehouse, batch, None)
    with warehouse.read() as read:
        plan = _plan(read, batch, arrived_at)
        newest_known, published = newest_known_at(read), published_champions(read)
    batch = replace(batch, findings=pl.concat([batch.findings, _unproven_findings(plan.unproven, batch)]))
    writes = quarantine_writes(batch.findings, source=batch.source, quarantined_at=arrived_at)
    asset_type = batch.asset_type
    if batch.interval == "1d":
        newest_known[asset_type] = _later(newest_known[asset_type], batch.bars["bar_known_at"].max())  # type: ignore[arg-type]
    writes.append(asset_settings_write(settings, newest_known, published))
    writes += session_writes(settings, asset_type, batch.bars)
    writes += event_writes(
        settings,
        asset_type,
        plan.readjustments,
        source=batch.source,
        arrived_at=arrived_at,
        interval=batch.interval,
    )
    if plan.versions.height:
        writes.append(Write("tradehits.bar_versions", rows=plan.versions.to_arrow(), mode="append"))
    if batch.interval == "1d":
        writes += clean_writes(warehouse, settings, asset_type, plan.versions)
    warehouse.write(writes)
    return _report(warehouse, batch, plan)


def _plan(read: ReadConnection, batch: Batch, arrived_at: datetime) -> IngestPlan:
    scope = {"asset_type": batch.asset_type, "bar_interval": batch.interval}
    bounds = {"first": batch.bars["datetime"].min(), "last": batch.bars["datetime"].max()}
    stored = pl.DataFrame(read.query(_OVERLAP, {**scope, **bounds}))
    found = find_readjustments(stored, batch.bars) if stored.height else []
    history = None
    if found:
        history = pl.DataFrame(read.query(_HISTORY, {**scope, "symbols": [one.symbol for one in found]}))
    return plan_ingest(
        stored,
        batch.bars,
        source=batch.source,
        ingested_at=arrived_at,
        interval=batch.interval,
        history=history,
        readjustments=found,
    )


def _unproven_findings(bars: pl.DataFrame, batch: Batch) -> pl.DataFrame:
    """Never silent: if the scale did change, the stored history needs the same factor."""
    detail = "all prices are {} times the stored ones: a correction, or a new scale that one bar cannot prove"
    findings = bars.with_columns(
        detail=pl.format(detail, pl.col("price_factor").round(6)),
        interval=pl.lit(batch.interval),
        rule=pl.lit("readjustment_unproven"),
        severity=pl.lit("warning"),
        action=pl.lit("kept"),
        column=pl.lit("close"),
        file=pl.lit(None, dtype=pl.String),
        source_row=pl.lit(None, dtype=pl.UInt32),
    )
    return findings.select(FINDING_SCHEMA.names()).cast(FINDING_SCHEMA)


def _report(warehouse: Warehouse, batch: Batch, plan: IngestPlan | None) -> IngestReport:
    bars = batch.bars
    new, changed, moved = (plan.new, plan.changed, plan.rescaled) if plan else (0, 0, 0)
    return IngestReport(
        asset_type=batch.asset_type,
        interval=batch.interval,
        source=batch.source,
        symbols=bars["symbol"].n_unique(),
        read=batch.read,
        new=new,
        changed=changed,
        unchanged=bars.height - new - changed,
        quarantined=batch.read - bars.height,
        flagged=batch.findings.filter(pl.col("action") == "kept").height,
        rescaled=moved,
        stored=_stored_bars(warehouse, batch.asset_type, batch.interval),
        first=bars["datetime"].min(),  # type: ignore[arg-type]
        last=bars["datetime"].max(),  # type: ignore[arg-type]
    )


def _stored_bars(warehouse: Warehouse, asset_type: AssetType, interval: Interval) -> int:
    """The clean tables have one row a key of daily bars."""
    if interval == "1d":
        counted = warehouse.query(f"SELECT COUNT(*) AS n FROM `{CLEAN_TABLES[asset_type]}`")
    else:
        sql = """
        SELECT COUNT(*) AS n FROM (
          SELECT DISTINCT symbol, datetime FROM `tradehits.bar_versions`
          WHERE asset_type = @asset_type AND `interval` = @bar_interval
        )
        """
        counted = warehouse.query(sql, {"asset_type": asset_type, "bar_interval": interval})
    return int(counted.column(0)[0].as_py())


def _later(stored: datetime | None, incoming: datetime) -> datetime:
    return incoming if stored is None else max(stored, incoming)


def stored_sources(warehouse: Warehouse) -> dict[AssetType, tuple[str, ...]]:
    """Names of the sources behind the stored bars of each asset class that has any."""
    rows = warehouse.query("SELECT DISTINCT asset_type, source FROM `tradehits.bar_versions`").to_pylist()
    found: dict[AssetType, tuple[str, ...]] = {}
    for name, table in CLEAN_TABLES.items():
        # A clean table without versions behind it is a view over a table of somebody else.
        is_attached = name not in {row["asset_type"] for row in rows}
        if is_attached and warehouse.query(f"SELECT 1 AS there FROM `{table}` LIMIT 1").num_rows:
            found[name] = (ATTACHED,)
    for row in sorted(rows, key=lambda row: str(row["source"])):
        name, known = row["source"].removesuffix(RESCALED), found.get(row["asset_type"], ())
        found[row["asset_type"]] = known if name in known else (*known, name)
    return found


def session_writes(settings: Settings, asset_type: AssetType, bars: pl.DataFrame) -> list[Write]:
    """The exchange sessions from the first of these bars up to the present, so that views can count them."""
    if asset_type == "crypto":
        return []
    calendar = settings.sessions.calendars.by_asset_type()[asset_type]
    start = bars["datetime"].min().date()  # type: ignore[union-attr]
    end = wall_clock().date() + timedelta(days=SESSIONS_AHEAD_DAYS)
    sessions = session_close_table(calendar, start, end).with_columns(calendar=pl.lit(calendar))
    return [Write("tradehits.sessions", rows=sessions.to_arrow(), mode="merge")]

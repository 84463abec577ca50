"""Bars from a source, inspected: what may be stored of each asset class and interval, and what was found in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from configs.settings import Settings
from market.assets import ASSET_TYPES, AssetType
from market.bar_checks import SOURCE_ROW
from market.errors import BadBarsError
from market.inspection import Inspection, InspectionRules, RawBars, inspect_bars
from market.sessions import INTERVALS, Interval
from warehouse.sources.base import FilteringSource, RawSource, SetAside, Source
from warehouse.symbol_events import under_new_names
from warehouse.warehouse import Warehouse

_NEIGHBOUR_DAYS = 21
"""Stored bars so close before a symbol's first incoming one are its neighbours."""

_EARLIER_BARS = """
WITH incoming AS (
  SELECT symbol, first
  FROM UNNEST(@symbols) AS symbol WITH OFFSET AS i
  JOIN UNNEST(@firsts) AS first WITH OFFSET AS j ON i = j
)
SELECT v.asset_type, v.symbol, v.datetime, v.open, v.high, v.low, v.close, v.volume
FROM `tradehits.bar_versions` AS v
JOIN incoming ON v.symbol = incoming.symbol
WHERE v.asset_type = @asset_type AND v.`interval` = @bar_interval
  AND v.datetime < incoming.first AND v.datetime >= TIMESTAMP_SUB(incoming.first, INTERVAL @days DAY)
QUALIFY ROW_NUMBER() OVER (PARTITION BY v.symbol, v.datetime ORDER BY v.ingested_at DESC) = 1
"""


@dataclass(frozen=True)
class Batch:
    """What may be stored of one asset class in one interval.

    Attributes:
        asset_type: The class.
        interval: Of all bars.
        source: Name of the source.
        bars: `market.bars.BAR_SCHEMA` and `bar_known_at`; may be empty.
        findings: As `market.inspection.FINDING_SCHEMA`.
        read: Rows before any was left out.
        quarantined: Rows left out; a bar that a renamed symbol has under both names is left out too, and not counted.
    """

    asset_type: AssetType
    interval: Interval
    source: str
    bars: pl.DataFrame
    findings: pl.DataFrame
    read: int
    quarantined: int


def read_batches(
    source: Source, asset_type: AssetType | None, *, warehouse: Warehouse, settings: Settings, now: datetime
) -> list[Batch]:
    """Read a source and inspect every bar; daily bars first, classes in their usual order.

    Args:
        source: Opened source. One without `raw` checks its bars itself and refuses whole files.
        asset_type: One class, or None for all.
        warehouse: Gives the stored bars before the incoming ones.
        settings: Rules, sessions and renamed symbols.
        now: Bars known only later are not closed.

    Raises:
        BadBarsError: See `market.inspection.inspect_bars`.
    """
    raw = source.raw(asset_type) if isinstance(source, RawSource) else [RawBars(source.name, source.read(asset_type))]
    batches: list[Batch] = []
    for interval, part in _by_interval(raw):
        earlier = _EarlierBars(warehouse, interval)
        rules = inspection_rules(settings)
        inspection = inspect_bars(part, rules=rules, now=now, interval=interval, earlier_bars=earlier)
        batches += _batches(inspection, interval, source.name, settings)
    if isinstance(source, FilteringSource):
        batches = [_with_set_aside(batch, source.set_aside(batch.asset_type)) for batch in batches]
    return [batch for batch in batches if asset_type in (None, batch.asset_type)]


def _with_set_aside(batch: Batch, left_out: SetAside) -> Batch:
    """Rows that the source left out where they lie were read and quarantined too."""
    return replace(
        batch,
        findings=pl.concat([batch.findings, left_out.findings]),
        read=batch.read + left_out.rows,
        quarantined=batch.quarantined + left_out.rows,
    )


def inspection_rules(settings: Settings) -> InspectionRules:
    """The rules as the configuration has them."""
    checks, sessions = settings.checks, settings.sessions
    return InspectionRules(
        treatments=checks.treatments(),
        max_rejected_share=checks.max_rejected_share.by_asset_type(),
        stale_run_bars=checks.stale_run_bars,
        calendars=sessions.calendars.by_asset_type(),
        delay_minutes=sessions.publication_delay_minutes,
    )


@dataclass(frozen=True)
class _EarlierBars:
    """Newest stored bars shortly before given ones; see `market.inspection.EarlierBars`."""

    warehouse: Warehouse
    interval: Interval

    def __call__(self, firsts: pl.DataFrame) -> pl.DataFrame:
        parts = []
        for (asset_type,), part in firsts.group_by("asset_type"):
            parameters = {
                "asset_type": asset_type,
                "bar_interval": self.interval,
                "symbols": part["symbol"].to_list(),
                "firsts": part["first"].to_list(),
                "days": _NEIGHBOUR_DAYS,
            }
            parts.append(pl.DataFrame(self.warehouse.query(_EARLIER_BARS, parameters)))
        return pl.concat(parts)


def _by_interval(raw: Sequence[RawBars]) -> Iterator[tuple[Interval, list[RawBars]]]:
    for part in raw:
        if "interval" in part.frame.columns:
            _refuse_other_intervals(part)
    for interval in INTERVALS:
        parts = [found for part in raw if (found := _of_interval(part, interval)) is not None]
        if parts:
            yield interval, parts


def _of_interval(part: RawBars, interval: Interval) -> RawBars | None:
    """Rows of one interval, with their numbers in the file; bars that say nothing are daily."""
    if "interval" not in part.frame.columns:
        return part if interval == "1d" else None
    frame = part.frame
    if SOURCE_ROW not in frame.columns:
        frame = frame.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).alias(SOURCE_ROW))
    frame = frame.filter(pl.col("interval").cast(pl.String) == interval).drop("interval")
    return RawBars(part.file, frame) if frame.height else None


def _refuse_other_intervals(part: RawBars) -> None:
    known = pl.col("interval").cast(pl.String).is_in(INTERVALS).fill_null(value=False)
    other = part.frame.with_row_index("position", offset=1).filter(~known)
    if other.is_empty():
        return
    first = other.row(0, named=True)
    raise BadBarsError(
        f"interval {first['interval']!r} is not known ({other.height:,} rows like this)",
        file=part.file,
        row=first.get(SOURCE_ROW, first["position"]),
        column="interval",
        remedy=f"one of {', '.join(INTERVALS)}; leave the column out when all bars are daily",
    )


def _batches(inspection: Inspection, interval: Interval, source: str, settings: Settings) -> Iterator[Batch]:
    """Findings about rows of no known class go with the first class."""
    bars = under_new_names(inspection.bars, settings)
    stray = ~pl.col("asset_type").is_in(ASSET_TYPES).fill_null(value=False)
    for position, (asset_type, read) in enumerate(inspection.read.items()):
        own = pl.col("asset_type") == asset_type
        yield Batch(
            asset_type=asset_type,
            interval=interval,
            source=source,
            bars=bars.filter(own),
            findings=inspection.findings.filter((own | stray) if position == 0 else own),
            read=read,
            quarantined=inspection.rejected.get(asset_type, 0),
        )

"""The lenient door for bars: rows that break a rule are left out or marked as the configuration says, and recorded.

`market.bars.check_bars` is the strict one. Both evaluate the same tables of checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import polars as pl

from market.assets import ASSET_TYPES, AssetType
from market.bar_checks import PRICES, SOURCE_ROW, Check, bar_checks, key_checks, order_checks
from market.bars import BAR_SCHEMA, typed_bars, with_canonical_symbols, with_neighbours
from market.check_rules import Treatment
from market.findings import FILE_NUMBER, FINDING_SCHEMA, Sieve, refuse_large_share, without
from market.series_checks import series_checks, suspects
from market.sessions import Interval, known_at_or_null

EarlierBars: TypeAlias = Callable[[pl.DataFrame], pl.DataFrame]
"""Takes `asset_type`, `symbol`, `first`; gives the stored bars (`BAR_SCHEMA`) shortly before each symbol's `first`."""

_VALUES = (*PRICES, "volume")


@dataclass(frozen=True)
class RawBars:
    """What a source read from one file, unchecked: columns of `BAR_SCHEMA`, and `source_row` where it knows lines."""

    file: str
    frame: pl.DataFrame


@dataclass(frozen=True)
class InspectionRules:
    """How bars are judged.

    Attributes:
        treatments: Severity and policy of each rule.
        max_rejected_share: Largest share of a class's rows that may be rejected for errors.
        stale_run_bars: Bars with equal prices that make a stale run.
        calendars: Calendar of each class that trades in sessions.
        delay_minutes: From a session's close until its bar is published.
    """

    treatments: Mapping[str, Treatment]
    max_rejected_share: Mapping[AssetType, float]
    stale_run_bars: int
    calendars: Mapping[AssetType, str]
    delay_minutes: int


@dataclass(frozen=True)
class Inspection:
    """Bars that may be stored, and what was found.

    Attributes:
        bars: `BAR_SCHEMA` and `bar_known_at`, canonical, sorted by and unique on `BAR_KEY`.
        findings: `FINDING_SCHEMA`.
        read: Rows of each class before any was left out.
        rejected: Rows of each class that were left out.
    """

    bars: pl.DataFrame
    findings: pl.DataFrame
    read: dict[AssetType, int]
    rejected: dict[AssetType, int]


def inspect_bars(
    raw: Sequence[RawBars],
    *,
    rules: InspectionRules,
    now: datetime,
    interval: Interval = "1d",
    earlier_bars: EarlierBars | None = None,
) -> Inspection:
    """Check bars of one interval against every rule and treat the faults as configured.

    Args:
        raw: Files of one source in order of age: of two rows with one key the later one is the newer one.
        rules: How to judge.
        now: Bars known only after this instant are not closed.
        interval: Of all rows.
        earlier_bars: Gives the neighbours of the files' first bars; None: nothing was stored before.

    Raises:
        BadBarsError: A file is not a table of bars, or a row breaks a rule whose policy is `fail`.
        RejectedShareError: More rows than allowed were rejected; the first one is named and rules are counted.
        ConfigError: A class has no calendar.
    """
    sieve = Sieve([part.file for part in raw], rules.treatments, interval)
    parts = [
        typed_bars(part.frame, file=part.file).with_columns(pl.lit(i, dtype=pl.UInt32).alias(FILE_NUMBER))
        for i, part in enumerate(raw)
    ]
    rows = pl.concat(parts) if len(parts) > 1 else parts[0]
    read = _by_class(rows)
    rows = sieve.pass_through(rows, key_checks())
    rows = _readable(rows, sieve)
    capped = rows.select("asset_type", "symbol", pl.col("datetime").clip(upper_bound=now))
    known_at = known_at_or_null(capped, calendars=rules.calendars, delay_minutes=rules.delay_minutes, interval=interval)
    rows = sieve.pass_through(rows.with_columns(known_at=known_at), bar_checks(now, interval))
    rows = _ordered(rows, sieve)
    _inspect_series(rows, sieve, rules, earlier_bars)
    rows = sieve.without_rejected(rows)
    findings = sieve.findings()
    refuse_large_share(findings, read, rules.max_rejected_share)
    bars = rows.select(*BAR_SCHEMA.names(), pl.col("known_at").alias("bar_known_at"))
    rejected = findings.filter(pl.col("action") == "rejected").unique([FILE_NUMBER, SOURCE_ROW])
    return Inspection(bars, findings.select(FINDING_SCHEMA.names()), read, _by_class(rejected))


def _readable(rows: pl.DataFrame, sieve: Sieve) -> pl.DataFrame:
    """Canonical symbols; rows whose symbol has no canonical form are left out."""
    rows, unreadable = with_canonical_symbols(rows)
    if not unreadable:
        return rows
    why = pl.DataFrame(
        [(name.asset_type, name.symbol, name.message) for name in unreadable],
        schema=["asset_type", "symbol_as_written", "why"],
        orient="row",
    )
    broken = rows.filter(pl.col("symbol").is_null()).join(why, on=["asset_type", "symbol_as_written"])
    remedy = unreadable[0].error.remedy
    rule = "symbol_unreadable"
    sieve.record(broken, Check(rule, rule, "symbol", pl.col("symbol").is_null(), "{why}", remedy))
    return rows.filter(pl.col("symbol").is_not_null()).drop("symbol_as_written")


def _ordered(rows: pl.DataFrame, sieve: Sieve) -> pl.DataFrame:
    """Rows sorted by key, one a key."""
    rows = with_neighbours(rows, inside=("series", FILE_NUMBER))
    duplicate, unordered = order_checks()
    rows = sieve.pass_through(rows, [unordered])
    if not rows["twin_row"].null_count() < rows.height:
        return rows
    key = ["series", "datetime"]
    copies = rows.join(rows.filter(pl.col("twin_row").is_not_null()).select(key).unique(), on=key, how="semi")
    copies = copies.with_columns(
        is_conflict=pl.any_horizontal(pl.col(name).n_unique().over(key) > 1 for name in _VALUES),
        is_kept=pl.col(SOURCE_ROW).cum_count().over(key) == pl.len().over(key),
        twin_row=pl.col(SOURCE_ROW).last().over(key),
    )
    for rule, is_conflict in (("duplicate_identical", False), ("duplicate_conflicting", True)):
        group = copies.filter(pl.col("is_conflict") == is_conflict)
        if sieve.treatments[rule].policy == "keep_newest":
            group = group.filter(~pl.col("is_kept"))
        if group.height:
            what = "other values for the symbol and stamp of row {twin_row}" if is_conflict else duplicate.message
            check = Check(rule, rule, "datetime", pl.lit(value=True), what, duplicate.remedy)
            sieve.record(group, check)
            rows = without(rows, group)
    return rows


def _inspect_series(rows: pl.DataFrame, sieve: Sieve, rules: InspectionRules, earlier_bars: EarlierBars | None) -> None:
    """Rules about neighbours; bars stored before are neighbours too, but are not judged again."""
    columns = [*BAR_SCHEMA.names(), "series", SOURCE_ROW, FILE_NUMBER]
    lined_up = rows.select(columns)
    if earlier_bars is not None and rows.height:
        lined_up = _after_stored(lined_up, earlier_bars)
    found = suspects(lined_up, calendars=rules.calendars, stale_run_bars=rules.stale_run_bars)
    found = found.filter(pl.col(SOURCE_ROW).is_not_null())
    for check in series_checks():
        broken = found.filter(check.broken.fill_null(value=False))
        if broken.height and sieve.record(broken, check):
            sieve.rejected_late.append(broken)


def _after_stored(rows: pl.DataFrame, earlier_bars: EarlierBars) -> pl.DataFrame:
    pair = ["asset_type", "symbol"]
    firsts = rows.group_by("series").agg(pl.col(*pair).first(), first=pl.col("datetime").min())
    stored = earlier_bars(firsts.select(*pair, "first"))
    if stored.is_empty():
        return rows
    stored = stored.select(BAR_SCHEMA.names()).cast(BAR_SCHEMA).join(firsts.select(*pair, "series"), on=pair)
    return pl.concat([stored, rows], how="diagonal").sort("series", "datetime", maintain_order=True)


def _by_class(rows: pl.DataFrame) -> dict[AssetType, int]:
    counts = dict(rows.group_by("asset_type").len().rows())
    return {asset_type: counts[asset_type] for asset_type in ASSET_TYPES if asset_type in counts}

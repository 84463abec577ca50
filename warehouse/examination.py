"""What is wrong with the stored tables, and what it does to results: the checks behind `tradehits doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import polars as pl

from configs.settings import Settings
from market.assets import ASSET_TYPES, CLEAN_TABLES, AssetType
from market.sessions import AROUND_THE_CLOCK, session_numbers
from market.symbols import canonical_symbol
from warehouse.schema import Table, load_schema
from warehouse.warehouse import ReadConnection

Severity = Literal["error", "warning", "info"]
FEATURES = "ml_models.walk_forward_features_v2"
NAMED_SYMBOLS = 5

_LABELLED = frozenset({*CLEAN_TABLES.values(), FEATURES})
"""Tables from whose neighbouring rows labels are made."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes:
        severity: An `error` makes the command fail.
        check: Stable identifier.
        subject: Table or asset class.
        message: What was found, and what it does.
        remedy: What to do; empty when nothing is needed.
    """

    severity: Severity
    check: str
    subject: str
    message: str
    remedy: str = ""


def examine(read: ReadConnection, settings: Settings) -> list[Finding]:
    """Every finding, the gravest first."""
    checks: tuple[Callable[[ReadConnection, Settings], Iterator[Finding]], ...] = (
        _duplicates,
        _several_bars_a_day,
        _mixed_variants,
        _series_of_bars,
        _old_names,
        _quarantine,
    )
    findings = [finding for check in checks for finding in check(read, settings)]
    return sorted(findings, key=lambda finding: ("error", "warning", "info").index(finding.severity))


def effect_of_copies(rows: int, keys: int) -> str:
    """What copies of rows do to labels made from neighbouring rows.

    Between two copies of one bar the close does not rise, so the label is DOWN: of k rows a key, k - 1 are such.
    """
    copies, share = rows / keys, 1 - keys / rows
    return (
        f"{copies:.1f} copies of each row: about 1 - 1/{copies:.1f} = {share:.0%} of labels would become DOWN, and "
        f"always guessing DOWN would look about {share + (1 - share) / 2:.0%} accurate"
    )


def _duplicates(read: ReadConnection, settings: Settings) -> Iterator[Finding]:
    """Rows beyond one a key, in every table there is."""
    schema = load_schema()
    for name in sorted(schema.tables):
        rows, keys = _rows_and_keys(read, schema.table(name), schema.table(name).key)
        if rows > keys:
            effect = f"; {effect_of_copies(rows, keys)}" if name in _LABELLED else ""
            yield Finding(
                "error",
                "duplicates",
                name,
                f"{rows - keys:,} of {rows:,} rows repeat a key ({', '.join(schema.table(name).key)}){effect}",
                "rebuild the table; whatever wrote it did not go through the platform",
            )


def _several_bars_a_day(read: ReadConnection, settings: Settings) -> Iterator[Finding]:
    """Daily tables with several stamps a day: copies that a key does not show."""
    schema = load_schema()
    for name in sorted(_LABELLED):
        table = schema.table(name)
        key = tuple("DATE(datetime)" if column == "datetime" else column for column in table.key)
        rows, days = _rows_and_keys(read, table, key)
        own = _rows_and_keys(read, table, table.key)[1]
        if own > days:
            yield Finding(
                "error",
                "several_bars_a_day",
                name,
                f"{own - days:,} rows share symbol and day with another; {effect_of_copies(rows, days)}",
                "stamp a daily bar with its session date at 00:00 UTC and ingest again",
            )


def _rows_and_keys(read: ReadConnection, table: Table, key: tuple[str, ...]) -> tuple[int, int]:
    columns = ", ".join(part if "(" in part else f"`{part}`" for part in key)
    copies = f"SELECT COUNT(*) AS copies FROM `{table.name}` GROUP BY {columns}"
    sql = f"SELECT COUNT(*) AS n_keys, SUM(copies) AS n_rows FROM ({copies})"
    row = read.query(sql).to_pylist()[0]
    return int(row["n_rows"] or 0), int(row["n_keys"])


def _mixed_variants(read: ReadConnection, settings: Settings) -> Iterator[Finding]:
    configured = settings.indicators.variant
    for asset_type in ASSET_TYPES:
        table = CLEAN_TABLES[asset_type]
        rows = read.query(f"SELECT DISTINCT indicator_variant AS variant FROM `{table}` ORDER BY variant").to_pylist()
        found = [str(row["variant"]) for row in rows]
        if len(found) > 1:
            yield Finding(
                "error", "mixed_variants", table, f"holds indicators of {' and '.join(found)}", "run tradehits ingest"
            )
        elif found and found != [configured]:
            yield Finding(
                "warning",
                "other_variant",
                table,
                f"holds '{found[0]}' indicators, the configuration says '{configured}'",
                "run tradehits ingest and tradehits features, or set indicators.variant back",
            )


def _series_of_bars(read: ReadConnection, settings: Settings) -> Iterator[Finding]:
    """Symbols that ended early, and sessions without a bar."""
    ended = _ended_symbols(read)
    for asset_type in ASSET_TYPES:
        sql = f"""
        SELECT symbol, COUNT(DISTINCT DATE(datetime)) AS bars, DATE(MIN(datetime)) AS first, DATE(MAX(datetime)) AS last
        FROM `{CLEAN_TABLES[asset_type]}` GROUP BY symbol ORDER BY symbol
        """
        spans = pl.DataFrame(read.query(sql))
        if spans.is_empty():
            continue
        spans = with_sessions(spans, asset_type, settings)
        yield from _late_symbols(spans.filter(~pl.col("symbol").is_in(ended[asset_type])), asset_type, settings)
        gaps = spans.filter(pl.col("missing") > 0)
        if gaps.height:
            worst = gaps.top_k(NAMED_SYMBOLS, by="missing").select("symbol", "missing").rows()
            yield Finding(
                "warning",
                "sessions_missing",
                asset_type,
                f"{gaps.height:,} symbols lack {gaps['missing'].sum():,} sessions between their first and last bar: "
                + ", ".join(f"{symbol} {missing:,}" for symbol, missing in worst),
                "a label then spans several sessions; ingest the missing bars, unless the symbol was halted",
            )


def _ended_symbols(read: ReadConnection) -> dict[AssetType, list[str]]:
    """Symbols of whose end something is known."""
    sql = """
    SELECT asset_type, symbol FROM `tradehits.symbol_events`
    WHERE event IN ('RENAMED', 'DELISTED', 'RELISTED')
    QUALIFY ROW_NUMBER() OVER (PARTITION BY asset_type, symbol ORDER BY effective_at DESC) = 1 AND event != 'RELISTED'
    """
    rows = read.query(sql).to_pylist()
    return {name: [row["symbol"] for row in rows if row["asset_type"] == name] for name in ASSET_TYPES}


def with_sessions(spans: pl.DataFrame, asset_type: AssetType, settings: Settings) -> pl.DataFrame:
    """Count the sessions without a bar.

    Args:
        spans: One row a symbol: `first` and `last` (dates of its bars), `bars` (days that have one).
        asset_type: Their class; days count where it trades around the clock.
        settings: Gives the calendars.

    Returns:
        With `missing` (sessions without a bar from `first` to `last`) and `late` (sessions after `last` up to the
        newest bar of all).
    """
    start: date = spans["first"].min()  # type: ignore[assignment]
    end: date = spans["last"].max()  # type: ignore[assignment]
    if asset_type in AROUND_THE_CLOCK:
        numbers = pl.int_range(1, (end - start).days + 2, dtype=pl.Int32, eager=True)
    else:
        numbers = session_numbers(settings.sessions.calendars.by_asset_type()[asset_type], start, end)
    first, last = (numbers.gather((spans[name] - start).dt.total_days()) for name in ("first", "last"))
    missing = last - first + 1 - spans["bars"].cast(pl.Int32)
    return spans.with_columns(missing=missing, late=int(numbers[-1]) - last)


def _late_symbols(spans: pl.DataFrame, asset_type: AssetType, settings: Settings) -> Iterator[Finding]:
    late = spans.filter(pl.col("late") > settings.checks.late_sessions)
    if late.is_empty():
        return
    worst = late.top_k(NAMED_SYMBOLS, by="late").select("symbol", "last").rows()
    unit = "days" if asset_type in AROUND_THE_CLOCK else "sessions"
    yield Finding(
        "warning",
        "late_symbols",
        asset_type,
        f"{late.height:,} symbols end more than {settings.checks.late_sessions} {unit} before the newest bar of their "
        f"class, delisted or halted perhaps: " + ", ".join(f"{symbol} {last}" for symbol, last in worst),
        "ingest their bars, or say so in the configuration under symbols.delisted or symbols.renamed",
    )


def _old_names(read: ReadConnection, settings: Settings) -> Iterator[Finding]:
    """Bars stored before a renaming was known stand under both names."""
    for entry in settings.symbols.renamed:
        old, new = (canonical_symbol(entry.asset_type, name) for name in (entry.old, entry.new))
        sql = f"""
        SELECT COUNT(*) AS n FROM `{CLEAN_TABLES[entry.asset_type]}`
        WHERE symbol = @symbol AND DATE(datetime) < @first_session
        """
        parameters = {"symbol": old, "first_session": entry.first_session}
        rows = read.query(sql, parameters).to_pylist()[0]["n"]
        if rows:
            yield Finding(
                "warning",
                "old_name",
                entry.asset_type,
                f"{rows:,} bars of {new} were stored as {old}, before its renaming was configured: models learn from "
                "the same bars twice once they are there under both names",
                f"ingest the history of {new}; to be rid of {old}, start from an empty profile",
            )


def _quarantine(read: ReadConnection, settings: Settings) -> Iterator[Finding]:
    sql = """
    SELECT asset_type, rule, severity, action, COUNT(*) AS n, MIN(detail) AS example
    FROM `tradehits.bar_quarantine`
    GROUP BY asset_type, rule, severity, action ORDER BY n DESC, rule, asset_type
    """
    for row in read.query(sql).to_pylist():
        yield Finding(
            "info" if row["severity"] == "info" else "warning",
            row["rule"],
            row["asset_type"] or "unknown class",
            f"{row['n']:,} finding{'s' * (row['n'] > 1)}, rows {row['action']}, such as: {row['example']}",
            "SELECT * FROM tradehits.bar_quarantine shows file and row" if row["severity"] != "info" else "",
        )

"""Columns that read other asset classes: rebuilt with those classes' bars as they were known at the cut.

The one build of all cuts knows no other class's bars. A column that agrees with it reads none. One that differs either
looks ahead or reads other classes; which of the two shows when the other classes' bars are there as far as they were
known when the cut bar closed, neither fewer nor more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import polars as pl
import pyarrow as pa

from configs.settings import Settings
from market.assets import CLEAN_TABLES, AssetType
from training.truncation_compare import CUT_MARK, Finding, compare
from warehouse.duckdb import DuckDBWarehouse
from warehouse.warehouse import Warehouse, Write

OTHER_DAYS = 800
"""Days of other classes' bars before a cut."""

COMPARED_BARS = 250
"""Bars before a cut that are compared; what an honest column remembers of other classes must reach back less far than
`OTHER_DAYS` from the first of them."""

Rebuild = Callable[[DuckDBWarehouse, pl.DataFrame], pl.DataFrame]
"""Stores bars with indicators in a warehouse and returns their feature rows."""


def as_known_at_the_cut(
    warehouse: Warehouse,
    settings: Settings,
    asset_type: AssetType,
    findings: Sequence[Finding],
    indicators: pl.DataFrame,
    stored_features: pl.DataFrame,
    rebuilt: Rebuild,
) -> list[Finding]:
    """Keep the findings that stand when other classes' bars are there as they were known at the cut.

    Args:
        warehouse: Holds the other classes' bars.
        settings: For a warehouse of its own.
        asset_type: The class of the findings.
        findings: Feature columns that differ without other classes' bars, with the cuts that showed it.
        indicators: The cut copies with their indicators.
        stored_features: Stored rows to compare with.
        rebuilt: The feature query on a scratch warehouse.

    Returns:
        The findings that stand; all of them when there are no other classes' bars.
    """
    others = [name for name in CLEAN_TABLES if name != asset_type]
    near = [finding for finding in findings if finding.nearest < COMPARED_BARS]
    cuts = sorted({cut for finding in near for cut in finding.cuts})
    if not cuts or not any(_has_bars(warehouse, name) for name in others):
        return list(findings)
    scratch = DuckDBWarehouse.scratch(settings.warehouse)
    pieces = []
    for cut in cuts:
        own = indicators.filter(pl.col("symbol") == cut)
        known_at: datetime = own["bar_known_at"].max()  # type: ignore[assignment]
        for name in others:
            scratch.write([Write(CLEAN_TABLES[name], rows=_known_bars(warehouse, name, known_at), mode="replace")])
        symbol = cut.split(CUT_MARK)[0]
        rows = rebuilt(scratch, own.with_columns(symbol=pl.lit(symbol)))
        pieces.append(rows.sort("datetime").tail(COMPARED_BARS).with_columns(symbol=pl.lit(cut)))
    exact = {
        finding.column: finding
        for finding in compare(
            stored_features, pl.concat(pieces), [finding.column for finding in near], stage="feature"
        )
    }
    far = [finding for finding in findings if finding.nearest >= COMPARED_BARS]
    return [*far, *(_sharper(finding, exact[finding.column]) for finding in near if finding.column in exact)]


def _sharper(finding: Finding, exact: Finding) -> Finding:
    """What is said of a column that looks ahead: bars that only lacked the other classes are no part of it."""
    return exact if exact.reach < min(finding.reach, COMPARED_BARS) else finding


def _has_bars(warehouse: Warehouse, asset_type: AssetType) -> bool:
    return bool(warehouse.query(f"SELECT 1 AS found FROM `{CLEAN_TABLES[asset_type]}` LIMIT 1").num_rows)


def _known_bars(warehouse: Warehouse, asset_type: AssetType, known_at: datetime) -> pa.Table:
    sql = f"SELECT * FROM `{CLEAN_TABLES[asset_type]}` WHERE bar_known_at <= @known_at AND datetime > @since"
    parameters = {"known_at": known_at, "since": known_at - timedelta(days=OTHER_DAYS)}
    return warehouse.query(sql, parameters)

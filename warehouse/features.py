"""Features inside the engine: one GoogleSQL query, one table.

A build rewrites what changes of the clean table touched since the last one, or everything (`warehouse.feature_plan`).
It is one transaction with its own number: a build is there whole or not at all, and of two at once the later one fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from configs.settings import Settings
from market.assets import CLEAN_TABLES, AssetType
from market.errors import MixedVariantError
from warehouse.champions import published_champions
from warehouse.chunks import symbol_ranges
from warehouse.clock import asset_settings_write, newest_known_at, wall_clock
from warehouse.feature_plan import BUILDS_TABLE, FeaturePlan, feature_definition, feature_plan
from warehouse.feature_plan import FEATURES_TABLE as FEATURES_TABLE
from warehouse.warehouse import ReadConnection, Warehouse, Write

FEATURES_SQL = Path(__file__).parent / "sql" / "features" / "walk_forward_features_v2.sql"
FIRST_SYMBOL, LAST_SYMBOL = "", "\uffff"


@dataclass(frozen=True)
class FeatureReport:
    """Rows of the feature table for one asset class after a build."""

    asset_type: AssetType
    rows: int
    symbols: int
    newest: datetime


def feature_query() -> str:
    """The GoogleSQL text that defines every feature and label."""
    return FEATURES_SQL.read_text(encoding="utf-8")


def feature_query_hash() -> str:
    """SHA-256 of the feature query, kept with every model."""
    return hashlib.sha256(feature_query().encode()).hexdigest()


def feature_parameters(settings: Settings, asset_type: AssetType, created_timestamp: datetime) -> dict[str, object]:
    """Bound parameters of the feature query for a whole asset class."""
    splits = settings.splits.of(asset_type)
    return {
        "asset_type": asset_type,
        "first_symbol": FIRST_SYMBOL,
        "last_symbol": LAST_SYMBOL,
        "train_end": splits.train_end,
        "test_end": splits.test_end,
        "created_timestamp": created_timestamp,
    }


def stored_asset_types(warehouse: Warehouse) -> list[AssetType]:
    """Asset classes that have bars."""
    with warehouse.read() as read:
        return [
            asset_type
            for asset_type, table in CLEAN_TABLES.items()
            if read.query(f"SELECT 1 AS found FROM `{table}` LIMIT 1").num_rows
        ]


def build_features(warehouse: Warehouse, settings: Settings, asset_types: Sequence[AssetType]) -> list[FeatureReport]:
    """Bring the feature table of the given asset classes up to date; rows that nothing touched keep their write time.

    Raises:
        MixedVariantError: The stored indicators are of another variant than the configured one.
        DuplicateKeyError: Another build of the same class finished meanwhile; this one wrote nothing.
    """
    definitions = {asset_type: _definition(settings, asset_type) for asset_type in asset_types}
    with warehouse.read() as read:
        for asset_type in asset_types:
            _refuse_mixed_variants(read, settings, asset_type)
        plans = {name: feature_plan(read, name, definition) for name, definition in definitions.items()}
        configured = asset_settings_write(settings, newest_known_at(read), published_champions(read))
    for asset_type, plan in plans.items():
        if plan.is_full or plan.work.height:
            warehouse.write(_writes(settings, asset_type, plan, definitions[asset_type]))
    # Last, and apart: the embedded engine rearranges the rows of a large transaction with the write that follows it.
    warehouse.write([configured])
    counted = warehouse.query(
        f"SELECT asset_type, COUNT(*) AS n, COUNT(DISTINCT symbol) AS symbols, MAX(datetime) AS newest "
        f"FROM `{FEATURES_TABLE}` GROUP BY asset_type"
    ).to_pylist()
    by_class = {row["asset_type"]: row for row in counted}
    return [
        FeatureReport(name, by_class[name]["n"], by_class[name]["symbols"], by_class[name]["newest"])
        for name in asset_types
    ]


def _definition(settings: Settings, asset_type: AssetType) -> str:
    splits = settings.splits.of(asset_type)
    return feature_definition(feature_query(), splits.train_end, splits.test_end, settings.indicators.variant)


def _writes(settings: Settings, asset_type: AssetType, plan: FeaturePlan, definition: str) -> list[Write]:
    built_at = wall_clock()
    parameters = feature_parameters(settings, asset_type, built_at)
    rows = _full_write(asset_type, plan, parameters) if plan.is_full else _changed_rows_write(plan, parameters)
    build = {
        "asset_type": asset_type,
        "build_number": plan.build_number,
        "built_at": built_at,
        "change_number": plan.change_number,
        "definition": definition,
        "is_full": plan.is_full,
        "table_rows": plan.table_rows,
    }
    return [rows, Write(BUILDS_TABLE, rows=pa.Table.from_pylist([build]), mode="append")]


def _full_write(asset_type: AssetType, plan: FeaturePlan, parameters: dict[str, object]) -> Write:
    """One range of symbols at a time, so that an embedded engine's windows hold no more."""
    return Write(
        FEATURES_TABLE,
        sql=feature_query(),
        parameters=parameters,
        ranges=[{"first_symbol": part.first, "last_symbol": part.last} for part in symbol_ranges(plan.counts)],
        mode="replace",
        where={"asset_type": asset_type},
    )


def _changed_rows_write(plan: FeaturePlan, parameters: dict[str, object]) -> Write:
    work = plan.work
    arrays = {
        "symbols": work["symbol"].to_list(),
        "features_from": work["features_from"].to_list(),
        "history_from": work["history_from"].to_list(),
        "first_history": work["history_from"].min(),
    }
    return Write(FEATURES_TABLE, sql=changed_rows_query(feature_query()), parameters=parameters | arrays, mode="merge")


@lru_cache(maxsize=4)
def changed_rows_query(query: str) -> str:
    """The feature query narrowed to a worklist: the same text over fewer bars, so there is one definition of features.

    Each clean table is replaced by its bars from `history_from` on, and rows before `features_from` are left out. The
    worklist comes as three arrays of one length, `@symbols`, `@features_from` and `@history_from`; `@first_history` is
    the earliest `history_from`, a bound that engines can push into their scan.
    """
    from sqlglot import exp, parse_one

    tree = parse_one(query, read="bigquery")
    for table in list(tree.find_all(exp.Table)):
        if f"{table.db}.{table.name}" in CLEAN_TABLES.values():
            narrowed = parse_one(
                f"SELECT bars.* FROM `{table.db}.{table.name}` AS bars "
                f"JOIN ({_worklist('history_from')}) AS work "
                "ON bars.symbol = work.symbol AND bars.datetime >= work.history_from "
                "WHERE bars.datetime >= @first_history",
                read="bigquery",
            )
            table.replace(exp.Subquery(this=narrowed, alias=exp.TableAlias(this=exp.to_identifier("changed"))))
    return (
        f"SELECT built.* FROM ({tree.sql('bigquery')}) AS built "
        f"JOIN ({_worklist('features_from')}) AS work "
        "ON built.symbol = work.symbol AND built.datetime >= work.features_from"
    )


def _worklist(column: str) -> str:
    return (
        f"SELECT symbol, {column} FROM UNNEST(@symbols) AS symbol WITH OFFSET AS i "
        f"JOIN UNNEST(@{column}) AS {column} WITH OFFSET AS j ON i = j"
    )


def _refuse_mixed_variants(read: ReadConnection, settings: Settings, asset_type: AssetType) -> None:
    wanted, table = settings.indicators.variant, CLEAN_TABLES[asset_type]
    found = read.query(f"SELECT DISTINCT indicator_variant FROM `{table}`").column(0).to_pylist()
    if found and found != [wanted]:
        raise MixedVariantError(
            f"{table} holds '{', '.join(sorted(found))}' indicators, the configuration says '{wanted}'",
            remedy="run `tradehits ingest` again: it recomputes the indicators in the configured variant",
        )

"""What a feature build has to do: nothing, the rows that changes of the clean table touched, or all of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import polars as pl

from market.assets import CLEAN_TABLES, AssetType
from warehouse.clean import clean_state
from warehouse.warehouse import ReadConnection

BUILDS_TABLE = "tradehits.feature_builds"
FEATURES_TABLE = "ml_models.walk_forward_features_v2"


@dataclass(frozen=True)
class FeaturePlan:
    """One class's next feature build.

    Attributes:
        is_full: Replace all rows.
        work: For an incremental build, per symbol `features_from` and `history_from`; empty when nothing changed.
        change_number: Last change of the clean table that the build will contain.
        build_number: Number of the build.
        table_rows: Rows of the class after the build.
        counts: For a full build, `symbol` and `rows` of the clean table.
    """

    is_full: bool
    work: pl.DataFrame
    change_number: int
    build_number: int
    table_rows: int
    counts: pl.DataFrame


@dataclass(frozen=True)
class _Built:
    build_number: int
    change_number: int
    definition: str
    table_rows: int


def feature_definition(query: str, *values: object) -> str:
    """SHA-256 of everything that decides the features of given bars."""
    return hashlib.sha256("\0".join([query, *map(str, values)]).encode()).hexdigest()


def feature_plan(read: ReadConnection, asset_type: AssetType, definition: str) -> FeaturePlan:
    """Compare the last build with the clean table, the configuration and the feature table itself.

    A build is full when there was none, when it had another definition, when the clean table was replaced since or is
    not numbered (its bars are not the platform's own), and when the feature table is not what the build left.
    """
    clean = clean_state(read, asset_type)
    built = _last_build(read, asset_type)
    is_numbered = clean.change_number > 0 and clean.numbered_rows == clean.rows
    is_full = (
        built is None
        or not is_numbered
        or built.definition != definition
        or built.change_number == 0
        or built.change_number > clean.change_number
        or built.table_rows != _feature_rows(read, asset_type)
        or _was_replaced(read, asset_type, built.change_number)
    )
    changed_after = built.change_number if built and not is_full else clean.change_number
    return FeaturePlan(
        is_full=is_full,
        work=_work(read, asset_type, changed_after),
        change_number=clean.change_number if is_numbered else 0,
        build_number=built.build_number + 1 if built else 1,
        table_rows=clean.rows,
        counts=_counts(read, asset_type) if is_full else pl.DataFrame(),
    )


def _last_build(read: ReadConnection, asset_type: AssetType) -> _Built | None:
    rows = read.query(
        f"SELECT build_number, change_number, definition, table_rows FROM `{BUILDS_TABLE}` "
        "WHERE asset_type = @asset_type ORDER BY build_number DESC LIMIT 1",
        {"asset_type": asset_type},
    ).to_pylist()
    return _Built(**rows[0]) if rows else None


def _feature_rows(read: ReadConnection, asset_type: AssetType) -> int:
    counted = read.query(
        f"SELECT COUNT(*) AS n FROM `{FEATURES_TABLE}` WHERE asset_type = @asset_type", {"asset_type": asset_type}
    )
    return int(counted.column(0)[0].as_py())


def _was_replaced(read: ReadConnection, asset_type: AssetType, since: int) -> bool:
    found = read.query(
        "SELECT 1 AS found FROM `tradehits.clean_builds` "
        "WHERE asset_type = @asset_type AND change_number > @since AND is_full LIMIT 1",
        {"asset_type": asset_type, "since": since},
    )
    return bool(found.num_rows)


def _work(read: ReadConnection, asset_type: AssetType, since: int) -> pl.DataFrame:
    sql = """
SELECT symbol, MIN(features_from) AS features_from, MIN(history_from) AS history_from
FROM `tradehits.clean_changes`
WHERE asset_type = @asset_type AND change_number > @since
GROUP BY symbol
ORDER BY symbol
"""
    return pl.DataFrame(read.query(sql, {"asset_type": asset_type, "since": since}))


def _counts(read: ReadConnection, asset_type: AssetType) -> pl.DataFrame:
    return pl.DataFrame(
        read.query(f"SELECT symbol, COUNT(*) AS `rows` FROM `{CLEAN_TABLES[asset_type]}` GROUP BY symbol")
    )

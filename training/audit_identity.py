"""Identity: every bar once, in every table, at every join, in one asset class, on one side of a fold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from market.assets import CLEAN_TABLES, AssetType
from training.audit_record import Record
from training.checks import CheckResult
from training.dataset import KEY, Dataset
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import ReadConnection, Warehouse

VERSIONS_TABLE = "tradehits.bar_versions"
TRAINING_SET, RECORD = "training set", "out-of-sample record"
_NAMED = 5
_REBUILD = "remove the duplicates before training: `tradehits features` rebuilds from unique bars"


def identity_check(warehouse: Warehouse, dataset: Dataset, record: Record | None) -> list[CheckResult]:
    """One row a key at every step, the same rows from the stored bars to the record, and no bar under two names."""
    asset_type = dataset.asset_type
    with warehouse.read() as read:
        results, counts = [], _version_count(read, asset_type)
        for table in (CLEAN_TABLES[asset_type], FEATURES_TABLE):
            stored = _stored_rows(read, table, asset_type)
            counts[table] = stored.rows
            results += list(_stored_identity(table, stored))
        results += list(_other_classes(read, asset_type))
        results += list(_same_series(read, asset_type))
    results.append(_unique(TRAINING_SET, dataset.rows, dataset.keys.select(KEY).n_unique()))
    counts |= dict(dataset.steps) | {TRAINING_SET: dataset.rows, "matrix": len(dataset.matrix)}
    results.append(_joins(counts))
    if record is not None:
        results.append(_unique(RECORD, record.predictions.height, record.predictions.select(KEY).n_unique()))
        results.append(_tested_bars(dataset, record))
    return results


def overlap_check(dataset: Dataset, record: Record) -> list[CheckResult]:
    """No bar that a fold's model was trained on is tested in the same fold.

    Where the positions of the training rows are known they are compared with the tested ones. Otherwise it follows from
    knowledge times: every training label was known before any label of a tested bar.
    """
    first_test = record.predictions.group_by("fold").agg(pl.col("datetime").min(), pl.col("label_known_at").min())
    begins = {fold: (stamp, known) for fold, stamp, known in first_test.rows()}
    stamps = dataset.keys["datetime"]
    broken, positions = [], 0
    for fold in record.folds:
        first_stamp, first_label = begins.get(fold.index, (None, None))
        if first_stamp is None:
            continue
        if fold.seen_rows is not None and record.data_hash == dataset.content_hash:
            positions += 1
            if fold.seen_rows[1] > stamps.search_sorted(first_stamp, side="left"):
                broken.append(fold.index)
        elif first_label is not None and fold.trained_through >= first_label:
            broken.append(fold.index)
    detail = f"{len(record.folds)} folds: training rows end before the first tested bar"
    if positions < len(record.folds):
        detail += ", by the times their labels were known"
    if broken:
        detail = (
            f"{len(broken)} of {len(record.folds)} folds train on bars at or after their first tested bar, first fold "
            f"{broken[0]}"
        )
    return [
        CheckResult(
            "overlap",
            "failed" if broken else "passed",
            "training and tested rows of a fold",
            detail,
            "test a fold only on bars after everything its model saw: no random or shuffled split" if broken else "",
        )
    ]


@dataclass(frozen=True)
class _Stored:
    """What a table holds of one asset class: rows, keys, and pairs of symbol and day."""

    rows: int
    keys: int
    days: int


def _stored_rows(read: ReadConnection, table: str, asset_type: AssetType) -> _Stored:
    has_class = table == FEATURES_TABLE
    sql = (
        "SELECT SUM(n) AS n_rows, SUM(stamps) AS n_keys, COUNT(*) AS n_days FROM ("
        f"SELECT COUNT(*) AS n, COUNT(DISTINCT datetime) AS stamps FROM `{table}` "
        f"{'WHERE asset_type = @asset_type ' if has_class else ''}GROUP BY symbol, DATE(datetime))"
    )
    row = read.query(sql, {"asset_type": asset_type} if has_class else None).to_pylist()[0]
    return _Stored(*(int(row[name] or 0) for name in ("n_rows", "n_keys", "n_days")))


def _stored_identity(table: str, stored: _Stored) -> Iterator[CheckResult]:
    """One row a key, and one key a symbol and day: copies may carry stamps of their own."""
    yield _unique(table, stored.rows, stored.keys)
    if stored.keys > stored.days:
        copies = stored.keys / stored.days
        yield CheckResult(
            "identity",
            "failed",
            f"{table}, bars of one day",
            f"{stored.keys - stored.days} of {stored.keys} daily bars share symbol and day with another, {copies:.1f} "
            f"a day: between copies the close does not rise, so about {1 - 1 / copies:.0%} of labels become DOWN",
            "stamp a daily bar with its session date at 00:00 UTC and ingest again",
        )


def _version_count(read: ReadConnection, asset_type: AssetType) -> dict[str, int]:
    """Distinct daily bars behind the clean table; nothing for a table that is only read where it is."""
    sql = (
        f"SELECT COUNT(*) AS n FROM (SELECT symbol, datetime FROM `{VERSIONS_TABLE}` "
        "WHERE asset_type = @asset_type AND `interval` = '1d' GROUP BY symbol, datetime)"
    )
    rows = int(read.query(sql, {"asset_type": asset_type}).to_pylist()[0]["n"])
    return {VERSIONS_TABLE: rows} if rows else {}


def _joins(counts: dict[str, int]) -> CheckResult:
    """Row counts along the way; the first step that loses or multiplies rows is named."""
    told = ", ".join(f"{name} {rows}" for name, rows in counts.items())
    broken = [(a, b) for a, b in pairwise(counts) if counts[a] != counts[b]]
    if broken:
        before, after = broken[0]
        what = "multiplies" if counts[after] > counts[before] else "loses"
        told = f"from {before} to {after} a step {what} rows ({counts[before]} to {counts[after]}): {told}"
    return CheckResult(
        "identity",
        "failed" if broken else "passed",
        "rows from bars to training set",
        told,
        "a join lost or multiplied rows: join by the whole key, then run `tradehits features` again" if broken else "",
    )


def _tested_bars(dataset: Dataset, record: Record) -> CheckResult:
    """Every bar from the first fold to the record's newest bar is predicted once."""
    predictions = record.predictions
    first = min((fold.test_start for fold in record.folds), default=None)
    stamps = dataset.keys["datetime"]
    inside = dataset.keys.filter((stamps >= first) & (stamps <= predictions["datetime"].max()))
    same_data = record.data_hash == dataset.content_hash
    matches = predictions.height == inside.height
    return CheckResult(
        "identity",
        "passed" if matches else "failed" if same_data else "warning",
        "bars tested by the folds",
        f"{predictions.height} predictions for {inside.height} bars since the first fold"
        + ("" if same_data else "; the bars changed since this run"),
        "" if matches else "folds must be contiguous: every bar since the first fold is predicted once"
        if same_data else "train again on the bars as they are now",
    )  # fmt: skip


def _other_classes(read: ReadConnection, asset_type: AssetType) -> Iterator[CheckResult]:
    """Bars of one symbol and time in two asset classes: no hindsight, but evidence that is counted twice."""
    for other, table in CLEAN_TABLES.items():
        if other == asset_type:
            continue
        sql = (
            "SELECT COUNT(*) AS n, COUNT(DISTINCT own.symbol) AS symbols, COUNTIF(own.close = other.close) AS equal, "
            f"MIN(own.symbol) AS example FROM `{CLEAN_TABLES[asset_type]}` AS own JOIN `{table}` AS other "
            "ON own.symbol = other.symbol AND own.datetime = other.datetime"
        )
        row = read.query(sql).to_pylist()[0]
        if row["n"]:
            yield CheckResult(
                "identity",
                "warning",
                f"bars that are also in {other}",
                f"{row['n']} bars of {row['symbols']} symbols, such as {row['example']}, stand in both classes, "
                f"{row['equal']} of them with the same close: what is learned from them counts twice",
                "keep a symbol in one asset class",
            )


def _same_series(read: ReadConnection, asset_type: AssetType) -> Iterator[CheckResult]:
    """Symbols of one class with equal returns throughout: one instrument under several names."""
    sql = f"""
    SELECT MIN(symbol) AS first, MAX(symbol) AS last, COUNT(*) AS names FROM (
      SELECT symbol, COUNT(*) AS bars, MIN(datetime) AS first_bar, MAX(datetime) AS last_bar,
        ROUND(SUM(percent_change), 6) AS returns, ROUND(SUM(percent_change * percent_change), 6) AS squares
      FROM `{CLEAN_TABLES[asset_type]}` GROUP BY symbol
    )
    WHERE squares > 0
    GROUP BY bars, first_bar, last_bar, returns, squares HAVING COUNT(*) > 1 ORDER BY first
    """
    groups = read.query(sql).to_pylist()
    if groups:
        named = ", ".join(f"{row['first']} and {row['last']}" for row in groups[:_NAMED])
        yield CheckResult(
            "identity",
            "warning",
            "symbols with equal series",
            f"{sum(row['names'] for row in groups)} symbols are copies of {len(groups)}, such as {named}: their rows "
            "are no independent evidence",
            "keep one name of each instrument",
        )


def _unique(subject: str, rows: int, keys: int) -> CheckResult:
    repeated = rows - keys
    return CheckResult(
        "identity",
        "failed" if repeated else "passed",
        subject,
        f"{rows} rows, {keys} keys" + (f": {repeated} duplicates, which turn labels into DOWN" if repeated else ""),
        _REBUILD if repeated else "",
    )

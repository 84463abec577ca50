"""The first guard: what must hold before a record is published.

Each check returns `CheckResult`s; `require_passed` turns failures into an `IntegrityError` naming column and remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import polars as pl

from configs.settings import Settings
from market.assets import CLEAN_TABLES
from market.errors import IntegrityError
from market.labels import add_labels
from training.dataset import KEY, Dataset
from training.truncation import truncation_check
from training.walk_forward import WalkForward
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import Warehouse

Status = Literal["passed", "failed"]


@dataclass(frozen=True)
class CheckResult:
    """One check on one subject (a table, a column, a fold rule)."""

    check: str
    status: Status
    subject: str
    detail: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain fields, as reports and artifacts show them."""
        return asdict(self)


def audit_run(
    warehouse: Warehouse, settings: Settings, dataset: Dataset, walk_forward: WalkForward
) -> list[CheckResult]:
    """Run every check of the guard on one asset class's training run."""
    return [
        *identity_check(warehouse, dataset, walk_forward),
        *time_check(dataset, walk_forward),
        *label_check(warehouse, dataset),
        *(
            CheckResult(
                "truncation", "failed" if finding.column else "passed", finding.subject, finding.detail, finding.remedy
            )
            for finding in truncation_check(warehouse, settings, dataset.asset_type)
        ),
    ]


def require_passed(results: Sequence[CheckResult]) -> None:
    """Stop publication when a check failed.

    Raises:
        IntegrityError: Names every failed check with its subject and detail.
    """
    failed = [result for result in results if result.status == "failed"]
    if failed:
        lines = "; ".join(f"{result.check} of {result.subject}: {result.detail}" for result in failed)
        raise IntegrityError(
            f"{len(failed)} of {len(results)} checks failed, nothing is published: {lines}",
            remedy="; ".join(dict.fromkeys(result.remedy for result in failed if result.remedy)),
        )


def identity_check(warehouse: Warehouse, dataset: Dataset, walk_forward: WalkForward) -> list[CheckResult]:
    """One row a key at every step, and the same number of rows from the stored bars to the training set."""
    results = []
    counts: dict[str, int] = {}
    filters = {
        CLEAN_TABLES[dataset.asset_type]: "",
        FEATURES_TABLE: "WHERE asset_type = @asset_type",
    }
    with warehouse.read() as read:
        for table, condition in filters.items():
            sql = (
                "SELECT COUNT(*) AS n, COUNT(DISTINCT CONCAT(symbol, '|', CAST(UNIX_MICROS(datetime) AS STRING))) "
                f"AS keys FROM `{table}` {condition}"
            )
            row = read.query(sql, {"asset_type": dataset.asset_type} if condition else None).to_pylist()[0]
            counts[table] = row["n"]
            results.append(_unique(table, row["n"], row["keys"]))
    counts["training set"] = dataset.rows
    results.append(_unique("training set", dataset.rows, dataset.keys.select(KEY).n_unique()))
    record = walk_forward.predictions
    results.append(_unique("out-of-sample record", record.height, record.select(KEY).n_unique()))
    expected = dataset.keys.filter(pl.col("datetime") >= record["fold_start"].min()).height
    counted = ", ".join(f"{name} {n}" for name, n in counts.items())
    results.append(
        CheckResult(
            "identity",
            "passed" if len(set(counts.values())) == 1 else "failed",
            "rows from bars to training set",
            counted,
            "a step lost or multiplied rows: run `tradehits features` again",
        )
    )
    results.append(
        CheckResult(
            "identity",
            "passed" if record.height == expected else "failed",
            "bars tested by the folds",
            f"{record.height} predictions for {expected} bars since the first fold",
            "folds must be contiguous: every bar since the first fold is predicted once",
        )
    )
    return results


def time_check(dataset: Dataset, walk_forward: WalkForward) -> list[CheckResult]:
    """`trained_through` <= the fold's start <= the row's `bar_known_at`, and each row lies in its own fold."""
    record = walk_forward.predictions
    ends = pl.DataFrame(
        {
            "fold": [result.fold.index for result in walk_forward.folds],
            "test_start": [result.fold.test_start for result in walk_forward.folds],
            "test_end": [result.fold.test_end for result in walk_forward.folds],
        },
        schema={"fold": pl.Int64, "test_start": pl.Datetime("us", "UTC"), "test_end": pl.Datetime("us", "UTC")},
    )
    joined = record.join(ends, on="fold", how="left")
    rules = {
        "trained_through <= fold_start": pl.col("trained_through") <= pl.col("fold_start"),
        "fold_start <= bar_known_at": pl.col("fold_start") <= pl.col("bar_known_at"),
        "datetime in [test_start, test_end)": (pl.col("datetime") >= pl.col("test_start"))
        & (pl.col("datetime") < pl.col("test_end")),
        "label_known_at > bar_known_at": (pl.col("label_known_at") > pl.col("bar_known_at")).fill_null(value=True),
    }
    results = []
    for rule, expression in rules.items():
        broken = joined.filter(~expression.fill_null(value=False))
        first = broken.head(1).select(*KEY, "fold").rows()
        results.append(
            CheckResult(
                "time",
                "failed" if broken.height else "passed",
                rule,
                f"{broken.height} of {joined.height} rows break it" + (f", first {first[0]}" if first else ""),
                "a model saw labels from its own test window: check purge and embargo",
            )
        )
    return results


def label_check(warehouse: Warehouse, dataset: Dataset) -> list[CheckResult]:
    """Labels recomputed from the stored bars equal the labels that training used; the newest bar has none."""
    sql = f"SELECT symbol, datetime, close, bar_known_at FROM `{CLEAN_TABLES[dataset.asset_type]}`"
    bars = pl.DataFrame(warehouse.query(sql)).with_columns(asset_type=pl.lit(dataset.asset_type))
    recomputed = add_labels(bars.sort(KEY)).select(
        *KEY,
        *(pl.col(name).alias(f"re_{name}") for name in ("target_direction", "forward_return_pct", "label_known_at")),
    )
    joined = dataset.keys.join(recomputed, on=KEY, how="left")
    results = []
    for name in ("target_direction", "label_known_at", "forward_return_pct"):
        if name == "forward_return_pct":
            close = (pl.col(name) - pl.col(f"re_{name}")).abs() <= 1e-9 * (1 + pl.col(f"re_{name}").abs())
            equal = close | (pl.col(name).is_null() & pl.col(f"re_{name}").is_null())
        else:
            equal = pl.col(name).eq_missing(pl.col(f"re_{name}"))
        wrong = joined.filter(~equal.fill_null(value=False))
        first = wrong.head(1).select(*KEY, name, f"re_{name}").rows()
        results.append(
            CheckResult(
                "labels",
                "failed" if wrong.height else "passed",
                name,
                f"{wrong.height} of {joined.height} labels differ from the recomputed ones"
                + (f", first {first[0]}" if first else ""),
                "labels must come from the next stored bar only: rebuild with `tradehits features`",
            )
        )
    return results


def _unique(subject: str, rows: int, keys: int) -> CheckResult:
    return CheckResult(
        "identity",
        "passed" if rows == keys else "failed",
        subject,
        f"{rows} rows, {keys} keys"
        + ("" if rows == keys else f": {rows - keys} duplicates, which turn labels into DOWN"),
        "remove the duplicates before training: `tradehits features` rebuilds from unique bars",
    )

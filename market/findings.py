"""What checks find in rows of bars, what becomes of the rows, and when too many are rejected to store anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from market.assets import ASSET_TYPES, AssetType
from market.bar_checks import SOURCE_ROW, Check, count_broken, stamps_as_text
from market.bars import BAR_SCHEMA
from market.check_rules import Treatment
from market.errors import BadBarsError, RejectedShareError
from market.sessions import Interval

FINDING_SCHEMA = pl.Schema(
    {
        "file": pl.String(),
        SOURCE_ROW: pl.UInt32(),
        **BAR_SCHEMA,
        "interval": pl.String(),
        "rule": pl.String(),
        "severity": pl.String(),
        "action": pl.String(),
        "detail": pl.String(),
        "column": pl.String(),
    }
)
"""One row for each broken rule of a row; values as read, NaN included. `action` is `rejected` or `kept`."""

FILE_NUMBER = "file_number"
"""Column with the position of a row's file among the files read."""


@dataclass
class Sieve:
    """Evaluates checks, collects what they find, and knows which rows to leave out."""

    files: list[str]
    treatments: Mapping[str, Treatment]
    interval: Interval
    found: list[pl.DataFrame] = field(default_factory=list)
    rejected_late: list[pl.DataFrame] = field(default_factory=list)

    def pass_through(self, rows: pl.DataFrame, checks: Iterable[Check]) -> pl.DataFrame:
        """The rows that are left."""
        checks = tuple(checks)
        counts = count_broken(rows, checks)
        rejecting = []
        for check in checks:
            if not counts[check.name]:
                continue
            broken = check.broken.fill_null(value=False)
            if self.record(rows.filter(broken), check):
                rejecting.append(broken)
        return rows.filter(~pl.any_horizontal(rejecting)) if rejecting else rows

    def record(self, broken: pl.DataFrame, check: Check) -> bool:
        """Note the rows that failed a check; whether they are to be left out."""
        treatment = self.treatments[check.rule]
        if treatment.policy == "fail":
            self._fail(broken, check)
        keeps = treatment.policy == "flag"
        noted = broken.with_columns(
            detail=_details(broken, check),
            interval=pl.lit(self.interval),
            rule=pl.lit(check.rule),
            severity=pl.lit(treatment.severity),
            action=pl.lit("kept" if keeps else "rejected"),
            column=pl.lit(check.column),
            file=pl.Series(self.files).gather(broken[FILE_NUMBER]),
            remedy=pl.lit(check.remedy),
        )
        if keeps and check.once_per:
            noted = _first_of_each(noted, check.once_per)
        if "symbol_as_written" in noted.columns:
            noted = noted.with_columns(symbol=pl.coalesce("symbol", "symbol_as_written"))
        self.found.append(noted.select(*FINDING_SCHEMA.names(), "remedy", FILE_NUMBER))
        return not keeps

    def without_rejected(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Leave out the rows that the rules about series rejected."""
        for late in self.rejected_late:
            rows = rows.join(
                late.select(FILE_NUMBER, SOURCE_ROW), on=[FILE_NUMBER, SOURCE_ROW], how="anti", maintain_order="left"
            )
        return rows

    def findings(self) -> pl.DataFrame:
        """All that was found, in the order of files and rows."""
        if not self.found:
            return FINDING_SCHEMA.to_frame().with_columns(
                pl.lit("").alias("remedy"), pl.lit(0, dtype=pl.UInt32).alias(FILE_NUMBER)
            )
        return pl.concat(self.found).sort(FILE_NUMBER, SOURCE_ROW, maintain_order=True)

    def _fail(self, broken: pl.DataFrame, check: Check) -> None:
        first = broken.bottom_k(1, by=[FILE_NUMBER, SOURCE_ROW]).with_columns(stamps_as_text()).row(0, named=True)
        raise BadBarsError(
            f"{check.message.format(**first)} ({broken.height:,} rows like this; policy of {check.rule}: fail)",
            file=self.files[first[FILE_NUMBER]],
            row=first[SOURCE_ROW],
            column=check.column,
            remedy=check.remedy,
        )


def _details(broken: pl.DataFrame, check: Check) -> pl.Series:
    text = broken.with_columns(stamps_as_text()).select(detail=check.detail).to_series()
    return text if text.len() == broken.height else text.new_from_index(0, broken.height)


def _first_of_each(noted: pl.DataFrame, column: str) -> pl.DataFrame:
    noted = noted.sort(FILE_NUMBER, SOURCE_ROW).with_columns(others=pl.len().over(column) - 1)
    first = noted.unique(column, keep="first", maintain_order=True)
    if column != "series":
        return first
    return first.with_columns(
        detail=pl.when(pl.col("others") > 0).then(pl.format("{} (and {} more)", "detail", "others")).otherwise("detail")
    )


def without(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Rows that are not among the others, in their order."""
    place = [FILE_NUMBER, SOURCE_ROW]
    return rows.join(others.select(place), on=place, how="anti", maintain_order="left")


def refuse_large_share(
    findings: pl.DataFrame, read: Mapping[AssetType, int], max_rejected_share: Mapping[AssetType, float]
) -> None:
    """Stop when too many rows of a class were rejected for errors.

    Args:
        findings: From `Sieve.findings`.
        read: Rows of each class before any was left out.
        max_rejected_share: Largest share of each class.

    Raises:
        RejectedShareError: The first rejected row is named, and rules are counted.
    """
    errors = findings.filter(pl.col("action") == "rejected", pl.col("severity") == "error")
    for asset_type, rows in read.items():
        part = errors.filter(pl.col("asset_type") == asset_type)
        limit = max_rejected_share[asset_type]
        _raise_beyond(limit, part, rows, what=asset_type, setting=f"checks.max_rejected_share.{asset_type}")
    stray = errors.filter(~pl.col("asset_type").is_in(ASSET_TYPES).fill_null(value=False))
    total = sum(read.values()) + _distinct_rows(stray)
    # Nobody set a limit for rows of no class, so the strictest counts.
    _raise_beyond(min(max_rejected_share.values()), stray, total, what="no asset class", setting="")


def _raise_beyond(limit: float, errors: pl.DataFrame, rows: int, *, what: str, setting: str) -> None:
    """Refuse a class of which too much was rejected: its first row is named, its rules are counted."""
    count = _distinct_rows(errors)
    if count <= limit * rows:
        return
    first = errors.row(0, named=True)
    counts = errors.group_by("rule").len().sort("len", "rule", descending=[True, False])
    by_rule = ", ".join(f"{rule} {n:,}" for rule, n in counts.rows())
    raise RejectedShareError(
        f"{first['detail']}; {what}: {count:,} of {rows:,} rows rejected ({count / rows:.1%}, at most {limit:.1%}): "
        f"{by_rule}",
        file=first["file"],
        row=first[SOURCE_ROW],
        column=first["column"],
        remedy=f"{first['remedy']}; or raise {setting}" if setting else first["remedy"],
    )


def _distinct_rows(findings: pl.DataFrame) -> int:
    return findings.select(FILE_NUMBER, SOURCE_ROW).n_unique() if findings.height else 0

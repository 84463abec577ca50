"""Stored values against the same values recomputed with less of the future: what differs, and how far ahead it sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

CUT_MARK = "~"
"""Between a symbol and the name of one of its cut or rescaled copies: `AAPL~1234`."""

RELATIVE_TOLERANCE = 1e-9
"""Of stored float64 values."""

MATRIX_TOLERANCE = 1e-6
"""Of what models see: float32."""

_KEPT_CUTS = 3
_ALL_BARS = 0.95


@dataclass(frozen=True)
class Finding:
    """One column that looks ahead, or (with an empty `column`) a statement about all columns.

    Attributes:
        column: The column.
        subject: Stage and column, such as `feature rsi_slope`.
        detail: How many past values changed, how far before the cut, and one of them.
        remedy: What to do.
        cuts: Copies (`SYMBOL~CUT`) that showed it, the one with the nearest change first; at most three.
        nearest: Bars between the cut and the nearest changed value, 0 for the last bar before the cut.
        reach: How many bars before the cut the farthest changed value stands, 1 for the last bar before the cut.
    """

    column: str
    subject: str
    detail: str
    remedy: str = ""
    cuts: tuple[str, ...] = ()
    nearest: int = 0
    reach: int = 0


def compare(
    stored: pl.DataFrame,
    cut: pl.DataFrame,
    columns: Sequence[str],
    *,
    stage: str,
    tolerance: float = RELATIVE_TOLERANCE,
) -> list[Finding]:
    """Compare stored values with values recomputed on cut histories.

    Args:
        stored: `symbol`, `datetime` and the columns, computed with the whole history, one row a key.
        cut: The same, computed on cut histories whose symbols are `SYMBOL~CUT`.
        columns: What to compare; numbers to a relative tolerance, of which no number is smaller than the column's mean
            size allows, everything else exactly, NULL equal to NULL only.
        stage: Named in the findings: `indicator`, `feature` or `matrix column`.
        tolerance: Relative tolerance of numbers.
    """
    joined = beside(cut, stored, columns).with_columns(
        bars_before_cut=(pl.col("datetime").count() - pl.col("datetime").rank("ordinal")).over("copy")
    )
    findings = []
    for name in columns:
        changed = joined.filter(~equal(name, joined.schema[name], tolerance))
        if changed.height:
            findings.append(_finding(name, stage, changed.sort("bars_before_cut", "copy"), joined.height))
    return findings


def beside(copies: pl.DataFrame, stored: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Rows of copies with their bars' stored values as `stored_<column>`, and the copy's name as `copy`."""
    return copies.with_columns(copy=pl.col("symbol"), symbol=pl.col("symbol").str.split(CUT_MARK).list.first()).join(
        stored.select("symbol", "datetime", *(pl.col(name).alias(f"stored_{name}") for name in columns)),
        on=("symbol", "datetime"),
        how="left",
    )


def equal(name: str, dtype: pl.DataType, tolerance: float) -> pl.Expr:
    """Whether a recomputed value is the stored one.

    A difference of two large numbers carries their rounding, so a float may also be off by the tolerance times the
    column's mean size.
    """
    cut, stored = pl.col(name), pl.col(f"stored_{name}")
    same = cut.eq_missing(stored)
    if dtype.is_float():
        size = pl.max_horizontal(cut.abs(), stored.abs(), stored.abs().mean())
        return same | ((cut - stored).abs() <= tolerance * size).fill_null(value=False)
    return same


def _finding(name: str, stage: str, changed: pl.DataFrame, compared: int) -> Finding:
    """From the changed rows, nearest to the cut first."""
    reach = int(changed["bars_before_cut"].max()) + 1  # type: ignore[arg-type]
    example = changed.row(0, named=True)
    bar = f"{example['symbol']} at {example['datetime']:%Y-%m-%d}"
    everywhere = changed.height >= _ALL_BARS * compared
    why = "; nearly every bar: a statistic of the whole sample is in it" if everywhere else ""
    return Finding(
        name,
        f"{stage} {name}",
        f"changes on {changed.height} of {compared} past bars when the future is cut, up to {reach} "
        f"bars before the cut{why}; {bar}: {_shown(example[f'stored_{name}'])} with the future, "
        f"{_shown(example[name])} without",
        _remedy(name, stage),
        _kept(changed["copy"]),
        int(example["bars_before_cut"]),
        reach,
    )


def _kept(copies: pl.Series) -> tuple[str, ...]:
    """Of the copies, nearest change first: the nearest ones, and the one that shows how far the column looks."""
    return tuple(dict.fromkeys([*copies.unique(maintain_order=True)[: _KEPT_CUTS - 1], copies[-1]]))


def _remedy(name: str, stage: str) -> str:
    if stage == "matrix column":
        return (
            f"between the feature table and the model {name} is changed with knowledge of later rows: no scaling, "
            "encoding, binning or filling that is learned on all rows, and no label among the features"
        )
    return f"let {name} use bars up to its own only: no LEAD, no centred window, no statistic of all history"


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "NULL" if value is None else str(value)

"""Faults between the feature table and the model: statistics of all rows, and rows that stand more than once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import polars as pl

from tests.planted_faults.fault import Fault, Naming
from tests.planted_faults.seams import training_rows

COPIED = (
    Naming("labels", ".*"),
    Naming("time", ".*"),
    Naming("identity", "(out-of-sample record|rows from bars to training set|bars tested by the folds)"),
    Naming("overlap", ".*"),
)
MATRIX = "matrix column {}"


def scaled(rows: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    return rows.with_columns((pl.col(name) - pl.col(name).mean()) / pl.col(name).std() for name in names)


def target_encoded(rows: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    return rows.with_columns(growth_score=pl.col("target_direction").mean().over("symbol"))


def future_quantiles(rows: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    rank = pl.col("rsi").rank("average") / pl.col("rsi").count()
    return rows.with_columns(rsi=(10 * rank).floor().cast(pl.Float64))


def backfilled_gaps(rows: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    return rows.sort("symbol", "datetime").with_columns(pl.col(*names).fill_null(strategy="backward").over("symbol"))


def relabelled(rows: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """The label among the features, under a name of its own making a place for it."""
    return rows.with_columns(cci=pl.col("target_direction").cast(pl.Float64))


def duplicated(copies: int) -> Callable[[pl.DataFrame, tuple[str, ...]], pl.DataFrame]:
    """Each row several times, labelled by the row after it: between copies the close never rises."""

    def step(rows: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
        copy = rows.with_columns(
            target_direction=pl.lit(0, rows.schema["target_direction"]),
            forward_return_pct=pl.lit(0.0),
            label_known_at=pl.col("bar_known_at"),
        )
        return pl.concat([*[copy] * (copies - 1), rows])

    return step


def fanned_out(rows: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """Joined to itself by date alone: each row once for every symbol of its day."""
    return rows.join(rows.select("datetime"), on="datetime", how="inner")


def _planted(
    step: Callable[[pl.DataFrame, tuple[str, ...]], pl.DataFrame],
) -> Callable[[], AbstractContextManager[None]]:
    return lambda: training_rows(step)


ROW_FAULTS = (
    Fault(
        "global scaling before the split",
        "every feature standardised with mean and deviation of all rows, the test's included",
        _planted(scaled),
        (Naming("truncation", MATRIX.format("rsi"), "whole sample"),),
        (Naming("truncation", MATRIX.format(r"\w+")), Naming("scale", ".*")),
    ),
    Fault(
        "target encoding over the full sample",
        "each symbol's share of rising bars, the test's included, as a feature",
        _planted(target_encoded),
        (Naming("truncation", MATRIX.format("growth_score")),),
        (Naming("canary", ".*"),),
    ),
    Fault(
        "quantile bins from the future",
        "a feature cut into ten bins by quantiles of all rows",
        _planted(future_quantiles),
        (Naming("truncation", MATRIX.format("rsi")),),
        (Naming("scale", ".*"),),
    ),
    Fault(
        "gaps filled backwards",
        "missing values of the training set filled from later rows",
        _planted(backfilled_gaps),
        (Naming("truncation", MATRIX.format(r"\w+")),),
        (Naming("canary", ".*"),),
        is_variant=True,
    ),
    Fault(
        "label joined to the features",
        "the label takes the place of a feature in the matrix",
        _planted(relabelled),
        (Naming("truncation", MATRIX.format("cci"), "up to 1 bars before the cut"),),
        (Naming("canary", ".*"), Naming("truncation", r"\w+ predictions")),
        is_variant=True,
    ),
    Fault(
        "duplicates x2",
        "every row twice before it was labelled",
        _planted(duplicated(2)),
        (Naming("identity", "training set", "duplicates"),),
        COPIED,
    ),
    Fault(
        "duplicates x7",
        "every row seven times before it was labelled",
        _planted(duplicated(7)),
        (Naming("identity", "training set", "duplicates"),),
        COPIED,
    ),
    Fault(
        "self-join fan-out",
        "the training set joined to itself by date alone",
        _planted(fanned_out),
        (Naming("identity", "rows from bars to training set", "multiplies rows"), Naming("identity", "training set")),
        COPIED,
    ),
)

"""What not to do: the faults of the inflated construction, each one function that can be left out again.

Only the explanation of an inflated number uses this module, and every function of it is wrong on purpose. Tables here
are those of `training.dataset.stored_training_set` with `close`: one row a bar, sorted by (datetime, symbol).
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.dataset import Dataset

PIVOTS = ("pivot_high_flag", "pivot_low_flag")
CONFIRMATION_BARS = 2
"""Bars after a pivot that prove it."""

_DAY = np.timedelta64(1, "D")


def lookahead_pivots(rows: pl.DataFrame) -> pl.DataFrame:
    """FAULT: a pivot is flagged on its own bar, which is compared with the next two bars.

    The flags are the platform's confirmed ones, written two bars too early: the highest bar of five says on the spot
    that the next close will be lower. On a symbol's last two bars nothing is flagged.
    """
    early = [pl.col(name).shift(-CONFIRMATION_BARS).over("symbol", order_by="datetime") for name in PIVOTS]
    return rows.with_columns(flag.fill_null(0) for flag in early)


def copied_rows(rows: pl.DataFrame, copies: int) -> pl.DataFrame:
    """FAULT: every row stands `copies` times, and the label is taken between neighbouring rows.

    `LEAD(close) OVER (PARTITION BY symbol ORDER BY datetime) > close` finds a copy of the same bar, whose close is not
    higher, in all rows but one of each bar: about 1 - 1 / copies of the labels become DOWN.
    """
    by_symbol = rows.sort("symbol", "datetime")
    table = by_symbol[np.repeat(np.arange(rows.height), copies)]
    next_close = pl.col("close").shift(-1).over("symbol")
    return table.with_columns(
        target_direction=(next_close > pl.col("close")).cast(pl.Int64),
        forward_return_pct=100 * (next_close / pl.col("close") - 1),
        label_known_at=pl.col("bar_known_at").shift(-1).over("symbol"),
    ).sort("datetime", "symbol", maintain_order=True)


def unknown_is_down(rows: pl.DataFrame) -> pl.DataFrame:
    """FAULT: the newest bar of a symbol has no outcome yet; it is called DOWN, as if that were known at its close."""
    return rows.with_columns(
        pl.col("target_direction").fill_null(0),
        pl.col("label_known_at").fill_null(pl.col("bar_known_at")),
    )


def one_split(dataset: Dataset, train_end: date, test_end: date) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """FAULT: one cut that is called walk-forward: a model of `train_end` predicts everything after `test_end`.

    Returns:
        Positions of the training rows and of the tested rows that have a label.
    """
    labelled = ~np.isnan(dataset.label)
    trained = labelled & (dataset.datetime < np.datetime64(train_end, "us") + _DAY)
    tested = labelled & (dataset.datetime >= np.datetime64(test_end, "us") + _DAY)
    return np.flatnonzero(trained), np.flatnonzero(tested)

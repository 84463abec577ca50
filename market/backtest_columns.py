"""Columns of the engine's inputs, and the error for rows that break a rule."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from market.errors import BacktestError

Floats = npt.NDArray[np.float64]


def numbers(frame: pl.DataFrame, name: str) -> Floats:
    """A column as float64, NULL as NaN; a view of the frame's own memory where it can be.

    Raises:
        BacktestError: The column is missing or holds no numbers.
    """
    if name not in frame.columns:
        raise BacktestError(
            "the column is missing",
            field=name,
            remedy=f"select it with the others: {', '.join(frame.columns)} are here",
        )
    column = frame[name]
    if not column.dtype.is_numeric():
        raise BacktestError(f"{column.dtype} is no number", field=name, remedy="cast the column to Float64")
    values = column.cast(pl.Float64)
    if values.null_count():
        values = values.fill_null(float("nan"))
    return np.ascontiguousarray(values.rechunk().to_numpy())


def refuse(bad: npt.NDArray[np.bool_], field: str, message: str) -> None:
    """Raise `bad_rows` when any row is bad."""
    if bad.any():
        raise bad_rows(bad, field, message, "correct or drop the rows before the backtest")


def bad_rows(bad: npt.NDArray[np.bool_], field: str, message: str, remedy: str) -> BacktestError:
    """The error for rows that break a rule; names the first and counts them."""
    return BacktestError(
        f"{message} ({int(bad.sum())} of {bad.size} rows)", field=field, row=int(bad.argmax()) + 1, remedy=remedy
    )

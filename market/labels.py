"""Labels of a bar: what the next bar of the same symbol brought, and when that was known."""

from __future__ import annotations

import polars as pl

LABEL_COLUMNS: tuple[str, ...] = ("target_direction", "forward_return_pct", "label_known_at")


def add_labels(frame: pl.DataFrame) -> pl.DataFrame:
    """Bars with their labels; all three are null where the symbol has no next bar, because nobody knows yet.

    An independent twin of the labels that SQL writes, used to audit them.

    Args:
        frame: `asset_type`, `symbol`, `datetime`, `close` (positive) and `bar_known_at`, one row a key, in any order.

    Returns:
        The same rows in the same order with `target_direction` (Int64: 1 if the next close is higher, else 0, a tie is
        0), `forward_return_pct` (percent change to the next close, 0-100 scale) and `label_known_at` (the next bar's
        `bar_known_at`).
    """
    next_close = _next("close")
    return frame.with_columns(
        target_direction=(next_close > pl.col("close")).cast(pl.Int64),
        forward_return_pct=100 * (next_close / pl.col("close") - 1),
        label_known_at=_next("bar_known_at"),
    )


def _next(column: str) -> pl.Expr:
    return pl.col(column).shift(-1).over("asset_type", "symbol", order_by="datetime")

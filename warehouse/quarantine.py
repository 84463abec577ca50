"""What the checks found, kept in `tradehits.bar_quarantine`."""

from __future__ import annotations

import hashlib
from datetime import datetime

import polars as pl

from market.bar_checks import PRICES
from warehouse.warehouse import Write

TABLE = "tradehits.bar_quarantine"

_IDENTITY = ("interval", "asset_type", "symbol", "datetime", *PRICES, "volume", "rule")
"""Not the row's number: a file that grows at its top moves all its rows."""


def quarantine_writes(findings: pl.DataFrame, *, source: str, quarantined_at: datetime) -> list[Write]:
    """The write that records findings; those recorded before stay as they are.

    Args:
        findings: As `market.inspection.FINDING_SCHEMA`.
        source: Name of the source.
        quarantined_at: The present instant.
    """
    if findings.is_empty():
        return []
    # Copies of one row differ by nothing but their number among themselves.
    copies = findings.with_columns(copy=pl.int_range(pl.len()).over(_IDENTITY))
    ids = [_identify(source, *row) for row in copies.select(*_IDENTITY, "copy").rows()]
    numbers = (pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in (*PRICES, "volume"))
    rows = findings.drop("column").with_columns(
        *numbers,
        pl.col("source_row").cast(pl.Int64),
        quarantine_id=pl.Series(ids, dtype=pl.String),
        quarantined_at=pl.lit(quarantined_at).cast(pl.Datetime("us", "UTC")),
        source=pl.lit(source),
    )
    return [Write(TABLE, rows=rows.to_arrow(), mode="append", skip_existing=True)]


def _identify(*values: object) -> str:
    return hashlib.blake2b("\x1f".join(map(repr, values)).encode(), digest_size=16).hexdigest()

"""Deciding what incoming bars change: versions to append, corrections, and stored bars brought into a new scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from market.readjustment import Readjustment, rescaled, unproven_readjustments
from market.sessions import Interval

KEY = ("asset_type", "symbol", "datetime")
PRICES = ("open", "high", "low", "close", "volume")
RESCALED = ":rescaled"
"""Ends the source of versions that were computed from stored ones, when their source changed its scale."""


@dataclass(frozen=True)
class IngestPlan:
    """What to write: versions to append to the stored ones.

    Attributes:
        versions: Rows for `tradehits.bar_versions`.
        new: Bars never seen before.
        changed: Bars whose prices or volume differ from the stored version.
        rescaled: Stored bars that the source did not deliver and that are brought into its new scale.
        readjustments: The scales that changed.
        unproven: Bars that may show a new scale, as `market.readjustment.unproven_readjustments`.
    """

    versions: pl.DataFrame
    new: int
    changed: int
    rescaled: int = 0
    readjustments: list[Readjustment] = field(default_factory=list)
    unproven: pl.DataFrame = field(default_factory=pl.DataFrame)


def plan_ingest(
    stored: pl.DataFrame,
    incoming: pl.DataFrame,
    *,
    source: str,
    ingested_at: datetime,
    interval: Interval = "1d",
    history: pl.DataFrame | None = None,
    readjustments: Sequence[Readjustment] = (),
) -> IngestPlan:
    """Compare incoming bars with the newest stored versions.

    Args:
        stored: Newest versions of one asset class, at least of the incoming keys: `KEY`, `PRICES`, `bar_known_at`,
            `ingested_at`.
        incoming: Checked bars of that class: `KEY`, `PRICES`, `bar_known_at`; unique by key.
        source: Name of the source, kept with each version.
        ingested_at: Arrival of these bars; the knowledge time of corrections.
        interval: Of all bars.
        history: Newest versions of the whole history of every symbol in `readjustments`.
        readjustments: Changes of scale to carry into the stored bars that `incoming` lacks.
    """
    compared = _compared(stored, incoming)
    fresh = compared.filter(pl.col("is_new") | pl.col("is_changed")) if stored.height else compared
    fresh = fresh.with_columns(source=pl.lit(source))
    if history is not None and readjustments:
        apart = rescaled(history.join(incoming, on=KEY, how="anti"), list(readjustments))
        marks = {"is_new": pl.lit(value=False), "is_changed": pl.lit(value=True), "source": pl.lit(source + RESCALED)}
        fresh = pl.concat([fresh, apart.with_columns(**marks).select(fresh.columns)])
    versions = fresh.with_columns(
        interval=pl.lit(interval),
        ingested_at=pl.lit(ingested_at).cast(pl.Datetime("us", "UTC")),
        is_backfill=pl.col("is_new"),
    )
    versions = versions.with_columns(
        knowledge_at=pl.when("is_changed").then("ingested_at").otherwise("bar_known_at")
    ).drop("is_new", "is_changed")
    new, changed = int(compared["is_new"].sum()), int(compared["is_changed"].sum())
    unproven = unproven_readjustments(stored, incoming)
    return IngestPlan(versions, new, changed, versions.height - new - changed, list(readjustments), unproven)


def _compared(stored: pl.DataFrame, incoming: pl.DataFrame) -> pl.DataFrame:
    """Incoming bars with `is_new` and `is_changed`."""
    columns = [*KEY, *PRICES, "bar_known_at"]
    if stored.is_empty():  # a first load may be as large as memory allows
        return incoming.select(*columns, is_new=pl.lit(value=True), is_changed=pl.lit(value=False))
    old = stored.select(*KEY, *(pl.col(name).alias(f"old_{name}") for name in PRICES), pl.lit(True).alias("known"))
    compared = incoming.join(old, on=KEY, how="left")
    differs = pl.any_horizontal(pl.col(name) != pl.col(f"old_{name}") for name in PRICES)
    return compared.with_columns(
        is_new=pl.col("known").is_null(), is_changed=pl.col("known").is_not_null() & differs.fill_null(value=False)
    ).select(*columns, "is_new", "is_changed")

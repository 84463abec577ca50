"""`tradehits features --as-of`: training sets as they were known at an instant."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from configs.settings import Settings
from market.assets import AssetType
from market.errors import ConfigError
from training.dataset import stored_training_set, training_set_hash
from warehouse.asof import warehouse_as_of
from warehouse.engines import open_warehouse
from warehouse.features import stored_asset_types


@dataclass(frozen=True)
class AsOfReport:
    """One training set of the past; `content_hash` is the same whatever is corrected later.

    Attributes:
        rows: Bars known then.
        labelled: How many of them had a known label.
        corrected: How many were known in a corrected version.
        loaded_later: How many were stored only afterwards and count as known when they closed.
    """

    asset_type: AssetType
    as_of: datetime
    rows: int
    labelled: int
    symbols: int
    newest: datetime
    corrected: int
    loaded_later: int
    content_hash: str


def features_as_of(
    settings: Settings, as_of: datetime, *, asset_types: Sequence[AssetType] = (), output: Path | None = None
) -> list[AsOfReport]:
    """Compute training sets as of an instant; nothing of the warehouse changes.

    Args:
        settings: Feature service and warehouse.
        as_of: The instant, with a zone.
        asset_types: Classes; all with bars by default.
        output: A parquet file for the rows of all classes, put in place whole; None writes none.

    Raises:
        KnowledgeTimeError: Nobody can say what was known then.
    """
    warehouse = open_warehouse(settings)
    reports, frames = [], []
    for asset_type in asset_types or stored_asset_types(warehouse):
        with warehouse_as_of(warehouse, settings, asset_type, as_of) as past:
            rows = stored_training_set(past.warehouse, settings, asset_type)
        reports.append(
            AsOfReport(
                asset_type=asset_type,
                as_of=past.as_of,
                rows=rows.height,
                labelled=rows["target_direction"].count(),
                symbols=rows["symbol"].n_unique(),
                newest=rows["datetime"].max(),  # type: ignore[arg-type]
                corrected=past.corrected,
                loaded_later=past.loaded_later,
                content_hash=training_set_hash(settings, rows),
            )
        )
        if output is not None:
            frames.append(rows)
    if output is not None and frames:
        _write(pl.concat(frames), output)
    return reports


def instant(text: str) -> datetime:
    """An instant as a command line gives it, such as 2024-01-31T00:00:00Z.

    Raises:
        ConfigError: It is none, or has no zone.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigError(f"'{text}' is no instant with a zone", remedy="write it as 2024-01-31T00:00:00Z")
    return found


def _write(rows: pl.DataFrame, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    staged = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        rows.write_parquet(staged)
        staged.replace(output)
    finally:
        staged.unlink(missing_ok=True)

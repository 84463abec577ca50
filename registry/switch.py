"""The switch: a version's files are seen to be whole, then the champion moves to it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from market.assets import AssetType
from market.errors import RegistryError
from registry.champion import Change
from registry.models import ModelRegistry
from registry.store import RunStore

PREDICTIONS_ARTIFACT = "predictions/out_of_sample.parquet"


def switch_champion(registry: ModelRegistry, asset_type: AssetType, change: Change) -> Change:
    """Move the champion: from here on, whoever loads it gets the other bundle, whole.

    Raises:
        RegistryError: The version's files or record are gone or damaged, a rollback names no earlier champion, or the
            champion was moved meanwhile.
        MixedVariantError: The version was trained on another indicator variant than the configured one.
    """
    bundle = registry.load_bundle(asset_type, change.to_version)
    predictions_file(registry.store, bundle.info.run_id)
    return registry.change_champion(asset_type, change)


def predictions_file(store: RunStore, run_id: str) -> Path:
    """Where a run's out-of-sample predictions are, once their file was seen to be a whole one.

    Raises:
        RegistryError: The run or its artifact is gone, or the file is damaged.
    """
    path = store.artifact(run_id, PREDICTIONS_ARTIFACT)
    try:
        pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RegistryError(
            f"the predictions of run {run_id} cannot be read: {error}", remedy=f"restore {path} from a backup"
        ) from error
    return path

"""The snapshot that the service answers from, published anew whenever rows or champions changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flows.observing import observed_task
from market.errors import RegistryError
from registry.models import ModelRegistry
from registry.store import RunStore
from serving.snapshot_build import build_snapshot
from warehouse.champions import published_champions
from warehouse.engines import open_warehouse

if TYPE_CHECKING:
    from configs.settings import Settings
    from warehouse.warehouse import Warehouse


@observed_task("publish snapshot")
def publish_snapshot(
    settings: Settings, *, warehouse: Warehouse | None = None, registry: ModelRegistry | None = None
) -> Path:
    """Publish the present state; a running service takes it up by itself.

    Args:
        settings: Whose state.
        warehouse: Its warehouse, opened when not given.
        registry: Its registry, likewise.

    Returns:
        Where the snapshot is.

    Raises:
        NoChampionError: No class has a champion yet.
        RegistryError: A champion's files are gone, or champions changed twice meanwhile.
    """
    warehouse = warehouse or open_warehouse(settings)
    registry = registry or ModelRegistry(RunStore(settings))
    try:
        return _publish(settings, warehouse, registry)
    except RegistryError:  # a promotion was quicker; what it published is read now
        return _publish(settings, warehouse, registry)


def _publish(settings: Settings, warehouse: Warehouse, registry: ModelRegistry) -> Path:
    with warehouse.read() as read:
        published = published_champions(read)
    bundles = {name: registry.load_bundle(name, champion.model_version) for name, champion in published.items()}
    return build_snapshot(warehouse, settings, bundles)

"""A person changes the champion: what came of it, the rollback, and the service's new snapshot.

Only what the switch needs is imported at the top: a rollback is in force before the libraries of training are loaded.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.settings import Settings
from flows.context import exclusive
from flows.model_access import named, open_registry, open_tables
from flows.observing import observed_task
from market.assets import AssetType
from market.errors import ConfigError, RegistryError, SnapshotError, WarehouseLockedError
from registry.champion import Change, new_change
from registry.models import ModelRegistry
from registry.switch import switch_champion

if TYPE_CHECKING:
    from training.gate import Decision
    from training.promotion import Settled
    from warehouse.warehouse import Warehouse

log = logging.getLogger("tradehits")


@dataclass(frozen=True)
class Changed:
    """What a promotion or rollback did.

    Attributes:
        change: None when the version was the champion already.
        settled: The published record; None when another command published it, or is to.
        decision: Of a promotion.
        switch_seconds: From the start of the work until whoever loads the champion gets the other bundle.
        seconds: Until the record was published too.
    """

    asset_type: AssetType
    model_version: str
    change: Change | None = None
    settled: Settled | None = None
    decision: Decision | None = None
    switch_seconds: float = 0.0
    seconds: float = 0.0


@observed_task("rollback")
def rollback(settings: Settings, asset_type: AssetType, asked: str | None, *, by: str, why: str) -> Changed:
    """Go back to an earlier champion, by default the one before; then publish its record.

    The switch waits for no other command: only the publication takes the pipeline's turn.

    Raises:
        RegistryError: There is no such earlier champion, or its files are gone; nothing was changed.
        MixedVariantError: It was trained on another indicator variant than the configured one; nothing was changed.
    """
    require_words(by, why)
    started = time.monotonic()
    registry = open_registry(settings)
    current = registry.resolve(asset_type)
    target = registry.previous_champion(asset_type) if asked is None else named(registry, asked, asset_type)[1]
    if target is None:
        raise RegistryError(
            f"{current} is the first champion of {asset_type}: there is none to go back to",
            remedy="promote another version: `tradehits models list` names them",
        )
    if target == current:
        return Changed(asset_type, current)
    change = switch_champion(registry, asset_type, new_change("rollback", current, target, by=by, why=why))
    switched = time.monotonic() - started
    try:
        with exclusive(settings):
            settled = publish_change(settings, registry, asset_type, change)
    except WarehouseLockedError:  # the switch is done; whoever holds the warehouse, or comes next, publishes
        settled = None
    return Changed(asset_type, target, change, settled, None, switched, time.monotonic() - started)


def publish_change(
    settings: Settings, registry: ModelRegistry, asset_type: AssetType, change: Change
) -> Settled | None:
    """Publish the champion's record and the snapshot, and log the change if another one overtook it.

    The caller has the turn.
    """
    from training.promotion import settle, supersede

    warehouse = open_tables(settings)
    settled = settle(warehouse, settings, registry, asset_type)
    newest = registry.newest_change(asset_type)
    if newest is not None and newest.change_id != change.change_id:
        supersede(warehouse, asset_type, change, newest)
    republish(settings, warehouse, registry)
    return settled


def republish(settings: Settings, warehouse: Warehouse, registry: ModelRegistry) -> None:
    """Publish the service's snapshot after a change of champion.

    What is wrong with another class's champion costs a warning: the change stands, and the service keeps what it has.
    """
    from flows.publish_snapshot import publish_snapshot

    try:
        publish_snapshot(settings, warehouse=warehouse, registry=registry)
    except (RegistryError, SnapshotError) as error:
        log.warning("the service's snapshot is not published: %s", error)


def require_words(by: str, why: str) -> None:
    """Refuse an empty name or reason.

    Raises:
        ConfigError: One of them is empty.
    """
    for option, text in (("--by", by), ("--why", why)):
        if not text.strip():
            raise ConfigError(f"{option} is empty", remedy="say who changes the champion, and why")

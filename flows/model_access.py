"""How model commands get at the registry and the warehouse, and what people call a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from configs.settings import Settings
from market.assets import AssetType
from market.errors import ConfigError, RegistryError
from registry.models import ModelRegistry, registered_name
from registry.store import RunStore, is_store_made
from registry.versions import asset_type_of

if TYPE_CHECKING:
    from warehouse.warehouse import Warehouse


def open_registry(settings: Settings) -> ModelRegistry:
    """The profile's registry.

    Raises:
        RegistryError: Nothing was trained yet.
    """
    registry = open_registry_if_any(settings)
    if registry is None:
        raise RegistryError(
            f"profile '{settings.profile}' has no model yet", remedy="train one: `tradehits run` or `tradehits train`"
        )
    return registry


def open_registry_if_any(settings: Settings) -> ModelRegistry | None:
    """The profile's registry, None where nothing was trained yet: asking for models makes no store."""
    if not is_store_made(settings):
        return None
    return ModelRegistry(RunStore(settings))


def open_tables(settings: Settings) -> Warehouse:
    """The profile's warehouse with every table in place."""
    from warehouse.engines import open_warehouse

    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    return warehouse


def named(registry: ModelRegistry, asked: str, asset_type: AssetType | None) -> tuple[AssetType, str]:
    """Class and version of what a person typed: `walk_forward_stocks/3`, or with a class `3`, champion, challenger.

    Raises:
        ConfigError: A short name without a class, or a version of another class.
        NoChampionError: The alias points nowhere.
    """
    if "/" in asked:
        found = asset_type_of(asked)
        if asset_type not in (None, found):
            raise ConfigError(f"{asked} is no version of {asset_type}", remedy="leave --asset-type out")
        return found, asked
    if asset_type is None:
        raise ConfigError(f"'{asked}' needs an asset class", remedy="give --asset-type, or walk_forward_<class>/<n>")
    if asked.isdigit():
        return asset_type, f"{registered_name(asset_type)}/{int(asked)}"
    return asset_type, registry.resolve(asset_type, asked)

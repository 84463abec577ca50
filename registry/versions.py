"""Registered versions as people look at them: alias, status, what they were trained on and what they scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from market.assets import ASSET_TYPES, AssetType
from market.errors import RegistryError
from registry.champion import Change
from registry.mlflow_api import MAX_TAG_VAL_LENGTH, ModelVersion
from registry.models import ModelRegistry, registered_name

Status = Literal["champion", "challenger", "former", "waiting"]


@dataclass(frozen=True)
class VersionFacts:
    """One registered version.

    Attributes:
        status: `champion`; `challenger`, the newest version that is none; `former`, a champion before today's;
            `waiting`, any other.
        aliases: As MLflow has them.
        created_at: When it was registered, UTC.
        run_id: The training run that made it.
        tags: Tags of the version: feature service, indicator variant, who promoted it and why.
        run_tags: Tags of its run that people ask for: audit, data, data_hash, calibrated.
        metrics: Newest metrics of its run; every accuracy has its base rate and interval beside it.
    """

    model_version: str
    asset_type: AssetType
    status: Status
    aliases: tuple[str, ...]
    created_at: datetime
    run_id: str
    tags: Mapping[str, str]
    run_tags: Mapping[str, str]
    metrics: Mapping[str, float]


_RUN_TAGS = ("audit", "calibrated", "data", "data_hash", "feature_sql_hash", "git_commit", "profile")


def list_versions(registry: ModelRegistry, asset_types: Sequence[AssetType] = ASSET_TYPES) -> list[VersionFacts]:
    """Every version of the given classes, the newest of each class first."""
    found = []
    for asset_type in asset_types:
        name = registered_name(asset_type)
        numbers = sorted(_numbers(registry, asset_type), reverse=True)
        found += [version_facts(registry, asset_type, f"{name}/{number}") for number in numbers]
    return found


def newest_number(registry: ModelRegistry, asset_type: AssetType) -> int:
    """Number of a class's newest version; 0 before the first."""
    return max(_numbers(registry, asset_type), default=0)


def _numbers(registry: ModelRegistry, asset_type: AssetType) -> list[int]:
    filtered = f"name = '{registered_name(asset_type)}'"
    return [int(one.version) for one in registry.store.client.search_model_versions(filtered, max_results=10_000)]


def version_facts(registry: ModelRegistry, asset_type: AssetType, model_version: str) -> VersionFacts:
    """One version.

    Raises:
        RegistryError: There is no such version of this class.
    """
    stored = registry.version(asset_type, model_version)
    model = registry.model(asset_type)
    aliases = {} if model is None else model.aliases
    run = registry.store.run(stored.run_id)
    return VersionFacts(
        model_version=model_version,
        asset_type=asset_type,
        status=_status(registry, asset_type, model_version),
        aliases=tuple(sorted(name for name, number in aliases.items() if str(number) == str(stored.version))),
        created_at=datetime.fromtimestamp(stored.creation_timestamp / 1000, UTC),
        run_id=stored.run_id,
        tags=_texts(stored),
        run_tags={name: run.data.tags[name] for name in _RUN_TAGS if name in run.data.tags},
        metrics=dict(sorted(run.data.metrics.items())),
    )


def asset_type_of(model_version: str) -> AssetType:
    """The class in a version's name.

    Raises:
        RegistryError: The name is not `walk_forward_<asset_type>/<n>`.
    """
    name = model_version.rpartition("/")[0]
    for asset_type in ASSET_TYPES:
        if name == registered_name(asset_type):
            return asset_type
    raise RegistryError(
        f"'{model_version}' is no model version", remedy="versions are named like walk_forward_stocks/3"
    )


def note_change(registry: ModelRegistry, asset_type: AssetType, change: Change) -> None:
    """Write a change on the versions it moved between, and on their runs, where people look; again changes nothing."""
    rules = " against the rules" if change.against_the_rules else ""
    _note(
        registry,
        asset_type,
        change.to_version,
        {
            "champion_since": change.at.isoformat(),
            "champion_action": f"{change.action}{rules}",
            "champion_by": change.by,
            "champion_why": change.why,
            "champion_from": change.from_version or "none",
            "champion_change_id": change.change_id,
        },
    )
    if change.from_version is not None:
        _note(
            registry,
            asset_type,
            change.from_version,
            {
                "replaced_at": change.at.isoformat(),
                "replaced_by": change.by,
                "replaced_why": change.why,
                "replaced_with": change.to_version,
            },
        )


def is_noted(registry: ModelRegistry, asset_type: AssetType, change: Change) -> bool:
    """Whether `note_change` was done to its end."""
    stored = registry.version(asset_type, change.to_version)
    run = registry.store.run(stored.run_id)
    return all(tags.get("champion_change_id") == change.change_id for tags in (stored.tags, run.data.tags))


def _note(registry: ModelRegistry, asset_type: AssetType, model_version: str, tags: Mapping[str, str]) -> None:
    stored = registry.version(asset_type, model_version)
    for key, value in tags.items():
        registry.store.client.set_model_version_tag(stored.name, stored.version, key, value[:MAX_TAG_VAL_LENGTH])
    registry.store.set_tags(stored.run_id, tags)


def _status(registry: ModelRegistry, asset_type: AssetType, model_version: str) -> Status:
    history = registry.champions(asset_type)
    if history and history[-1] == model_version:
        return "champion"
    if registry.get_alias(asset_type, "challenger") == model_version:
        return "challenger"
    return "former" if model_version in history else "waiting"


def _texts(stored: ModelVersion) -> dict[str, str]:
    tags: Mapping[str, Any] = stored.tags
    return {name: str(value) for name, value in sorted(tags.items())}

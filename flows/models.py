"""`tradehits models`: versions, comparisons, promotion and model cards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from configs.settings import Settings
from flows.champion_change import Changed, publish_change, require_words
from flows.context import exclusive
from flows.model_access import named, open_registry, open_registry_if_any, open_tables
from flows.observing import observed_task
from market.assets import ASSET_TYPES, AssetType
from market.errors import ConfigError, RegistryError
from registry.versions import VersionFacts, list_versions, version_facts
from training.card import CARD_ARTIFACT, write_card
from training.checks import CheckResult
from training.gate import Decision
from training.promotion import judge, promote_judged, promotion_asked, run_checks, settle
from warehouse.champions import PublishedChampion, published_champions


@dataclass(frozen=True)
class Shown:
    """One version with everything known about it.

    Attributes:
        published: The published champion of its class, when it is this version.
        earlier: Champions of its class before today's, newest first.
    """

    facts: VersionFacts
    checks: tuple[CheckResult, ...]
    thresholds: dict[str, object]
    published: PublishedChampion | None
    earlier: tuple[str, ...]


def versions(settings: Settings, asset_type: AssetType | None) -> list[VersionFacts]:
    """Every registered version, of one class or all; none where nothing was trained yet."""
    registry = open_registry_if_any(settings)
    if registry is None:
        return []
    return list_versions(registry, ASSET_TYPES if asset_type is None else (asset_type,))


def show(settings: Settings, asked: str, asset_type: AssetType | None) -> Shown:
    """One version; `asked` as in `named`."""
    registry = open_registry(settings)
    name, model_version = named(registry, asked, asset_type)
    info = registry.info(name, model_version)
    with open_tables(settings).read() as read:
        champion = published_champions(read).get(name)
    return Shown(
        facts=version_facts(registry, name, model_version),
        checks=tuple(run_checks(registry.store, info.run_id)),
        thresholds=info.thresholds.model_dump(mode="json"),
        published=champion if champion is not None and champion.model_version == model_version else None,
        earlier=tuple(reversed(registry.champions(name)[:-1])),
    )


def compare(settings: Settings, challenger: str, champion: str, asset_type: AssetType | None) -> Decision:
    """Two versions of one class on the bars that both predicted out of sample, and what the rules say of it."""
    registry = open_registry(settings)
    name, first = named(registry, challenger, asset_type)
    other, second = named(registry, champion, asset_type)
    if name != other:
        raise ConfigError(f"{first} and {second} are of two classes", remedy="compare versions of one asset class")
    return judge(open_tables(settings), registry, name, first, second)


@observed_task("promote")
def promote(
    settings: Settings, asset_type: AssetType, asked: str | None, *, by: str, why: str, against_the_rules: bool
) -> Changed:
    """Make a version (by default the challenger) the champion, if the rules or its caller say so.

    Raises:
        IntegrityError: The rules say no, or a failed check stands; nothing was changed.
        RegistryError: There is no such version, its files are gone, or the champion moved meanwhile.
    """
    require_words(by, why)
    started = time.monotonic()
    registry = open_registry(settings)
    with exclusive(settings):
        warehouse = open_tables(settings)
        settle(warehouse, settings, registry, asset_type)
        _, model_version = named(registry, asked or "challenger", asset_type)
        champion = registry.champion_version(asset_type)
        if champion == model_version:
            return Changed(asset_type, model_version)
        decision = judge(warehouse, registry, asset_type, model_version, champion)
        judged_at = time.monotonic()
        asked_for = promotion_asked(decision, by=by, why=why, against_the_rules=against_the_rules)
        change = promote_judged(registry, asset_type, asked_for, decision)
        switched = time.monotonic() - judged_at
        settled = publish_change(settings, registry, asset_type, change)
    return Changed(asset_type, model_version, change, settled, decision, switched, time.monotonic() - started)


def card(settings: Settings, asked: str, asset_type: AssetType | None, output: Path | None) -> Path:
    """A version's model card, made when its run has none; copied to `output` when given."""
    registry = open_registry(settings)
    name, model_version = named(registry, asked, asset_type)
    run_id = registry.version(name, model_version).run_id
    try:
        path = registry.store.artifact(run_id, CARD_ARTIFACT)
    except RegistryError:
        write_card(registry, name, model_version)
        path = registry.store.artifact(run_id, CARD_ARTIFACT)
    if output is None:
        return path
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(path.read_bytes())
    return output

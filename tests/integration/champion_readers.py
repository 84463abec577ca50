"""Readers of champions, in threads and processes of their own: every look must show one champion, whole."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

import training.promotion
from market.errors import RegistryError
from registry.bundle import Bundle
from registry.champion import new_change
from registry.models import ModelRegistry
from registry.store import RunStore
from registry.switch import switch_champion
from tests.bundles import rows
from tests.integration.champion_world import SERVICES, World, calibration, settings_at, world_at
from training.promotion import settle
from warehouse.champions import published_champions

_RECORD = """
SELECT model_version, run_id, COUNT(*) AS n, COUNT(DISTINCT CONCAT(symbol, CAST(datetime AS STRING))) AS bars
FROM `ml_models.walk_forward_predictions_v2` WHERE asset_type = 'stocks' GROUP BY model_version, run_id
"""
_THRESHOLDS = "SELECT buy_threshold, high_threshold FROM `tradehits.v_today` WHERE asset_type = 'stocks'"
_LOGGED = """
SELECT version FROM `ml_models.deployment_log` WHERE component = 'MODEL' AND status = 'SUCCESS'
ORDER BY deployed_at DESC LIMIT 1
"""
PAUSE_SECONDS = 0.05
"""Between two looks: readers must not take the whole machine."""


@dataclass
class Looks:
    """What a reader saw."""

    count: int = 0
    versions: set[str] = field(default_factory=set)
    mixed: list[str] = field(default_factory=list)


def look(world: World, looks: Looks, expected: dict[str, bytes]) -> None:
    """One look at the published state and one at the registry; `expected` keeps each version's predictions."""
    with world.warehouse.read() as read:
        champion = published_champions(read)["stocks"]
        record = read.query(_RECORD).to_pylist()
        thresholds = read.query(_THRESHOLDS).to_pylist()[0]
        logged = read.query(_LOGGED).to_pylist()[0]["version"]
    published = world.registry.load_bundle("stocks", champion.model_version)
    facts = {
        "rows of one version": [row["model_version"] for row in record] == [champion.model_version],
        "rows of its run": [row["run_id"] for row in record] == [published.info.run_id],
        "one row a bar": all(row["n"] == row["bars"] == 1200 for row in record),
        "thresholds in force": (thresholds["buy_threshold"], thresholds["high_threshold"])
        == (published.info.thresholds.buy, published.info.thresholds.high),
        "service": champion.feature_service == published.info.feature_service,
        "calibration": champion.calibration == published.info.calibration.method,
        "log": logged == champion.model_version,
        "published bundle": _is_whole(published, expected),
        "bundle of the alias": _is_whole(world.registry.load_bundle("stocks"), expected),
    }
    looks.count += 1
    looks.versions.add(champion.model_version)
    looks.mixed += [f"{name}: {champion.model_version}, {record}, {thresholds}" for name, ok in facts.items() if not ok]


def _is_whole(bundle: Bundle, expected: dict[str, bytes]) -> bool:
    """Whether model, thresholds, service and calibration are all those of the version's own number."""
    info = bundle.info
    version = str(info.model_version)
    seed = int(version.rpartition("/")[2])
    predicted = np.asarray(bundle.predict(rows(20))).tobytes()
    return (
        info.trees == bundle.booster.num_boosted_rounds() == 5 + seed
        and info.thresholds.buy == 0.6 + seed / 1000
        and info.feature_service == SERVICES[seed % len(SERVICES)]
        and info.calibration == calibration(seed)
        and expected.setdefault(version, predicted) == predicted
    )


def read_in_a_process(home: Path, line: Connection) -> None:
    """Look until told to stop, opening everything anew now and then, as another program would."""
    world, looks, expected = world_at(home), Looks(), {}
    look(world, looks, expected)
    line.send("ready")
    while not line.poll(PAUSE_SECONDS):
        if looks.count % 20 == 0:
            world = World(world.settings, world.warehouse, ModelRegistry(RunStore(settings_at(home))))
        look(world, looks, expected)
    line.send(looks)


STEPS = ("before the tag", "before the alias", "after the alias", "before the record", "before the notes", "half noted")


def change_and_die(home: Path, action: str, to: str, step: str) -> None:
    """Move the champion and publish, and be killed with SIGKILL at a step."""
    world = world_at(home)
    _arm(world, step)
    current = world.registry.champion_version("stocks")
    switch_champion(world.registry, "stocks", new_change(action, current, to, by="Ann", why="a kill"))  # type: ignore[arg-type]
    if step == "after the alias":
        _die()
    settle(world.warehouse, world.settings, world.registry, "stocks")
    raise RegistryError(f"not killed at {step}")


def _arm(world: World, step: str) -> None:
    """Put the kill before or behind one call of the real code."""
    client = world.registry.store.client
    if step == "before the tag":
        client.set_registered_model_tag = _die
    elif step == "before the alias":
        client.set_registered_model_alias = _die
    elif step == "before the record":
        training.promotion.publish = _die
    elif step == "before the notes":
        training.promotion.note_change = _die
    elif step == "half noted":
        world.registry.store.set_tags = _die


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)

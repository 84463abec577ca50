"""Champions come and go under readers, and processes are killed on the way: nobody ever sees a mixture."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from market.errors import RegistryError
from registry.champion import new_change
from registry.models import ModelRegistry
from registry.store import RunStore
from registry.switch import switch_champion
from tests.integration.champion_readers import PAUSE_SECONDS, STEPS, Looks, change_and_die, look, read_in_a_process
from tests.integration.champion_world import V1, V2, V3, World, deployments, published, world_at
from training.promotion import settle
from warehouse.engines import open_warehouse

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.integration.champion_readers"])  # libraries take seconds to import


TOUR = (("promote", V3), ("rollback", V2), ("rollback", V1), ("promote", V2))
"""From 2 to 3 and back to 1 by single steps, then to 2 again."""


@pytest.fixture(scope="module")
def prepared(champion_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions; the first was promoted, then the second."""
    home = tmp_path_factory.mktemp("prepared") / "home"
    change(world_at(home, champion_home), "promote", V2)
    return home


@pytest.fixture
def world(prepared: Path, tmp_path: Path) -> World:
    return world_at(tmp_path / "home", prepared)


def change(world: World, action: str, to: str) -> None:
    current = world.registry.champion_version("stocks")
    switch_champion(world.registry, "stocks", new_change(action, current, to, by="Ann", why="a drill"))  # type: ignore[arg-type]
    settle(world.warehouse, world.settings, world.registry, "stocks")


def home_of(world: World) -> Path:
    return world.settings.paths.home.parent


def drill(world: World, changes: int, threads: int) -> list[Looks]:
    """Promote and roll back while threads and a process look; returns what each of them saw."""
    stop = threading.Event()

    def read() -> Looks:
        own = World(world.settings, open_warehouse(world.settings), ModelRegistry(RunStore(world.settings)))
        looks, expected = Looks(), {}
        while not stop.wait(PAUSE_SECONDS) or not looks.count:
            look(own, looks, expected)
        return looks

    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=read_in_a_process, args=(home_of(world), theirs))
    process.start()
    assert ours.poll(120)
    assert ours.recv() == "ready"
    with ThreadPoolExecutor(threads) as pool:
        readers = [pool.submit(read) for _ in range(threads)]
        try:
            for number in range(changes):
                action, to = TOUR[number % 4]
                change(world, action, to)
        finally:
            stop.set()
        seen = [reader.result(120) for reader in readers]
    ours.send("stop")
    assert ours.poll(120)
    seen.append(ours.recv())
    process.join(60)
    return seen


@pytest.mark.slow
def test_four_changes_under_readers_never_show_a_mixture(world: World) -> None:
    seen = drill(world, changes=4, threads=2)
    assert [looks.mixed[:3] for looks in seen] == [[], [], []]
    assert all(looks.count for looks in seen)
    assert len(set.union(*(looks.versions for looks in seen))) > 1
    assert [row["status"] for row in deployments(world)] == ["SUCCESS"] * 6


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_hundred_changes_under_readers_never_show_a_mixture(world: World) -> None:
    seen = drill(world, changes=100, threads=3)
    assert [looks.mixed[:3] for looks in seen] == [[], [], [], []]
    assert all(len(looks.versions) == 3 for looks in seen)
    assert [row["status"] for row in deployments(world)] == ["SUCCESS"] * 102
    assert world.registry.champions("stocks") == (V1, V2)


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The published rows after a promotion to version 3 and after a rollback to version 1 that no one disturbed."""
    found = {}
    for action, to in (("promote", V3), ("rollback", V1)):
        world = world_at(tmp_path_factory.mktemp(action) / "home", prepared)
        change(world, action, to)
        found[action] = published(world)
    return found


QUICK = {"promote": STEPS[:3], "rollback": STEPS[3:]}
"""Both actions go through the same steps: each is killed at half of them here, at the others in the longer study."""


@pytest.mark.parametrize(
    ("action", "to", "step"),
    [
        pytest.param(action, to, step, marks=() if step in QUICK[action] else pytest.mark.slow)
        for action, to in (("promote", V3), ("rollback", V1))
        for step in STEPS
    ],
)
def test_a_change_killed_at_any_step_is_undone_or_finished_by_the_next_command(
    world: World, undisturbed: dict[str, pl.DataFrame], action: str, to: str, step: str
) -> None:
    before = published(world)
    process = PROCESSES.Process(target=change_and_die, args=(home_of(world), action, to, step))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    happened = step not in ("before the tag", "before the alias")
    own = World(world.settings, open_warehouse(world.settings), ModelRegistry(RunStore(world.settings)))
    was_published = step in ("before the notes", "half noted")
    assert_frame_equal(published(own), undisturbed[action] if was_published else before)
    assert own.registry.champion_version("stocks") == (to if happened else V2)
    looks = Looks()
    look(own, looks, {})
    assert looks.mixed == []

    settle(own.warehouse, own.settings, own.registry, "stocks")
    assert_frame_equal(published(own), undisturbed[action] if happened else before)
    expected = {("promote", True): (V1, V2, V3), ("rollback", True): (V1,)}
    assert own.registry.champions("stocks") == expected.get((action, happened), (V1, V2))
    tags = own.registry.version("stocks", to if happened else V2).tags
    assert tags["champion_why"] == ("a kill" if happened else "a drill")
    assert [row["status"] for row in deployments(own)] == ["SUCCESS"] * (3 if happened else 2)
    assert settle(own.warehouse, own.settings, own.registry, "stocks") is None


def test_the_command_that_was_killed_before_its_switch_can_be_given_again(
    world: World, undisturbed: dict[str, pl.DataFrame]
) -> None:
    process = PROCESSES.Process(target=change_and_die, args=(home_of(world), "rollback", V1, "before the alias"))
    process.start()
    process.join(120)
    change(world, "rollback", V1)
    assert_frame_equal(published(world), undisturbed["rollback"])
    assert world.registry.champions("stocks") == (V1,)


def test_of_two_who_saw_the_same_champion_one_moves_it(world: World) -> None:
    asked = [new_change("promote", V2, V3, by=name, why="at once") for name in ("Ann", "Bob")]

    def move(change: object) -> str:
        own = ModelRegistry(RunStore(world.settings))
        try:
            return own.change_champion("stocks", change).by  # type: ignore[arg-type]
        except RegistryError:
            return "refused"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(move, asked))
    assert outcomes in (["Ann", "refused"], ["Bob", "refused"])
    assert world.registry.champions("stocks") == (V1, V2, V3)

"""A class whose checks fail keeps its champion; the other classes are trained, and the flow says what was refused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

import flows.retrain
from flows.scheduled import retrain
from tests.integration.inference_world import World, world_at
from training.audit import require_passed
from training.checks import CheckResult

FAILED = CheckResult(
    "canary", "failed", "matched random walk", "finds something in noise", "look at the newest feature"
)


def fail_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first training's audit has a failure more."""
    more = [FAILED]

    def passed(results: Iterable[CheckResult]) -> None:
        require_passed([*results, *(more.pop() for _ in more[:1])])

    monkeypatch.setattr(flows.retrain, "require_passed", passed)


@pytest.fixture
def world(inference_home: Path, tmp_path: Path) -> World:
    plain = world_at(tmp_path / "home", inference_home)
    settings = plain.settings
    canary = settings.audit.canary.model_copy(update={"test_rows": 400, "days": 200})
    monte_carlo = settings.backtest.monte_carlo.model_copy(update={"paths": 20, "shuffles": 2})
    return world_at(
        tmp_path / "home",
        audit=settings.audit.model_copy(update={"canary": canary}),
        backtest=settings.backtest.model_copy(update={"monte_carlo": monte_carlo}),
    )


@pytest.mark.slow
def test_the_other_classes_are_trained_and_the_refused_one_is_a_problem(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: world.registry.champion_version(name) for name in ("stocks", "crypto")}
    fail_the_first(monkeypatch)
    outcome = retrain(world.context, ["stocks", "crypto"], 30)
    assert outcome.headline.startswith("1 models trained")
    [told] = [one for one in outcome.problems if one.startswith("stocks: not registered")]
    assert "canary of matched random walk: finds something in noise" in told
    assert world.registry.champion_version("stocks") == before["stocks"]

"""The history of champions, whatever happens between the two writes of a change."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import RegistryError
from registry.champion import CHAMPION, CHANGE_TAG, Change, champion_of, champions, move_champion, new_change
from registry.champion import newest_change as newest
from registry.mlflow_api import RegisteredModel

NAME = "walk_forward_stocks"


class Killed(BaseException):
    """The process ends here."""


class Registry:
    """Tags and aliases of one model, as MLflow keeps them; a client that may be killed between two writes."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.alias: str | None = None
        self.kill_before_alias = False

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        assert (name, key) == (NAME, CHANGE_TAG)
        self.tags[key] = value

    def set_registered_model_alias(self, name: str, alias: str, number: str) -> None:
        assert (name, alias) == (NAME, CHAMPION)
        if self.kill_before_alias:
            raise Killed
        self.alias = number

    @property
    def model(self) -> RegisteredModel:
        from mlflow.entities.model_registry import RegisteredModelAlias, RegisteredModelTag

        aliases = [] if self.alias is None else [RegisteredModelAlias(CHAMPION, self.alias)]
        return RegisteredModel(NAME, aliases=aliases, tags=[RegisteredModelTag(*tag) for tag in self.tags.items()])

    def move(self, action: str, number: int, *, kill: bool = False) -> None:
        self.kill_before_alias = kill
        change = new_change(action, champion_of(self.model), f"{NAME}/{number}", by="me", why="a test")
        with contextlib.suppress(Killed):
            move_champion(self, self.model, change)

    @property
    def history(self) -> list[int]:
        return [int(name.rpartition("/")[2]) for name in champions(self.model)]


def test_promotions_pile_up_and_a_rollback_takes_the_newest_away() -> None:
    registry = Registry()
    assert registry.history == []
    for number in (1, 2, 3, 2):
        registry.move("promote", number)
    assert registry.history == [1, 2, 3, 2]
    registry.move("rollback", 3)
    assert registry.history == [1, 2, 3]
    registry.move("rollback", 1)
    assert registry.history == [1]


def test_a_rollback_to_a_version_that_reigned_twice_goes_to_its_newest_reign() -> None:
    registry = Registry()
    for number in (1, 2, 1, 3):
        registry.move("promote", number)
    registry.move("rollback", 1)
    assert registry.history == [1, 2, 1]


def test_a_rollback_to_a_version_that_never_reigned_names_those_that_did() -> None:
    registry = Registry()
    for number in (1, 2, 3):
        registry.move("promote", number)
    with pytest.raises(RegistryError, match="walk_forward_stocks/9 was no champion before walk_forward_stocks/3") as e:
        registry.move("rollback", 9)
    assert "walk_forward_stocks/2, walk_forward_stocks/1" in e.value.remedy
    assert registry.history == [1, 2, 3]


def test_the_champion_is_moved_only_from_where_the_caller_saw_it() -> None:
    registry = Registry()
    registry.move("promote", 1)
    seen = champion_of(registry.model)
    registry.move("promote", 2)
    with pytest.raises(RegistryError, match="the champion is walk_forward_stocks/2 by now, not walk_forward_stocks/1"):
        move_champion(registry, registry.model, new_change("promote", seen, f"{NAME}/3", by="me", why="late"))
    assert registry.history == [1, 2]


def test_an_alias_moved_by_other_means_is_a_champion_without_a_change() -> None:
    registry = Registry()
    registry.move("promote", 1)
    registry.alias = "7"
    assert registry.history == [1, 7]
    assert newest(registry.model) is None
    registry.move("promote", 8)
    assert registry.history == [1, 7, 8]


def test_a_change_is_read_as_it_was_written() -> None:
    change = Change(
        "c1",
        "rollback",
        "a/2",
        "a/1",
        by="Zoë",
        why='because "why"\nnot',
        at=datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
        before=("a/1", "a/2"),
        after=("a/1",),
        against_the_rules=True,
    )
    assert Change.from_json(change.to_json()) == change


STEPS = st.lists(
    st.tuples(st.sampled_from(["promote", "rollback"]), st.integers(1, 4), st.booleans()), min_size=1, max_size=25
)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_a_killed_change_never_happened_and_every_other_one_is_a_stack(steps: list[tuple[str, int, bool]]) -> None:
    registry, stack = Registry(), []
    for action, number, kill in steps:
        if stack and stack[-1] == number:
            continue
        if action == "rollback":
            if number not in stack[:-1]:
                continue
            while not kill and stack[-1] != number:
                stack.pop()
        elif not kill:
            stack.append(number)
        registry.move(action, number, kill=kill)
        assert registry.history == stack

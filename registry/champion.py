"""Which version is the champion, who made it so, and which versions were champion before.

The alias `champion` of a registered model is the one switch: whoever loads a model follows it to one immutable bundle,
so that model, feature service, thresholds and calibration change together. Beside it stands a tag with the newest
`Change`, written before the alias moves. Killed between the two, the tag names a version that the alias does not: the
change did not happen, and the tag still holds what was true before.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from configs.settings import Settings
from market.assets import AssetType
from market.errors import RegistryError
from registry.mlflow_api import MlflowClient, RegisteredModel
from registry.turns import turn

CHAMPION = "champion"
CHANGE_TAG = "champion_change"
LOCK_TIMEOUT_SECONDS = 60
KEPT_CHAMPIONS = 200
"""Length of the history; the registry's tags hold about 100,000 characters."""

Action = Literal["promote", "rollback", "repair"]


@dataclass(frozen=True)
class Change:
    """One move of an asset class's champion.

    Attributes:
        change_id: Also `deployment_id` in the deployment log.
        action: `repair` stands for an alias that was moved by other means, such as MLflow's UI.
        from_version: The champion before; None for the first one.
        to_version: The champion after.
        by: Who asked for it.
        why: Their reason.
        at: When, UTC.
        before: Champions before the change, oldest first, `from_version` last.
        after: Champions after it, `to_version` last; a rollback shortens the list.
        against_the_rules: Whether the rules of promotion said no.
    """

    change_id: str
    action: Action
    from_version: str | None
    to_version: str
    by: str
    why: str
    at: datetime
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    against_the_rules: bool = False

    def to_json(self) -> str:
        """As the registry keeps it."""
        return json.dumps(asdict(self) | {"at": self.at.isoformat()}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Change:
        """What `to_json` wrote."""
        values = json.loads(text)
        lists = {name: tuple(values[name]) for name in ("before", "after")}
        return cls(**{**values, **lists, "at": datetime.fromisoformat(values["at"])})


def new_change(
    action: Action, from_version: str | None, to_version: str, *, by: str, why: str, against_the_rules: bool = False
) -> Change:
    """A change as it is asked for; `move_champion` adds the history."""
    at = datetime.now(UTC)
    return Change(uuid.uuid4().hex, action, from_version, to_version, by, why, at, against_the_rules=against_the_rules)


def champion_of(model: RegisteredModel | None) -> str | None:
    """`model_version` the alias points at."""
    number = None if model is None else model.aliases.get(CHAMPION)
    return None if model is None or number is None else f"{model.name}/{number}"


def newest_change(model: RegisteredModel | None) -> Change | None:
    """The change that made today's champion; None before the first, or when the alias was moved by other means."""
    change = _written_change(model)
    return change if change is not None and change.to_version == champion_of(model) else None


def champions(model: RegisteredModel | None) -> tuple[str, ...]:
    """Champions up to today's, oldest first; after a rollback those that were rolled back are gone from it."""
    current, change = champion_of(model), _written_change(model)
    if current is None:
        return ()
    if change is None:
        return (current,)
    if change.to_version == current:
        return change.after
    before = change.before  # the change did not happen: its alias was never moved, or has been moved since
    return before if before and before[-1] == current else (*change.after, current)


def move_champion(client: MlflowClient, model: RegisteredModel, change: Change) -> Change:
    """Write the change and move the alias; the caller holds `champion_lock` and read `model` inside it.

    Returns:
        The change with its history.

    Raises:
        RegistryError: The champion is not `change.from_version` any more.
    """
    current, history = champion_of(model), champions(model)
    if current != change.from_version:
        raise RegistryError(
            f"the champion is {current or 'none'} by now, not {change.from_version or 'none'}",
            remedy="look at `tradehits models list` and decide again",
        )
    if change.action == "rollback":
        after = history[: _last_position(history, change.to_version) + 1]
    else:
        after = (*history, change.to_version)
    complete = replace(change, before=history[-KEPT_CHAMPIONS:], after=after[-KEPT_CHAMPIONS:])
    client.set_registered_model_tag(model.name, CHANGE_TAG, complete.to_json())
    client.set_registered_model_alias(model.name, CHAMPION, change.to_version.rpartition("/")[2])
    return complete


@contextmanager
def champion_lock(settings: Settings, asset_type: AssetType) -> Iterator[None]:
    """Hold the right to move a class's champion; it is held for milliseconds.

    Raises:
        RegistryError: Another process held it for longer than a minute.
    """
    doing = f"moving the champion of {asset_type}"
    with turn(settings, f"champion-{asset_type}", doing=doing, timeout_seconds=LOCK_TIMEOUT_SECONDS):
        yield


def _written_change(model: RegisteredModel | None) -> Change | None:
    text = None if model is None else model.tags.get(CHANGE_TAG)
    return None if text is None else Change.from_json(text)


def _last_position(history: tuple[str, ...], model_version: str) -> int:
    """Position of the newest reign of a version before today's."""
    found = [position for position, name in enumerate(history[:-1]) if name == model_version]
    if not found:
        earlier = ", ".join(dict.fromkeys(reversed(history[:-1]))) or "none"
        raise RegistryError(
            f"{model_version} was no champion before {history[-1] if history else 'today'}",
            remedy=f"earlier champions, newest first: {earlier}; another version can be promoted",
        )
    return found[-1]

"""What an event says of a step: its asset class, read from the name, and its counts, read from the result."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final

from market.assets import ASSET_TYPES

_WORDS: Final = re.compile(r"[a-z]+", re.IGNORECASE)
_DAY: Final = re.compile(r"\s(\d{4}-\d{2}-\d{2})$")
_TEXTS: Final = {"model_version": "model_version", "run_id": "mlflow_run_id", "status": "outcome", "source": "source"}
"""Attributes of results that are worth a field of their own, and what it is called."""


@dataclass
class Facts:
    """What a line says beside name, outcome and time.

    Attributes:
        counts: By name.
        texts: By field of the line.
        asset_type: None where it is about no class, or several.
    """

    counts: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    asset_type: str | None = None


@dataclass(frozen=True)
class Named:
    """A step's name without its asset class and day, so that the same step is called the same every day."""

    step: str
    asset_type: str | None = None
    date: str | None = None


def named(name: str) -> Named:
    """What a name says: `stocks: walk-forward`, `store-stocks`, `store stocks`, `etf: monitor 2026-11-20`."""
    day = _DAY.search(name)
    rest = _DAY.sub("", name)
    found = [word for word in _WORDS.findall(rest) if word in ASSET_TYPES]
    asset_type = found[0] if len(found) == 1 else None
    step = re.sub(rf"^{asset_type}:\s*|[\s-]{asset_type}\b", "", rest, count=1) if asset_type else rest
    return Named(step.strip() or name, asset_type, day[1] if day else None)


def facts_of(result: object) -> Facts:
    """Counts and names in a result.

    A number is counted as `rows`, a sequence by its length as `items`; of a dataclass its whole numbers, the lengths of
    its sequences, and what its dataclass in `report` or `written` says; of several dataclasses of one kind the sums.
    Where things say how they ended (`status`), they are counted by that too.
    """
    if isinstance(result, bool) or result is None:
        return Facts()
    if isinstance(result, int):
        return Facts({"rows": result})
    if is_dataclass(result) and not isinstance(result, type):
        return _of_dataclass(result)
    if isinstance(result, Sequence) and not isinstance(result, str | bytes):
        return _of_several(result)
    return Facts()


def _of_dataclass(result: Any) -> Facts:
    facts = Facts(asset_type=_asset_type(result))
    for one in fields(result):
        value = getattr(result, one.name)
        if isinstance(value, bool):
            continue
        if isinstance(value, int):
            facts.counts[one.name] = value
        elif one.name in _TEXTS and isinstance(value, str):
            facts.texts[_TEXTS[one.name]] = value
        elif isinstance(value, tuple | list) and not one.name.endswith("_range"):
            facts.counts.update({one.name: len(value), **_by_status(value)})
        elif one.name in ("signals", "confidence") and isinstance(value, Mapping):
            facts.counts.update({str(key).lower(): number for key, number in value.items()})
        elif one.name in ("report", "written", "settled") and is_dataclass(value):
            inner = _of_dataclass(value)
            facts.counts.update(inner.counts)
            facts.texts.update(inner.texts)
            facts.asset_type = facts.asset_type or inner.asset_type
    return facts


def _of_several(results: Sequence[Any]) -> Facts:
    facts = Facts({"items": len(results), **_by_status(results)})
    if len({type(one) for one in results}) == 1 and is_dataclass(results[0]):
        for one in results:
            for name, number in _of_dataclass(one).counts.items():
                facts.counts[name] = facts.counts.get(name, 0) + number
    return facts


def _by_status(values: Sequence[Any]) -> dict[str, int]:
    """How many of each, where each says how it ended: checks, deployed components."""
    said = [name.lower() for one in values if isinstance(name := getattr(one, "status", None), str)]
    return {name: said.count(name) for name in sorted(set(said))}


def _asset_type(result: Any) -> str | None:
    value = getattr(result, "asset_type", None)
    return value if isinstance(value, str) and value in ASSET_TYPES else None

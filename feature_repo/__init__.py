"""Feast: entities, feature views, services, and the point-in-time reads that training and inference share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typeguard


def _unchanged(target: Any = None, **_: object) -> Any:
    """What stands in for `typeguard.typechecked`: a decorator that leaves what it decorates as it is."""

    def decorator(decorated: Any) -> Any:
        return decorated

    chosen: Callable[[Any], Any] = decorator
    return chosen if target is None else target


# Feast decorates its definitions with typeguard, which compiles a whole module again for every decorated class: two
# thirds of what importing Feast costs, paid at every start. What it would check are our own definitions, which the type
# checker and the tests see.
typeguard.typechecked = _unchanged

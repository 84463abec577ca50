"""Rules by node class, and the templates that write their DuckDB side."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

from sqlglot import exp, parse_one

from market.errors import UnsupportedSqlError
from warehouse.dialect.macros import ENGINE_SCHEMA

Node: TypeAlias = exp.Expr
Rule: TypeAlias = Callable[[Any], exp.Expr]

RULES: dict[type[Node], Rule] = {}
_PLACE = "place_of_"


def rule(*classes: type[Node]) -> Callable[[Rule], Rule]:
    """Register a function that rewrites nodes of these classes; their children are rewritten already."""

    def register(function: Rule) -> Rule:
        for cls in classes:
            RULES[cls] = function
        return function

    return register


def sql(template: str, **nodes: Node) -> Node:
    """A DuckDB expression; `:a` (one letter) stands for a node, `g.` for the macro schema.

    A node is copied wherever it stands, so a template names each node once and leaves repetition to a macro.
    """
    tree: Node = _parsed(template).copy()
    for place in [column for column in tree.find_all(exp.Column) if column.name.startswith(_PLACE)]:
        place.replace(nodes[place.name.removeprefix(_PLACE)].copy())
    return tree


@lru_cache(maxsize=512)
def _parsed(template: str) -> Node:
    text = re.sub(r"(?<![:\w]):([a-z])\b", rf"{_PLACE}\1", re.sub(r"\bg\.", f"{ENGINE_SCHEMA}.", template))
    tree: Node = parse_one(text, dialect="duckdb")
    return tree


def text_of(node: Node | None, what: str) -> str:
    """The value of a string literal; anything else is refused because the translation depends on it."""
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    raise UnsupportedSqlError(f"{what} must be a literal here", remedy="write it into the statement")


def whole_of(node: Node | None, what: str) -> int:
    """The value of a whole-number literal."""
    if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit():
        return int(node.this)
    raise UnsupportedSqlError(f"{what} must be a whole-number literal here", remedy="write it into the statement")


def unsupported(what: str, remedy: str = "") -> UnsupportedSqlError:
    """The error for GoogleSQL that this engine would answer differently, or not at all."""
    return UnsupportedSqlError(
        f"{what} is not supported on the embedded engine", remedy=remedy or "rewrite the statement"
    )


def shown(node: Node) -> str:
    """A node as GoogleSQL, short enough for a message."""
    text: str = node.sql(dialect="bigquery")
    return text if len(text) <= 80 else f"{text[:77]}..."

"""Bound parameters with BigQuery's types."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from google.cloud import bigquery

from market.errors import QueryError

Bound: TypeAlias = bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter

# bool before int and datetime before date: each is a kind of the other.
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (str, "STRING"),
    (bytes, "BYTES"),
    (datetime, "TIMESTAMP"),
    (date, "DATE"),
    (Decimal, "NUMERIC"),
)


def bound(parameters: Mapping[str, Any], types: Mapping[str, str] | None = None) -> list[Bound]:
    """Typed parameters; NULL and an empty list are STRING where `types` does not say otherwise.

    Args:
        parameters: By name. Lists, tuples and sets are arrays; times must be zone-aware; numpy scalars are unwrapped.
        types: GoogleSQL type by parameter name, for values that do not show theirs.

    Raises:
        QueryError: For a time without zone or a value of another kind.
    """
    return [_bound(name, value, (types or {}).get(name)) for name, value in parameters.items()]


def _bound(name: str, value: Any, kind: str | None) -> Bound:
    if isinstance(value, list | tuple | set | frozenset):
        values = [_plain(name, item) for item in value]
        kinds = {_type(name, item) for item in values if item is not None} or {kind or "STRING"}
        if kinds == {"INT64", "FLOAT64"}:
            kinds = {"FLOAT64"}
        if len(kinds) > 1:
            raise QueryError(f"parameter @{name} mixes {', '.join(sorted(kinds))}", remedy="give values of one type")
        return bigquery.ArrayQueryParameter(name, kinds.pop(), values)
    plain = _plain(name, value)
    return bigquery.ScalarQueryParameter(name, kind or ("STRING" if plain is None else _type(name, plain)), plain)


def _plain(name: str, value: Any) -> Any:
    if hasattr(value, "item") and hasattr(value, "dtype"):
        value = value.item()
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise QueryError(f"parameter @{name} is a time without zone: {value}", remedy="pass a UTC-aware datetime")
        return value.astimezone(UTC)
    return value


def _type(name: str, value: Any) -> str:
    for python, google in _TYPES:
        if isinstance(value, python):
            return google
    raise QueryError(
        f"parameter @{name} is a {type(value).__name__}, which BigQuery does not take",
        remedy="pass text, a number, a boolean, a date, a UTC-aware datetime or a list of one of them",
    )

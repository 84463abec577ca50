"""What a golden probe is: one statement, and the answer that BigQuery documents for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

NAN, INFINITY = float("nan"), float("inf")


@dataclass(frozen=True)
class Probe:
    """One SELECT and BigQuery's answer.

    Attributes:
        name: What it shows, as a sentence.
        source: The section of BigQuery's GoogleSQL reference that states the answer.
        sql: One SELECT of literals, parameters, or the probe table.
        rows: The rows in order, values as Arrow gives them; a NaN stands for NaN.
        refused: BigQuery itself refuses the statement: a pattern of its message and of the embedded engine's.
        unsupported: BigQuery answers with `rows`, and the embedded engine refuses: what its message must name.
        refused_everywhere: What is `unsupported` is refused before any engine sees it.
        parameters: Bound parameters.
        needs_table: It reads `tradehits.probe_bars` or its dataset's metadata.
        topic: Set by the list that holds it.
    """

    name: str
    source: str
    sql: str
    rows: tuple[tuple[Any, ...], ...] = ()
    refused: str = ""
    unsupported: str = ""
    refused_everywhere: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    needs_table: bool = False
    topic: str = ""


def utc(*parts: int) -> datetime:
    """An instant in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def one(name: str, source: str, columns: str, *values: Any, **parameters: Any) -> Probe:
    """A probe of one row: the text after SELECT, and the values."""
    return Probe(name, source, f"SELECT {columns}", (values,), parameters=parameters)


def many(name: str, source: str, sql: str, *rows: tuple[Any, ...], **parameters: Any) -> Probe:
    """A probe of a whole statement and its rows."""
    return Probe(name, source, sql, rows, parameters=parameters)


def refused(name: str, source: str, columns: str, message: str) -> Probe:
    """A probe that BigQuery refuses: the text after SELECT, and a pattern of the message."""
    return Probe(name, source, f"SELECT {columns}", refused=message)

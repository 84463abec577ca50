"""How a warehouse of an older schema version becomes one of today's, step by step.

The SQL files say what tables are now. What they cannot say is where today's content comes from: a column that has
another name, a table that went away, first values of a new column. That is a `Step` here, with a version of its own.
Steps are applied in order, once, in the transaction that brings the schema up. What needs no step: new tables, new
nullable columns without values, and views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

BASELINE = 1
"""Version of a schema that no step has changed yet."""


@dataclass(frozen=True)
class RenameTable:
    """`dataset.table` gets another name; its rows stay."""

    old: str
    new: str


@dataclass(frozen=True)
class RenameColumn:
    """A column gets another name; its values stay."""

    table: str
    old: str
    new: str


@dataclass(frozen=True)
class DropTable:
    """A table goes, with its rows."""

    table: str


@dataclass(frozen=True)
class DropView:
    """A view goes."""

    view: str


@dataclass(frozen=True)
class DropColumn:
    """A column goes, with its values."""

    table: str
    column: str


@dataclass(frozen=True)
class FillColumn:
    """A column is added where it is missing, and stored rows get values; the table is written anew.

    Attributes:
        table: A table of today's schema.
        column: One of its columns that is no key.
        select: A GoogleSQL SELECT over today's tables that gives the table's key columns and the column; rows that it
            does not give keep what they have.
    """

    table: str
    column: str
    select: str


Action: TypeAlias = RenameTable | RenameColumn | DropTable | DropView | DropColumn | FillColumn


@dataclass(frozen=True)
class Step:
    """What leads from the version before to `version`; actions on tables that a file does not have do nothing."""

    version: int
    why: str
    actions: tuple[Action, ...]


STEPS: tuple[Step, ...] = (
    Step(
        2,
        "A re-adjusted scale belongs to the interval whose bars showed it",
        (
            FillColumn(
                "tradehits.symbol_events",
                "interval",
                """
SELECT e.asset_type, e.symbol, e.event, e.effective_at, MIN(v.`interval`) AS `interval`
FROM `tradehits.symbol_events` AS e
JOIN `tradehits.bar_versions` AS v
  ON v.asset_type = e.asset_type AND v.symbol = e.symbol AND v.ingested_at = e.effective_at
WHERE e.event = 'READJUSTED' AND NOT v.is_backfill
GROUP BY e.asset_type, e.symbol, e.event, e.effective_at
""",
            ),
        ),
    ),
)


def newest_version(steps: Sequence[Step]) -> int:
    """The version that a schema has after every step."""
    return steps[-1].version if steps else BASELINE


def steps_after(version: int, steps: Sequence[Step]) -> list[Step]:
    """The steps that a file of this version lacks, in order."""
    return [step for step in sorted(steps, key=lambda step: step.version) if step.version > version]

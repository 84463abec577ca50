"""What to do about tables that were there before the platform: a pure comparison with the contract's.

A table without the platform's label is somebody else's and is never altered. Where one stands under a name that the
platform needs, it is adopted (it fits, and you say so) or shadowed (the platform's tables of that dataset stand in
another one). Where the platform needs nothing, it is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from warehouse.examination import effect_of_copies

Action = Literal["create", "keep", "adopt", "shadow", "leave"]

SHADOW_SUFFIX = "_tradehits"


@dataclass(frozen=True)
class FoundTable:
    """One table or view under a dataset that the plan looks at.

    Attributes:
        path: `project.dataset.table`.
        name: The contract's `dataset.table` that it stands in for; None when the contract has no such name.
        kind: As BigQuery says: TABLE, VIEW, MATERIALIZED_VIEW, EXTERNAL, SNAPSHOT.
        is_ours: Whether it carries the platform's label.
        is_source: Whether the configuration reads bars from it.
        is_beside: Whether the platform's own tables of this dataset are configured to stand in another one.
        missing: Columns of the contract that it lacks.
        extra: Columns that the contract does not have.
        other_types: Columns of another type or NOT NULL: (name, here, in the contract).
        partition: How it is partitioned, as text; empty: not at all.
        wanted_partition: How the contract's is.
        is_clustered_alike: Whether clustering is the contract's.
        rows: Its rows.
        keys: Its distinct keys; None where they were not counted.
        makes_labels: Whether labels are made from its neighbouring rows.
        problem: Why bars cannot be read from it as configured; empty when they can.
    """

    path: str
    name: str | None
    kind: str
    is_ours: bool
    is_source: bool = False
    is_beside: bool = False
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    other_types: tuple[tuple[str, str, str], ...] = ()
    partition: str = ""
    wanted_partition: str = ""
    is_clustered_alike: bool = True
    rows: int = 0
    keys: int | None = None
    makes_labels: bool = False
    problem: str = ""

    @property
    def dataset(self) -> str:
        """`project.dataset`."""
        return self.path.rsplit(".", 1)[0]


@dataclass(frozen=True)
class Proposal:
    """What is proposed for one table.

    Attributes:
        name: The contract's name, or the path of a table that it does not know.
        path: What was found; for `create` where it will stand.
        action: `create` (nothing is there), `keep` (the platform's own), `adopt`, `shadow` or `leave`.
        reasons: Why, each a sentence without its end.
    """

    name: str
    path: str
    action: Action
    reasons: tuple[str, ...]

    @property
    def logical(self) -> str:
        """The contract's dataset."""
        return self.name.split(".")[0]


def propose(found: Sequence[FoundTable], absent: Sequence[tuple[str, str]]) -> list[Proposal]:
    """A proposal for every table.

    Args:
        found: What is there.
        absent: (contract's name, path) of what is not there yet.

    Returns:
        By path. The platform's tables of one dataset stand together, so one table that must be shadowed takes the
        others of its dataset along.
    """
    proposals = [_alone(table) for table in found]
    shadowed = {table.dataset for table, one in zip(found, proposals, strict=True) if one.action == "shadow"}
    together = [
        _taken_along(one) if one.action == "adopt" and table.dataset in shadowed else one
        for table, one in zip(found, proposals, strict=True)
    ]
    together += [Proposal(name, path, "create", ("nothing stands in its way",)) for name, path in absent]
    return sorted(together, key=lambda one: (one.path.rsplit(".", 1)[0], one.path))


def shadow_dataset(dataset: str) -> str:
    """Where the platform's tables stand beside a dataset of somebody else."""
    return f"{dataset}{SHADOW_SUFFIX}"


def _alone(table: FoundTable) -> Proposal:
    name = table.name or table.path
    if table.is_ours:
        return Proposal(
            name, table.path, "keep", ("the platform made or adopted it: it carries the label app:tradehits",)
        )
    if table.is_source:
        return Proposal(name, table.path, "leave", ("your bars: read where they are, never written", *_facts(table)))
    if table.is_beside:
        return Proposal(name, table.path, "leave", ("the platform's own stands in another dataset, as configured",))
    if table.name is None:
        return Proposal(name, table.path, "leave", ("the platform has no table of this name",))
    obstacles = _obstacles(table)
    if obstacles:
        return Proposal(name, table.path, "shadow", (*obstacles, *_facts(table)))
    return Proposal(name, table.path, "adopt", ("its columns, types and partitions are the contract's", *_facts(table)))


def _taken_along(one: Proposal) -> Proposal:
    reason = (
        "it fits, but others of its dataset must be shadowed, and the platform's tables of a dataset stand together"
    )
    return Proposal(one.name, one.path, "shadow", (reason,))


def _obstacles(table: FoundTable) -> tuple[str, ...]:
    """Why a table cannot become the platform's own as it is."""
    if table.kind != "TABLE":
        return (f"it is a {table.kind.lower().replace('_', ' ')} of yours",)
    told = []
    if table.missing:
        told.append(f"missing {_listed(table.missing)}")
    if table.other_types:
        told.append(
            "other types: "
            + _listed(tuple(f"{name} is {here}, not {there}" for name, here, there in table.other_types))
        )
    if table.extra:
        told.append(f"unknown to the contract: {_listed(table.extra)}")
    if table.keys is not None and table.rows > table.keys:
        effect = f"; {effect_of_copies(table.rows, table.keys)}" if table.makes_labels else ""
        told.append(f"{table.rows - table.keys:,} of {table.rows:,} rows repeat a key{effect}")
    if table.partition != table.wanted_partition:
        told.append(_partitions(table))
    return tuple(told)


def _facts(table: FoundTable) -> tuple[str, ...]:
    """What is worth knowing and hinders nothing."""
    told = [f"it cannot be read as configured: {table.problem}"] if table.problem else []
    if table.is_source and table.keys is not None and table.rows > table.keys:
        told.append(
            f"{table.rows - table.keys:,} of {table.rows:,} rows repeat a bar and are left out when it is read; "
            f"{effect_of_copies(table.rows, table.keys)}"
        )
    if table.is_source and table.partition != table.wanted_partition:
        told.append(_partitions(table))
    if not table.is_clustered_alike:
        told.append("clustered otherwise, which costs some reading")
    return tuple(told)


def _partitions(table: FoundTable) -> str:
    here = f"partitioned by {table.partition}" if table.partition else "not partitioned, so every query reads all of it"
    return f"{here} (the contract: {table.wanted_partition or 'none'}); BigQuery cannot change that in place"


def _listed(names: tuple[str, ...], shown: int = 8) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more

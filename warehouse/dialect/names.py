"""Names: `project.dataset.table` of a statement → the table of the embedded engine."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from market.errors import QueryError, UnsupportedSqlError

if TYPE_CHECKING:
    from configs.settings import WarehouseSettings
    from warehouse.schema import SchemaFolder


@dataclass(frozen=True)
class TableNames:
    """What a statement may name.

    Attributes:
        project: Shown as `table_catalog`; any project is accepted in a statement.
        datasets: Pairs (the contract's dataset, the name used here).
        tables: Every `dataset.name` of the contract, tables and views.
        schema: Where column types are looked up; not part of the identity.
    """

    project: str
    datasets: tuple[tuple[str, str], ...]
    tables: frozenset[str]
    schema: SchemaFolder | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, settings: WarehouseSettings, schema: SchemaFolder) -> TableNames:
        """The names of a configuration and a schema folder; a dataset without a setting keeps its own name."""
        given = dict(settings.datasets)
        found = sorted({name.split(".")[0] for name in schema.names} | set(given))
        return cls(
            settings.project, tuple((dataset, given.get(dataset, dataset)) for dataset in found), schema.names, schema
        )

    def local_dataset(self, dataset: str) -> str:
        """The configured name of a dataset, given in either form."""
        known = dict(self.datasets)
        if dataset in known:
            return known[dataset]
        if dataset in known.values():
            return dataset
        raise QueryError(f"there is no dataset {dataset}", remedy=_near(dataset, [*known, *known.values()]))

    def local_table(self, name: str) -> tuple[str, str]:
        """(configured dataset, table) of the contract's `dataset.table`."""
        dataset, table = name.split(".", 1)
        return self.local_dataset(dataset), table

    def resolve(self, dataset: str, table: str) -> tuple[str, str]:
        """(configured dataset, table) as a statement names them.

        Raises:
            QueryError: For an unknown dataset or table; near names are given.
            UnsupportedSqlError: For a wildcard table.
        """
        if table.endswith("*"):
            raise UnsupportedSqlError(f"wildcard table {dataset}.{table} is not supported", remedy="name each table")
        local = self.local_dataset(dataset)
        logical = next(key for key, value in self.datasets if value == local)
        if f"{logical}.{table}" not in self.tables:
            names = [name.split(".", 1)[1] for name in self.tables if name.startswith(f"{logical}.")]
            raise QueryError(f"there is no table {table} in dataset {dataset}", remedy=_near(table, names))
        return local, table

    def column_types(self, dataset: str, table: str) -> dict[str, str]:
        """Column → GoogleSQL type of a table; nothing for a view or an unknown name."""
        back = {local: logical for logical, local in self.datasets}
        name = f"{dataset if dataset in dict(self.datasets) else back.get(dataset, dataset)}.{table}"
        if self.schema is None or name not in self.schema.tables:
            return {}
        return {column.name.lower(): column.type for column in self.schema.table(name).columns}


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else f"one of {', '.join(sorted(set(known))) or 'nothing yet'}"

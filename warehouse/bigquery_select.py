"""Rows of a SELECT, checked where they are: the rules and words of `warehouse.staging`, as GoogleSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from market.errors import DuplicateKeyError, SchemaError
from warehouse.bigquery_client import BigQuery
from warehouse.bigquery_parameters import Bound
from warehouse.bigquery_waiting import Waiting, ranged_columns, scope
from warehouse.schema import Table
from warehouse.staging import key_text
from warehouse.warehouse import Write


class SelectChecks:
    """The stager's rules for rows that BigQuery holds."""

    def __init__(
        self, bigquery_: BigQuery, write: Write, table: Table, path: str, expressions: tuple[str, ...]
    ) -> None:
        self._bigquery = bigquery_
        self._write = write
        self._table = table
        self._path = path
        self._expressions = expressions
        self._key = ", ".join(f"`{name}`" for name in table.key)

    def run(self) -> Waiting:
        """One pass over the staged rows, and one over their keys."""
        conditions = self._conditions()
        ranged = ranged_columns(self._table)
        picks = ["COUNT(*) AS found_rows", *(f"COUNTIF({sql}) AS bad_{i}" for i, (_, _, sql) in enumerate(conditions))]
        picks += [f"MIN(`{name}`) AS low_{i}, MAX(`{name}`) AS high_{i}" for i, name in enumerate(ranged)]
        [found] = self._rows(f"SELECT {', '.join(picks)} FROM {self._path}")
        for i, (column, what, sql) in enumerate(conditions):
            if found[f"bad_{i}"]:
                raise SchemaError(
                    f"{self._table.name}: column '{column}' holds {what} ({self._key_where(sql)})",
                    remedy="unknown is NULL in a nullable column; mend or drop the row",
                )
        self._refuse_duplicates()
        self._refuse_outside_scope()
        bounds = {name: (found[f"low_{i}"], found[f"high_{i}"]) for i, name in enumerate(ranged)}
        path = self._path if found["found_rows"] else ""
        return Waiting(self._write, self._table, path, found["found_rows"], self._expressions, bounds)

    def _conditions(self) -> list[tuple[str, str, str]]:
        """(column, what is wrong, condition) of every rule that one row can break."""
        conditions = []
        for column, sql in zip(self._table.columns, self._expressions, strict=True):
            source = f"`{column.name}`"
            if not column.nullable:
                conditions.append((column.name, "NULL, which the column does not take", f"{sql} IS NULL"))
            if column.type == "FLOAT64" and not sql.startswith("CAST(NULL"):
                bad = f"IS_NAN({sql}) OR IS_INF({sql})"
                conditions.append((column.name, "NaN or infinity, which no table takes", bad))
            if column.type == "INT64" and sql.startswith(f"CAST({source}"):
                conditions.append((column.name, "a fraction, and is INT64", f"{source} != TRUNC({source})"))
        return conditions

    def _refuse_duplicates(self) -> None:
        found = self._rows(
            f"SELECT {self._key}, COUNT(*) AS copies FROM {self._path} GROUP BY {self._key} HAVING COUNT(*) > 1 LIMIT 1"
        )
        if found:
            *key, copies = found[0].values()
            raise DuplicateKeyError(
                f"{self._table.name}: {copies} of the rows to write have one key ({key_text(self._table, tuple(key))})",
                remedy="deduplicate the rows before writing them",
            )

    def _refuse_outside_scope(self) -> None:
        if not self._write.where:
            return
        condition, parameters = scope(self._table, self._write, "scope")
        sql = f"SELECT {self._key} FROM {self._path} WHERE NOT ({condition}) LIMIT 1"
        found = self._rows(sql, parameters)
        if found:
            raise SchemaError(
                f"{self._table.name}: a row to write lies outside the replaced scope {dict(self._write.where)} "
                f"({key_text(self._table, tuple(found[0].values()))})",
                remedy="write only rows of the scope, or widen it",
            )

    def _key_where(self, condition: str) -> str:
        found = self._rows(f"SELECT {self._key} FROM {self._path} WHERE {condition} LIMIT 1")
        return key_text(self._table, tuple(found[0].values()) if found else ())

    def _rows(self, sql: str, parameters: Sequence[Bound] = ()) -> list[dict[str, Any]]:
        found = self._bigquery.query(sql, parameters, doing=f"check rows of {self._table.name}")
        return [dict(row.items()) for row in found]

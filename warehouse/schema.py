"""The tables and views of the warehouse, read from GoogleSQL files.

A table file holds a grain comment and one `CREATE TABLE`; a view file a comment and a bare SELECT. The file's name is
the object's: `ml_models.walk_forward_features_v2.sql`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from market.errors import SchemaError

SQL_FOLDER = Path(__file__).resolve().parent / "sql"
ENGINE_TABLE = "tradehits.table_writes"
"""Written by the engine itself in every transaction, so every schema has it."""


@dataclass(frozen=True)
class Column:
    """One column: its GoogleSQL type as written (`FLOAT64`), and whether NULL may stand in it."""

    name: str
    type: str
    nullable: bool
    description: str = ""


@dataclass(frozen=True)
class Table:
    """One table; `key` is unique by the write path, and its columns are never NULL."""

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: str
    cluster_by: tuple[str, ...]

    def column(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class SchemaFolder:
    """The SQL files of a warehouse; cheap to list, parsed file by file when asked.

    Attributes:
        tables: `dataset.table` → file.
        views: `dataset.view` → file.
    """

    folder: Path
    tables: dict[str, Path]
    views: dict[str, Path]

    @property
    def names(self) -> frozenset[str]:
        """Every `dataset.name` there is."""
        return frozenset(self.tables) | frozenset(self.views)

    def table(self, name: str) -> Table:
        """Parse one table file; raises `SchemaError` for a name without a file or a file that is not one table."""
        if name not in self.tables:
            raise SchemaError(f"there is no table {name}", remedy=f"one of {', '.join(sorted(self.tables))}")
        path = self.tables[name]
        return _parse_table(name, path, path.read_text(encoding="utf-8"))

    def view_sql(self, name: str) -> str:
        """A view's SELECT as written."""
        return self.views[name].read_text(encoding="utf-8")

    def digest(self) -> str:
        """Changes when any file does."""
        digest = hashlib.sha256()
        for name, path in sorted((*self.tables.items(), *self.views.items())):
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()


def load_schema(folder: Path | None = None) -> SchemaFolder:
    """List the tables and views under a folder (default: the project's own `warehouse/sql`).

    Raises:
        SchemaError: For a file whose name is not `<dataset>.<name>.sql`, or a name used by a table and a view.
    """
    root = folder or SQL_FOLDER
    tables = _files(root / "tables")
    tables.setdefault(ENGINE_TABLE, SQL_FOLDER / "tables" / f"{ENGINE_TABLE}.sql")
    views = _files(root / "views")
    for name in sorted(tables.keys() & views.keys()):
        raise SchemaError(f"{name} is a table and a view", remedy=f"rename {tables[name]} or {views[name]}")
    return SchemaFolder(root, tables, views)


def _files(folder: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(folder.glob("*.sql")):
        if path.stem.count(".") != 1:
            raise SchemaError(f"{path}: the file name must be <dataset>.<name>.sql", remedy="rename the file")
        found[path.stem] = path
    return found


@lru_cache(maxsize=256)
def _parse_table(name: str, path: Path, text: str) -> Table:
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    try:
        statements = [statement for statement in parse(text, read="bigquery") if statement is not None]
    except SqlglotError as error:
        raise SchemaError(f"{path}: {error}", remedy="mend the CREATE TABLE statement") from error
    create = statements[0] if len(statements) == 1 else None
    if not isinstance(create, exp.Create) or not isinstance(create.this, exp.Schema):
        raise SchemaError(f"{path}: one CREATE TABLE with columns is expected", remedy="mend the file")
    target = create.this.this
    if f"{target.db}.{target.name}" != name:
        raise SchemaError(f"{path}: the file creates {target.db}.{target.name}", remedy="give table and file one name")
    parts = create.this.expressions
    columns = tuple(_column(part, exp) for part in parts if isinstance(part, exp.ColumnDef))
    key = tuple(name for part in parts if isinstance(part, exp.PrimaryKey) for name in _key_names(part))
    unknown = sorted(set(key) - {column.name for column in columns})
    if not key or unknown:
        raise SchemaError(
            f"{path}: {'unknown key columns ' + ', '.join(unknown) if unknown else 'no key'}",
            remedy="end the column list with PRIMARY KEY (...) NOT ENFORCED",
        )
    columns = tuple(Column(c.name, c.type, c.nullable and c.name not in key, c.description) for c in columns)
    return Table(name, _grain(text), columns, key, _partition(create, exp), _cluster(create, exp))


def _key_names(key: Any) -> list[str]:
    return [part.this.name if part.key == "ordered" else part.name for part in key.expressions]


def _column(definition: Any, exp: Any) -> Column:
    kinds = [constraint.args["kind"] for constraint in definition.args.get("constraints", ())]
    description = ""
    for kind in kinds:
        for option in kind.expressions if isinstance(kind, exp.Properties) else ():
            if option.name == "description":
                description = option.args["value"].name
    return Column(
        name=definition.name,
        type=definition.args["kind"].sql("bigquery"),
        nullable=not any(isinstance(kind, exp.NotNullColumnConstraint) for kind in kinds),
        description=description,
    )


def _grain(text: str) -> str:
    first = text.lstrip().splitlines()[0] if text.strip() else ""
    return first.removeprefix("--").strip()


def _partition(create: Any, exp: Any) -> str:
    found = create.find(exp.PartitionedByProperty)
    return found.this.sql("bigquery") if found else ""


def _cluster(create: Any, exp: Any) -> tuple[str, ...]:
    found = create.find(exp.ClusterProperty, exp.Cluster)
    return tuple(column.name for column in found.expressions) if found else ()

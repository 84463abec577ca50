"""GoogleSQL as BigQuery gets it: checked, its tables named as configured, its tables read as of one instant.

The statement is parsed and written again from its syntax tree; nothing is spliced into its text.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from functools import lru_cache

from sqlglot import exp

from market.errors import QueryError, UnsupportedSqlError
from warehouse.dialect.names import TableNames
from warehouse.dialect.registry import shown
from warehouse.dialect.signatures import check_signatures
from warehouse.dialect.translate import parse_select


@lru_cache(maxsize=512)
def to_bigquery(sql: str, names: TableNames) -> str:
    """One SELECT with `project.dataset.table` as configured; `@name` stays a parameter.

    Raises:
        NotReadOnlyError: For anything but one SELECT.
        QueryError: For an unknown table, operand types that GoogleSQL does not compare, or a repeated column name.
        UnsupportedSqlError: For a table function, a wildcard table or a model.
    """
    return str(_named(_checked(sql, names), names).sql("bigquery"))


def as_of(sql: str, names: TableNames, instant: datetime, timeless: frozenset[str] = frozenset()) -> str:
    """As `to_bigquery`, with every table of the platform read as it was at an instant.

    Time travel is for tables: a view of the platform is replaced by its own SELECT first. Metadata and what stands in
    `timeless` (contract names under which something else than a table stands) are read as they are.
    """
    tree = _inlined(_checked(sql, names), names, frozenset())
    tables = _tables(names) - timeless
    for table in tree.find_all(exp.Table):
        if table.db and _contract_name(table, names) in tables and not table.args.get("version"):
            moment = exp.cast(exp.Literal.string(instant.isoformat()), exp.DType.TIMESTAMPTZ)
            table.set("version", exp.Version(this="TIMESTAMP", kind="AS OF", expression=moment))
    return str(_named(tree, names).sql("bigquery"))


@lru_cache(maxsize=512)
def parameter_names(sql: str) -> frozenset[str]:
    """Names of the parameters of a SELECT, lower case."""
    return frozenset(parameter.name.lower() for parameter in parse_select(sql).find_all(exp.Parameter))


def table_path(project: str, dataset: str, name: str) -> str:
    """`` `project.dataset.name` ``, for statements that the engine itself writes."""
    return str(exp.table_(name, db=dataset, catalog=project, quoted=True).sql("bigquery"))


def literal(text: str) -> str:
    """A string literal, for statements that the engine itself writes."""
    return str(exp.Literal.string(text).sql("bigquery"))


def _checked(sql: str, names: TableNames) -> exp.Query:
    tree = parse_select(sql)
    check_signatures(tree, names)
    named = (one for one in tree.selects if isinstance(one, exp.Alias | exp.Column) and not one.is_star)
    known = Counter(one.output_name.lower() for one in named)
    repeated = [name for name, count in known.items() if count > 1]
    if repeated:
        raise QueryError(f"duplicate column names in the result: {', '.join(repeated)}", remedy="give aliases")
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            raise UnsupportedSqlError(
                f"{shown(table)} in FROM is not allowed here", remedy="select from tables, views and UNNEST"
            )
    return tree


def _inlined(tree: exp.Query, names: TableNames, inside: frozenset[str]) -> exp.Query:
    """Replace every view by its SELECT, and the views in that one."""
    for table in list(tree.find_all(exp.Table)):
        name = _contract_name(table, names) if table.db else ""
        if names.schema is None or name not in names.schema.views or name in inside:
            continue
        body = _inlined(parse_select(names.schema.view_sql(name)), names, inside | {name})
        body.comments = None
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
        table.replace(
            exp.Subquery(this=body, alias=alias, joins=table.args.get("joins"), pivots=table.args.get("pivots"))
        )
    return tree


def _named(tree: exp.Query, names: TableNames) -> exp.Query:
    ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table.db:
            _name(table, names)
        elif table.name.lower() not in ctes:
            raise QueryError(
                f"table {table.name} must be qualified with a dataset", remedy=f"e.g. ml_models.{table.name}"
            )
    return tree


def _name(table: exp.Table, names: TableNames) -> None:
    if _is_metadata(table):
        dataset = names.local_dataset(table.db)
        if "." in table.alias:  # the parser's own: the path itself
            table.set("alias", None)
    else:
        dataset, name = names.resolve(table.db, table.name)
        table.set("this", exp.to_identifier(name, quoted=True))
    table.set("db", exp.to_identifier(dataset, quoted=True))
    table.set("catalog", exp.to_identifier(names.project, quoted=True))


def _is_metadata(table: exp.Table) -> bool:
    name = str(table.name).upper()
    return name == "__TABLES__" or name.startswith("INFORMATION_SCHEMA.")


def _contract_name(table: exp.Table, names: TableNames) -> str:
    if _is_metadata(table):
        return ""
    local, name = names.resolve(table.db, table.name)
    return f"{next(key for key, value in names.datasets if value == local)}.{name}"


def _tables(names: TableNames) -> frozenset[str]:
    return frozenset(names.schema.tables) if names.schema else frozenset()

"""GoogleSQL → DuckDB on sqlglot's syntax tree: check, name, rewrite bottom-up, generate."""

from __future__ import annotations

from functools import lru_cache

from sqlglot import ErrorLevel, exp, parse
from sqlglot.errors import ParseError, TokenError, UnsupportedError

from market.errors import NotReadOnlyError, QueryError

# The rule modules register their rules when they are imported.
from warehouse.dialect import (  # noqa: F401
    rules_dates,
    rules_nan,
    rules_numbers,
    rules_rows,
    rules_text,
    rules_time_text,
)
from warehouse.dialect.metadata import metadata_query
from warehouse.dialect.names import TableNames
from warehouse.dialect.plain import PLAIN
from warehouse.dialect.registry import RULES, Node, shown, unsupported
from warehouse.dialect.signatures import check_signatures


def parse_select(sql: str) -> exp.Query:
    """Parse exactly one SELECT, WITH or set operation.

    Raises:
        NotReadOnlyError: For anything else.
        QueryError: For text that is not GoogleSQL.
    """
    try:
        statements = [statement for statement in parse(sql, read="bigquery") if statement is not None]
    except ParseError as error:
        places = [f"{one['description']} (line {one['line']}, column {one['col']})" for one in error.errors]
        raise QueryError(f"not GoogleSQL: {'; '.join(places)}", remedy="mend the statement") from error
    except TokenError as error:
        raise QueryError(f"not GoogleSQL: {error}", remedy="mend the statement") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Select | exp.SetOperation | exp.Subquery):
        what = "several statements" if len(statements) > 1 else statements[0].key.upper() if statements else "nothing"
        raise NotReadOnlyError(
            f"exactly one SELECT is allowed here, this is {what}",
            remedy="give one SELECT, WITH or UNION statement; tables are written by the tradehits commands only",
        )
    return statements[0]


@lru_cache(maxsize=512)
def to_duckdb(sql: str, names: TableNames) -> str:
    """Translate one GoogleSQL SELECT; `@name` becomes `$name` and is bound by the caller.

    Raises:
        NotReadOnlyError: For anything but one SELECT.
        UnsupportedSqlError: For a construct that DuckDB would answer differently; it is named.
        QueryError: For an unknown table, or operand types that GoogleSQL does not compare.
    """
    tree = parse_select(sql)
    try:
        check_signatures(tree, names)
        rewritten = _rewritten(tree, names)
        return str(rewritten.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE))
    except UnsupportedError as error:
        raise unsupported(str(error)) from error


def referenced_tables(sql: str, names: TableNames) -> set[str]:
    """The contract's names of the tables and views that a statement reads."""
    back = {local: dataset for dataset, local in names.datasets}
    found = {(table.db, table.name) for table in parse_select(sql).find_all(exp.Table) if table.db}
    return {f"{back.get(dataset, dataset)}.{name}" for dataset, name in found} & names.tables


def _rewritten(tree: Node, names: TableNames) -> Node:
    local = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    holds_nan = rules_nan.may_hold_nan(tree)
    for node in reversed(list(tree.walk(bfs=True))):
        if type(node) not in PLAIN and type(node) not in RULES:
            raise unsupported(f"{node.key.upper()} ({shown(node)})")
        if isinstance(node, exp.Table):
            result: Node = _local_table(node, names, local)
        else:
            rule = (rules_nan.RULES_WITH_NAN if holds_nan else {}).get(type(node)) or RULES.get(type(node))
            result = rule(node) if rule else node
        if result is not node:
            if node is tree:
                tree = result
            else:
                node.replace(result)
    return tree


def _local_table(table: exp.Table, names: TableNames, ctes: set[str]) -> Node:
    extra = [
        key
        for key, value in table.args.items()
        if value and key not in ("this", "db", "catalog", "alias", "pivots", "joins")
    ]
    if extra or not isinstance(table.this, exp.Identifier):
        raise unsupported(f"{shown(table)} in FROM")
    if not table.db:
        if table.name.lower() not in ctes:
            raise QueryError(
                f"table {table.name} must be qualified with a dataset", remedy=f"e.g. ml_models.{table.name}"
            )
        return table
    metadata = metadata_query(table.db, table.name, names)
    if metadata is not None:
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
        return exp.Subquery(this=metadata, alias=alias.copy())
    dataset, name = names.resolve(table.db, table.name)
    table.set("catalog", None)
    table.set("db", exp.to_identifier(dataset, quoted=True))
    table.set("this", exp.to_identifier(name, quoted=True))
    return table

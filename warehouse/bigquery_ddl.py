"""The schema on BigQuery: GoogleSQL files → datasets, tables and views, each labelled `app: tradehits`.

Only what carries the label is the platform's. A table or view without it belongs to someone else: it is never altered,
replaced or dropped here, and where a table of ours should stand it is an error that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from google.cloud import bigquery
from google.cloud.exceptions import NotFound
from sqlglot import exp, parse_one

from market.errors import QueryError, SchemaError, WarehouseAccessError
from warehouse.bigquery_client import LABELS, BigQuery
from warehouse.bigquery_errors import bigquery_errors
from warehouse.bigquery_sql import table_path, to_bigquery
from warehouse.bigquery_types import google_type
from warehouse.dialect import TableNames
from warehouse.dialect.translate import referenced_tables
from warehouse.schema import ENGINE_TABLE, SchemaFolder, Table

_REQUESTS_AT_ONCE = 8


@dataclass(frozen=True)
class Stored:
    """What stands under one name of the contract; `table` is None when nothing does."""

    name: str
    table: bigquery.Table | None

    @property
    def is_ours(self) -> bool:
        """Whether the platform made it, or adopted it."""
        return self.table is not None and LABELS.items() <= self.table.labels.items()


def table_id(names: TableNames, name: str) -> str:
    """`project.dataset.table` of the contract's `dataset.table`, for the API."""
    return ".".join((names.project, *names.local_table(name)))


def path_of(names: TableNames, name: str) -> str:
    """The same, quoted for a statement."""
    return table_path(names.project, *names.local_table(name))


def bring_up(bigquery_: BigQuery, schema: SchemaFolder, names: TableNames) -> frozenset[str]:
    """Create what is missing, add new nullable columns, and refresh views whose text changed.

    Returns:
        As `in_place_of_tables`.

    Raises:
        SchemaError: A table differs otherwise from its file (the column is named), a table or view is not the
            platform's, or a view does not bind.
        WarehouseAccessError: A dataset lies in another location, or may not be made.
    """
    settings = bigquery_.settings.bigquery
    expiries = {dataset: None for _, dataset in names.datasets} | {settings.staging_dataset: settings.staging_hours}
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        list(pool.map(lambda item: ensure_dataset(bigquery_, *item), expiries.items()))
    stored = look_up(bigquery_, names, sorted(schema.names))
    _bring_up_tables(bigquery_, schema, names, stored)
    _bring_up_views(bigquery_, schema, names, stored)
    return in_place_of_tables(schema, stored)


def in_place_of_tables(schema: SchemaFolder, stored: Mapping[str, Stored]) -> frozenset[str]:
    """Names of tables in whose place something else stands: a view of the platform's over rows that are not copied."""
    found = {name: stored[name].table for name in schema.tables}
    return frozenset(name for name, table in found.items() if table is not None and table.table_type != "TABLE")


def ensure_dataset(bigquery_: BigQuery, dataset: str, expiry_hours: int | None = None) -> None:
    """Create a dataset that is missing; refuse one in another location."""
    wanted = bigquery.Dataset(f"{bigquery_.settings.project}.{dataset}")
    wanted.location = bigquery_.settings.bigquery.location
    wanted.labels = dict(LABELS)
    if expiry_hours is not None:
        wanted.default_table_expiration_ms = expiry_hours * 3_600_000
    with bigquery_errors(f"dataset {dataset}"):
        try:
            found = bigquery_.client.get_dataset(wanted.reference, retry=bigquery_.retry)
        except NotFound:
            found = bigquery_.client.create_dataset(wanted, exists_ok=True, retry=bigquery_.retry)
    if found.location and found.location.lower() != wanted.location.lower():
        raise WarehouseAccessError(
            f"dataset {dataset} lies in {found.location}, the configuration says {wanted.location}",
            remedy=f"set warehouse.bigquery.location: {found.location}, or name another dataset in warehouse.datasets",
        )


def look_up(bigquery_: BigQuery, names: TableNames, wanted: Sequence[str]) -> dict[str, Stored]:
    """What stands under names of the contract."""

    def get(name: str) -> Stored:
        with bigquery_errors(f"look up {name}"):
            try:
                return Stored(name, bigquery_.client.get_table(table_id(names, name), retry=bigquery_.retry))
            except NotFound:
                return Stored(name, None)

    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        return {stored.name: stored for stored in pool.map(get, wanted)}


def create_statement(table: Table, text: str, names: TableNames) -> str:
    """A table file as BigQuery gets it: its configured name, and the label that marks it as the platform's.

    The engine's own book starts with the row that writing transactions take turns on (`warehouse.bigquery_apply`).
    """
    tree = parse_one(text, read="bigquery")
    tree.comments = None
    dataset, name = names.local_table(table.name)
    tree.this.set("this", exp.table_(name, db=dataset, catalog=names.project, quoted=True))
    if not tree.args.get("properties"):
        tree.set("properties", exp.Properties(expressions=[]))
    pairs = [exp.Tuple(expressions=[exp.Literal.string(key), exp.Literal.string(LABELS[key])]) for key in LABELS]
    labels = exp.Property(this=exp.to_identifier("labels"), value=exp.Array(expressions=pairs))
    tree.args["properties"].append("expressions", labels)
    if table.name == ENGINE_TABLE:
        first = exp.Literal.string(ENGINE_TABLE).as_("table_name")
        zero = parse_one("SELECT TIMESTAMP_SECONDS(0) AS last_modified_at, 0 AS write_count", read="bigquery")
        tree.set("expression", exp.select(first, *zero.expressions))
    return str(tree.sql("bigquery"))


def differences(table: Table, found: bigquery.Table) -> list[tuple[str, str, str]]:
    """(column, as stored, as in the file) where they differ; a view's columns are never NOT NULL."""
    is_view = found.table_type != "TABLE"

    def text(kind: str, nullable: bool) -> str:
        return kind if nullable or is_view else f"{kind} NOT NULL"

    here = {field.name: text(google_type(field), field.mode != "REQUIRED") for field in found.schema}
    there = {column.name: text(column.type, column.nullable) for column in table.columns}
    return [
        (name, here.get(name, "missing"), there.get(name, "missing"))
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]


def _bring_up_tables(
    bigquery_: BigQuery, schema: SchemaFolder, names: TableNames, stored: Mapping[str, Stored]
) -> None:
    statements = []
    for name in schema.tables:
        table, found = schema.table(name), stored[name].table
        if found is not None:
            _refuse_foreign(stored[name], names)
            changed = differences(table, found)
            if not changed:
                continue
            added = [column for column in changed if column[1] == "missing" and not column[2].endswith("NOT NULL")]
            if added == changed and found.table_type == "TABLE":
                columns = ", ".join(f"ADD COLUMN `{column}` {kind}" for column, _, kind in added)
                statements.append(f"ALTER TABLE {path_of(names, name)} {columns}")
                continue
            if found.num_rows or found.table_type != "TABLE":
                raise _drifted(table, found, changed)
            statements.append(f"DROP TABLE {path_of(names, name)}")  # an empty table has nothing to lose
        statements.append(create_statement(table, schema.tables[name].read_text(encoding="utf-8"), names))
    if statements:
        bigquery_.transaction(";\n".join(statements), (), doing="create tables")


def _bring_up_views(bigquery_: BigQuery, schema: SchemaFolder, names: TableNames, stored: Mapping[str, Stored]) -> None:
    statements = {}
    labels = ", ".join(f"('{key}', '{value}')" for key, value in LABELS.items())
    for name in _view_order(schema, names):
        sql, found = to_bigquery(schema.view_sql(name), names), stored[name].table
        if found is not None:
            _refuse_foreign(stored[name], names)
        if found is None or found.view_query != sql:
            path = path_of(names, name)
            statements[name] = f"CREATE OR REPLACE VIEW {path} OPTIONS (labels = [{labels}]) AS\n{sql}"
    try:
        if statements:
            bigquery_.transaction(";\n".join(statements.values()), (), doing="create views")
    except QueryError:
        for name, statement in statements.items():  # one by one, to name the one that does not bind
            try:
                bigquery_.transaction(statement, (), doing=f"view {name}")
            except QueryError as error:
                raise SchemaError(error.message, remedy=f"mend warehouse/sql/views/{name}.sql") from error


def _view_order(schema: SchemaFolder, names: TableNames) -> list[str]:
    """Every view after the views it reads."""
    reads = {name: referenced_tables(schema.view_sql(name), names) & schema.views.keys() for name in schema.views}
    ordered: list[str] = []
    while len(ordered) < len(reads):
        ready = sorted(name for name, needed in reads.items() if name not in ordered and needed <= set(ordered))
        if not ready:
            raise SchemaError(
                f"views need each other: {', '.join(sorted(reads.keys() - set(ordered)))}", remedy="break the circle"
            )
        ordered += ready
    return ordered


def _refuse_foreign(stored: Stored, names: TableNames) -> None:
    if not stored.is_ours:
        raise SchemaError(
            f"{table_id(names, stored.name)} is there and was not made by this platform, so it is left alone",
            remedy="see `tradehits migrate --plan`: adopt the table, or shadow it in another dataset",
        )


def _drifted(table: Table, found: bigquery.Table, changed: list[tuple[str, str, str]]) -> SchemaError:
    name, here, there = changed[0]
    more = f"; and {len(changed) - 1} more columns" if len(changed) > 1 else ""
    return SchemaError(
        f"{table.name}: column '{name}' is {here} in the warehouse ({found.num_rows or 0} rows), {there} in its file"
        f"{more}",
        remedy=f"restore the column, or export the table (tradehits sql --format csv), drop it and rebuild; "
        f"its file is {table.name}.sql",
    )

"""What stands in the datasets of the configuration, as `warehouse.adoption` judges it; reads only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from google.cloud import bigquery
from google.cloud.exceptions import NotFound

from configs.settings import Settings
from configs.sources import BigQueryOptions
from market.assets import ASSET_TYPES, CLEAN_TABLES, AssetType
from market.errors import SchemaError
from warehouse.adoption import FoundTable, Proposal, propose
from warehouse.bigquery_client import LABELS, BigQuery
from warehouse.bigquery_ddl import differences
from warehouse.bigquery_errors import bigquery_errors
from warehouse.bigquery_sql import table_path
from warehouse.examination import FEATURES
from warehouse.schema import SchemaFolder, Table, load_schema
from warehouse.sources._bigquery_columns import given_columns

_LABELLED = frozenset({*CLEAN_TABLES.values(), FEATURES})


def migration_client(settings: Settings) -> BigQuery:
    """Jobs labelled as those of `tradehits migrate`."""
    return BigQuery(settings.warehouse, {"profile": settings.profile, "command": "migrate"})


def plan(settings: Settings, dataset: str | None = None) -> list[Proposal]:
    """Compare every dataset of the configuration, and those that bars are read from, with the contract.

    Args:
        settings: Project, datasets and sources.
        dataset: Look at this one only, by the contract's name or its own.

    Raises:
        WarehouseAccessError: Credentials, the project or a permission is missing.
    """
    client = migration_client(settings)
    schema = load_schema()
    sources = _source_tables(settings)
    found: list[FoundTable] = []
    absent: list[tuple[str, str]] = []
    for logical, here, is_beside in _datasets(settings, dataset):
        contract = {name.split(".")[1]: name for name in schema.names if name.split(".")[0] == logical}
        there = tables_of(client, *here)
        found += [
            _found(client, schema, table, contract.get(table.table_id), is_beside, sources) for table in there.values()
        ]
        if not is_beside:
            missing = sorted(contract.keys() - there.keys())
            absent += [(contract[name], ".".join((*here, name))) for name in missing]
    return propose(found, absent)


def _datasets(settings: Settings, only: str | None) -> list[tuple[str, tuple[str, str], bool]]:
    """(contract's dataset, (project, dataset), whether the platform's own stand beside it), each once."""
    project = settings.warehouse.project
    found: dict[tuple[str, str], tuple[str, bool]] = {}
    for logical, here in dict(settings.warehouse.datasets).items():
        found[project, here] = (logical, False)
        found.setdefault((project, logical), (logical, True))
    for options in _bigquery_sources(settings).values():
        found.setdefault((options.project or project, options.dataset), ("crypto_trading_data", True))
    return [
        (logical, place, is_beside)
        for place, (logical, is_beside) in found.items()
        if only is None or only in (logical, place[1])
    ]


def _bigquery_sources(settings: Settings) -> dict[AssetType, BigQueryOptions]:
    configured = {name: settings.sources.of(name) for name in ASSET_TYPES}
    return {name: options for name, options in configured.items() if isinstance(options, BigQueryOptions)}


def _source_tables(settings: Settings) -> dict[str, BigQueryOptions]:
    """Path of every table that bars are read from → how."""
    return {
        f"{options.project or settings.warehouse.project}.{options.dataset}."
        f"{options.table or CLEAN_TABLES[name].split('.')[1]}": options
        for name, options in _bigquery_sources(settings).items()
    }


def tables_of(client: BigQuery, project: str, dataset: str) -> dict[str, bigquery.Table]:
    """Everything in a dataset, by name; nothing when there is no such dataset."""
    with bigquery_errors(f"list {project}.{dataset}"):
        try:
            listed = list(client.client.list_tables(f"{project}.{dataset}"))
            return {item.table_id: client.client.get_table(item.reference) for item in listed}
        except NotFound:
            return {}


def _found(
    client: BigQuery,
    schema: SchemaFolder,
    there: bigquery.Table,
    name: str | None,
    is_beside: bool,
    sources: Mapping[str, BigQueryOptions],
) -> FoundTable:
    path = f"{there.project}.{there.dataset_id}.{there.table_id}"
    plain = FoundTable(
        path=path,
        name=name,
        kind=there.table_type,
        is_ours=LABELS.items() <= there.labels.items(),
        is_source=path in sources,
        is_beside=is_beside,
        rows=int(there.num_rows or 0),
        makes_labels=name in _LABELLED,
    )
    if name is None or name not in schema.tables or plain.is_ours or (is_beside and not plain.is_source):
        return plain
    table = schema.table(name)
    columns = differences(table, there)
    fields = {field.name.lower() for field in there.schema}
    key, problem = [f"`{column}`" for column in table.key], ""
    has_key = {column.lower() for column in table.key} <= fields
    if plain.is_source:
        try:
            given = given_columns(there, sources[path], ())
            key, has_key = [f"`{given.found[column]}`" for column in ("symbol", "datetime")], True
        except SchemaError as error:
            problem = error.message
    return replace(
        plain,
        missing=tuple(column for column, here, _ in columns if here == "missing"),
        extra=tuple(column for column, _, wanted in columns if wanted == "missing"),
        other_types=tuple(one for one in columns if "missing" not in one[1:]),
        partition=_partition_of(there),
        wanted_partition=_wanted_partition(table),
        is_clustered_alike=tuple(there.clustering_fields or ()) == table.cluster_by,
        problem=problem,
        keys=_keys(client, path, key) if has_key and there.table_type == "TABLE" else None,
    )


def _keys(client: BigQuery, path: str, key: Sequence[str]) -> int:
    """Distinct keys of a table; reads its key columns."""
    sql = f"SELECT COUNT(*) AS n FROM (SELECT DISTINCT {', '.join(key)} FROM {table_path(*path.split('.'))})"
    [row] = client.query(sql, doing=f"count the keys of {path}")
    return int(row.n)


def _partition_of(there: bigquery.Table) -> str:
    partitioning = there.time_partitioning
    if partitioning is not None:
        return f"{partitioning.field or 'ingestion time'}, {partitioning.type_}"
    numbers = there.range_partitioning
    return f"{numbers.field}, ranges" if numbers is not None else ""


def _wanted_partition(table: Table) -> str:
    """`TIMESTAMP_TRUNC(datetime, MONTH)` → `datetime, MONTH`."""
    found = re.fullmatch(r"\w+\(\s*(?:DATE\()?`?(\w+)`?\)?\s*(?:,\s*(\w+)\s*)?\)", table.partition_by)
    return f"{found[1]}, {found[2] or 'DAY'}" if found else table.partition_by

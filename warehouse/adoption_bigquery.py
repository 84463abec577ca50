"""Carrying out what `warehouse.adoption` proposes, with a way back.

Adopting snapshots the table, then puts the platform's label on it; taking it back removes the label. Shadowing makes
the platform's tables in a dataset of its own; taking it back drops those that hold no row. Nothing else of a table that
the platform did not make is ever touched.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from google.cloud.exceptions import NotFound

from configs.settings import Settings, WarehouseSettings
from market.errors import WarehouseError
from warehouse.adoption import Proposal, shadow_dataset
from warehouse.adoption_found import migration_client, tables_of
from warehouse.bigquery import BigQueryWarehouse
from warehouse.bigquery_client import LABELS, BigQuery
from warehouse.bigquery_ddl import ensure_dataset
from warehouse.bigquery_errors import bigquery_errors
from warehouse.bigquery_parameters import bound
from warehouse.bigquery_sql import table_path
from warehouse.warehouse import Write

ADOPTIONS_TABLE = "tradehits.table_adoptions"
_STAMP = pa.timestamp("us", "UTC")
_RECORD = pa.schema(
    [("adoption_id", pa.string()), ("applied_at", _STAMP), ("table_name", pa.string()), ("table_path", pa.string())]
    + [(name, pa.string()) for name in ("action", "reasons", "snapshot_name", "shadow_dataset")]
    + [("undone_at", _STAMP)]
)
_LOG = pa.schema(
    [("deployment_id", pa.string()), ("deployed_at", _STAMP)]
    + [(name, pa.string()) for name in ("component", "component_name", "version", "status", "details", "deployed_by")]
)


@dataclass(frozen=True)
class Applied:
    """What was done.

    Attributes:
        datasets: The contract's dataset → the dataset that the configuration must name from now on.
        done: One sentence a step.
        way_back: What takes a step back that `--undo` does not take.
    """

    datasets: Mapping[str, str]
    done: tuple[str, ...]
    way_back: tuple[str, ...] = ()


def apply(settings: Settings, proposals: Sequence[Proposal], now: datetime, staging: Path) -> Applied:
    """Carry out a plan: adopt, make shadow datasets and the platform's tables in them, and record it.

    Raises:
        WarehouseError: A step failed; labels that were set are removed again.
    """
    client = migration_client(settings)
    names = dict(settings.warehouse.datasets)
    shadowed = {one.logical for one in proposals if one.action == "shadow"}
    moved = {logical: shadow_dataset(names[logical]) for logical in sorted(shadowed)}
    target = settings.warehouse.model_copy(update={"datasets": settings.warehouse.datasets.model_copy(update=moved)})
    adopted = [one.path for one in proposals if one.action == "adopt"]
    ensure_dataset(client, target.datasets.tradehits)
    snapshots = {path: _snapshot(client, path, target, now) for path in adopted}
    warehouse = BigQueryWarehouse(target, staging=staging, labels={"profile": settings.profile, "command": "migrate"})
    done = [f"adopted {path}; its rows as they were: {snapshots[path]}" for path in adopted]
    done += [f"made the platform's tables of {logical} in {dataset}" for logical, dataset in moved.items()]
    try:
        for path in adopted:
            _label(client, path, add=True)
        warehouse.ensure_schema()
        _record(warehouse, _records(proposals, snapshots, moved, now), now, done)
    except WarehouseError:
        for path in adopted:
            _label(client, path, add=False)
        raise
    return Applied(moved, tuple(done) or ("every table and view of the platform is in place",))


def undo(settings: Settings, now: datetime) -> Applied:
    """Take back what `apply` recorded: labels are removed, shadow tables without rows are dropped.

    Args:
        settings: As configured after `apply`; without shadow datasets in it they are found by the record.
        now: When.
    """
    client = migration_client(settings)
    records = _open_records(client, settings.warehouse)
    done, way_back = [], []
    for record in records:
        if record["action"] == "adopt":
            _label(client, record["table_path"], add=False)
            path, snapshot = (table_path(*record[key].split(".")) for key in ("table_path", "snapshot_name"))
            done.append(f"{record['table_path']} is yours alone again")
            way_back.append(f"its rows as they were before: CREATE OR REPLACE TABLE {path} CLONE {snapshot}")
    for dataset in sorted({record["shadow_dataset"] for record in records if record["shadow_dataset"]}):
        told, kept = _drop_empty(client, settings.warehouse.project, dataset)
        done += told
        way_back += kept
    if records:
        _close_records(client, settings.warehouse, now)
    return Applied({}, tuple(done) or ("nothing was applied, so nothing is taken back",), tuple(way_back))


def _records(
    proposals: Sequence[Proposal], snapshots: Mapping[str, str], moved: Mapping[str, str], now: datetime
) -> list[dict[str, Any]]:
    return [
        {
            "adoption_id": uuid.uuid4().hex,
            "applied_at": now,
            "table_name": one.name,
            "table_path": one.path,
            "action": one.action,
            "reasons": "; ".join(one.reasons),
            "snapshot_name": snapshots.get(one.path),
            "shadow_dataset": moved.get(one.logical),
        }
        for one in proposals
        if one.action in ("adopt", "shadow")
    ]


def _snapshot(client: BigQuery, path: str, settings: WarehouseSettings, now: datetime) -> str:
    """Keep a table's rows as they are before the platform writes into it; costs no storage until they change."""
    name = f"before_{path.split('.')[2]}_{now:%Y%m%d_%H%M%S}"
    place = (settings.project, settings.datasets.tradehits, name)
    client.query(
        f"CREATE SNAPSHOT TABLE {table_path(*place)} CLONE {table_path(*path.split('.'))}",
        doing=f"snapshot {path}",
    )
    return ".".join(place)


def _label(client: BigQuery, path: str, *, add: bool) -> None:
    with bigquery_errors(f"label {path}"):
        table = client.client.get_table(path)
        table.labels = {**table.labels, **{key: value if add else None for key, value in LABELS.items()}}
        client.client.update_table(table, ["labels"])


def _record(
    warehouse: BigQueryWarehouse, records: Sequence[Mapping[str, Any]], now: datetime, done: Sequence[str]
) -> None:
    if not records:
        return
    entry = {
        "deployment_id": uuid.uuid4().hex,
        "deployed_at": now,
        "component": "TABLE",
        "component_name": "migrate",
        "status": "SUCCESS",
        "details": "; ".join(done),
        "deployed_by": "tradehits migrate",
    }
    warehouse.write(
        [
            Write(ADOPTIONS_TABLE, rows=pa.Table.from_pylist(list(records), schema=_RECORD), mode="append"),
            Write("ml_models.deployment_log", rows=pa.Table.from_pylist([entry], schema=_LOG), mode="append"),
        ]
    )


def _open_records(client: BigQuery, settings: WarehouseSettings) -> list[dict[str, Any]]:
    """What was applied and not taken back; nothing when nothing ever was."""
    sql = (
        "SELECT table_name, table_path, action, snapshot_name, shadow_dataset "
        f"FROM {_book(settings)} WHERE undone_at IS NULL ORDER BY table_path"
    )
    with bigquery_errors("look up the record of `tradehits migrate`"):
        try:
            client.client.get_table(f"{settings.project}.{settings.datasets.tradehits}.table_adoptions")
        except NotFound:
            return []
    return [dict(row.items()) for row in client.query(sql, doing="read the record of `tradehits migrate`")]


def _close_records(client: BigQuery, settings: WarehouseSettings, now: datetime) -> None:
    client.query(
        f"UPDATE {_book(settings)} SET undone_at = @now WHERE undone_at IS NULL",
        bound({"now": now}),
        doing="record what was taken back",
    )


def _book(settings: WarehouseSettings) -> str:
    return table_path(
        settings.project, *ADOPTIONS_TABLE.replace("tradehits", settings.datasets.tradehits, 1).split(".")
    )


def _drop_empty(client: BigQuery, project: str, dataset: str) -> tuple[list[str], list[str]]:
    """Drop the platform's views and empty tables of a shadow dataset; (what was done, what holds rows and stays)."""
    there = tables_of(client, project, dataset)
    ours = [table for table in there.values() if LABELS.items() <= table.labels.items()]
    filled = [table for table in ours if table.table_type == "TABLE" and table.num_rows]
    with bigquery_errors(f"clear {project}.{dataset}"):
        for table in ours:
            if table not in filled:
                client.client.delete_table(table.reference, not_found_ok=True)
        if not filled and len(ours) == len(there):
            client.client.delete_dataset(f"{project}.{dataset}", not_found_ok=True)
            return [f"{project}.{dataset} is gone"], []
    kept = [f"it holds {t.num_rows:,} rows: DROP TABLE {table_path(project, dataset, t.table_id)}" for t in filled]
    return [f"views and empty tables of {project}.{dataset} are gone"], kept

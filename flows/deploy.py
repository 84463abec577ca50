"""`tradehits deploy`: everything that a running platform needs, put in place, checked, and written into the log."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from configs.settings import Settings
from feature_repo import store as feast
from feature_repo.views import definitions
from flows.context import Context, exclusive
from flows.deploy_component import Component, Deployed
from flows.deploy_services import deploy_api, deploy_schedules
from flows.observing import observed_task
from flows.progress import Reporter
from market.errors import SchemaError, TradeHitsError
from warehouse.clock import wall_clock
from warehouse.schema import load_schema
from warehouse.warehouse import Write

if TYPE_CHECKING:
    from warehouse.schema import SchemaFolder
    from warehouse.warehouse import ReadConnection

LOG_TABLE = "ml_models.deployment_log"
DEPLOYED_BY = "ml_pipeline"


@observed_task("deploy")
def deploy(context: Context) -> list[Deployed]:
    """Put tables, views, feature definitions, schedules and the service in place, check each, and log each.

    Running it again changes nothing but the log, which gets a row a component every time. Tables that the platform did
    not create are never altered.

    Returns:
        Every component in the order of deployment. One that failed does not keep the others from being tried.

    Raises:
        WarehouseError: Tables and views could not be created at all; nothing is logged then.
    """
    settings, reporter, tasks = context.settings, context.reporter, context.tasks
    done: list[Deployed] = []
    with exclusive(settings):
        with reporter.step("deploy: tables and views"):
            done += tasks.run("deploy-tables", _schema, context)
        with reporter.step("deploy: feature definitions"):
            done.append(tasks.run("deploy-feast", _attempt, "PIPELINE", "feast", lambda: _feast(settings)))
    with reporter.step("deploy: flows and schedules"):
        done += tasks.run("deploy-schedules", _schedules, settings)
    with reporter.step("deploy: service"):
        done.append(tasks.run("deploy-service", _attempt, "API", "tradehits", lambda: deploy_api(settings)))
    with exclusive(settings):
        tasks.run("deploy-log", context.warehouse.write, [_log(done)])
    return done


def _schema(context: Context) -> list[Deployed]:
    schema = load_schema()
    context.warehouse.ensure_schema()
    with context.warehouse.read() as read:
        return [*_tables(read, schema), *_views(read, schema)]


def _schedules(settings: Settings) -> list[Deployed]:
    try:
        return deploy_schedules(settings)
    except TradeHitsError as error:
        return [Deployed("SCHEDULER", "prefect.yaml", None, "FAILED", f"{error.message}; {error.remedy}")]


def _attempt(component: Component, name: str, step: Callable[[], Deployed]) -> Deployed:
    try:
        return step()
    except TradeHitsError as error:
        remedy = f"; {error.remedy}" if error.remedy else ""
        return Deployed(component, name, None, "FAILED", f"{error.message}{remedy}")


def _tables(read: ReadConnection, schema: SchemaFolder) -> Iterator[Deployed]:
    for name, path in sorted(schema.tables.items()):
        yield _attempt("TABLE", name, lambda name=name, path=path: _table(read, schema, name, path))  # type: ignore[misc]


def _table(read: ReadConnection, schema: SchemaFolder, name: str, path: Path) -> Deployed:
    found = read.query(f"SELECT * FROM `{name}` LIMIT 0").column_names
    missing = [column.name for column in schema.table(name).columns if column.name not in found]
    if missing:
        raise SchemaError(f"{name} has no column {', '.join(missing)}", remedy="run `tradehits migrate --plan`")
    rows = read.query(f"SELECT COUNT(*) AS n FROM `{name}`").to_pylist()[0]["n"]
    return Deployed("TABLE", name, _version(path), "SUCCESS", f"{len(found)} columns, {rows:,} rows")


def _views(read: ReadConnection, schema: SchemaFolder) -> Iterator[Deployed]:
    for name, path in sorted(schema.views.items()):
        yield _attempt("VIEW", name, lambda name=name, path=path: _view(read, name, path))  # type: ignore[misc]


def _view(read: ReadConnection, name: str, path: Path) -> Deployed:
    found = read.query(f"SELECT * FROM `{name}` LIMIT 1")
    said = f"{found.num_columns} columns, {'has rows' if found.num_rows else 'no rows yet'}"
    return Deployed("VIEW", name, _version(path), "SUCCESS", said)


def _feast(settings: Settings) -> Deployed:
    feast.apply(settings)
    wanted = {service.name for service in definitions(settings).services}
    found = {service.name for service in feast.open_store(settings).list_feature_services()}
    if wanted - found:
        missing = ", ".join(sorted(wanted - found))
        return Deployed("PIPELINE", "feast", None, "FAILED", f"Feast's registry does not hold {missing}")
    return Deployed("PIPELINE", "feast", None, "SUCCESS", f"feature services {', '.join(sorted(wanted))}")


def _version(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _log(done: list[Deployed]) -> Write:
    now = wall_clock()
    rows = [
        {
            "deployment_id": uuid.uuid4().hex,
            "deployed_at": now,
            "component": one.component,
            "component_name": one.name,
            "version": one.version,
            "status": one.status,
            "details": one.details,
            "deployed_by": DEPLOYED_BY,
        }
        for one in done
    ]
    return Write(LOG_TABLE, rows=pl.DataFrame(rows, infer_schema_length=None).to_arrow(), mode="append")


def run_deploy(settings: Settings, reporter: Reporter) -> list[Deployed]:
    """Open the warehouse and deploy, as a Prefect flow where a server is configured; see `deploy`."""
    from flows.prefecting import run_flow
    from warehouse.engines import open_warehouse

    return run_flow("deploy", lambda tasks: deploy(Context(settings, open_warehouse(settings), reporter, tasks)))

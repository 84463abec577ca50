"""What BigQuery must allow before anything can work, checked by doing it: the first part of `tradehits doctor`.

Nothing of yours is touched. The one thing made is a table of one row in the staging dataset, dropped at the end.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from google.api_core import exceptions as google
from google.cloud import bigquery

from configs.settings import WarehouseSettings
from market.errors import WarehouseError
from warehouse.bigquery_client import BigQuery
from warehouse.bigquery_ddl import Stored, differences, ensure_dataset, look_up, table_id
from warehouse.bigquery_errors import ROLES, bigquery_errors
from warehouse.bigquery_sql import table_path
from warehouse.bigquery_storage import storage_client
from warehouse.dialect import TableNames
from warehouse.examination import Finding, Severity
from warehouse.schema import SchemaFolder, load_schema

_NEEDED = ("bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.update", "bigquery.tables.updateData")
_TIB = 2**40


def check_bigquery(
    settings: WarehouseSettings, bigquery_: BigQuery | None = None, schema: SchemaFolder | None = None
) -> list[Finding]:
    """What is missing, in the order in which it must be mended; a check that needs an earlier one is left out.

    Args:
        settings: Project, datasets, location, cost cap.
        bigquery_: Connection; default one of the settings.
        schema: Tables and views; default the project's own.
    """
    return list(_Check(bigquery_ or BigQuery(settings), schema or load_schema()).run())


class _Check:
    def __init__(self, bigquery_: BigQuery, schema: SchemaFolder) -> None:
        self._bigquery = bigquery_
        self._settings = bigquery_.settings
        self._schema = schema
        self._names = TableNames.of(self._settings, schema)

    def run(self) -> Iterator[Finding]:
        yield from self._cost_cap()
        for step in (self._credentials, self._jobs, self._datasets, self._work, self._tables):
            is_blocked = False
            for finding in step():
                is_blocked = is_blocked or finding.severity == "error"
                yield finding
            if is_blocked:
                return

    def _cost_cap(self) -> Iterator[Finding]:
        limits = self._settings.bigquery
        if limits.maximum_bytes_billed is None:
            yield Finding(
                "warning",
                "cost_cap",
                self._settings.project,
                "there is no cap on what one statement may bill",
                "set warehouse.bigquery.maximum_bytes_billed",
            )
            return
        dollars = limits.maximum_bytes_billed / _TIB * limits.usd_per_tib
        yield Finding(
            "info",
            "cost_cap",
            self._settings.project,
            f"one statement may bill at most {limits.maximum_bytes_billed:,} bytes, about ${dollars:,.2f}",
        )

    def _credentials(self) -> Iterator[Finding]:
        yield from self._tried("credentials", self._settings.project, lambda: self._bigquery.credentials)

    def _jobs(self) -> Iterator[Finding]:
        """A query proves the project, its billing and the right to run jobs in the location."""

        def ask() -> None:
            self._bigquery.query("SELECT 1 AS one", doing="run a job")

        yield from self._tried("jobs", self._settings.project, ask)

    def _datasets(self) -> Iterator[Finding]:
        for _, dataset in self._names.datasets:
            found = None
            with _not_there():
                found = self._bigquery.client.get_dataset(
                    f"{self._settings.project}.{dataset}", retry=self._bigquery.retry
                )
            if found is None:
                yield Finding("info", "dataset", dataset, "is not there yet: the first writing command creates it")
            else:
                yield from self._tried("dataset", dataset, partial(ensure_dataset, self._bigquery, dataset))

    def _work(self) -> Iterator[Finding]:
        """Create, change, read and drop a table, as every write does."""
        dataset = self._settings.bigquery.staging_dataset
        hours = self._settings.bigquery.staging_hours
        name = f"doctor_{uuid.uuid4().hex}"
        path = table_path(self._settings.project, dataset, name)
        made = list(
            self._tried("create_dataset", dataset, lambda: ensure_dataset(self._bigquery, dataset, hours))
        ) or list(self._tried("create_table", dataset, lambda: self._run(f"CREATE TABLE {path} AS SELECT 1 AS one")))
        yield from made
        if made:
            return
        try:
            change = f"BEGIN TRANSACTION; UPDATE {path} SET one = 2 WHERE TRUE; COMMIT TRANSACTION"
            yield from self._tried("transaction", dataset, lambda: self._run(change))
            yield from self._storage_api(path)
        finally:
            yield from self._tried("drop_table", dataset, lambda: self._run(f"DROP TABLE {path}"))

    def _storage_api(self, path: str) -> Iterator[Finding]:
        client = storage_client(self._bigquery)
        if client is None:
            yield Finding(
                "info",
                "storage_api",
                self._settings.project,
                "results are read over REST, which is slow for large ones",
                "set warehouse.bigquery.use_storage_api: true (an emulator needs its storage address as well)",
            )
            return
        rows = self._bigquery.query(f"SELECT one FROM {path}", doing="read a table")

        def read() -> None:
            list(rows.to_arrow_iterable(bqstorage_client=client))

        remedy = "grant roles/bigquery.readSessionUser and enable the BigQuery Storage API; until then REST is used"
        yield from self._tried("storage_api", self._settings.project, read, severity="warning", remedy=remedy)

    def _tables(self) -> Iterator[Finding]:
        for stored in look_up(self._bigquery, self._names, sorted(self._schema.names)).values():
            if stored.table is None:
                continue
            if not stored.is_ours:
                yield Finding(
                    "error",
                    "foreign_table",
                    table_id(self._names, stored.name),
                    "was not made by this platform and stands where one of its tables belongs; it is left alone",
                    "see `tradehits migrate --plan`: adopt the table, or shadow it in another dataset",
                )
                continue
            yield from self._drift(stored, stored.table)
            yield from self._rights(stored)

    def _drift(self, stored: Stored, table: bigquery.Table) -> Iterator[Finding]:
        if stored.name not in self._schema.tables:
            return
        for column, here, there in differences(self._schema.table(stored.name), table):
            is_new = here == "missing" and not there.endswith("NOT NULL")
            yield Finding(
                "info" if is_new else "error",
                "schema_drift",
                stored.name,
                f"column '{column}' is {here} in the warehouse, {there} in its file",
                "the next command adds it" if is_new else "restore the column, or export, drop and rebuild the table",
            )

    def _rights(self, stored: Stored) -> Iterator[Finding]:
        if self._settings.bigquery.emulator_host or stored.name not in self._schema.tables:
            return  # an emulator grants everything and cannot be asked
        name = table_id(self._names, stored.name)
        with bigquery_errors(f"ask for rights on {name}"):
            granted = self._bigquery.client.test_iam_permissions(name, list(_NEEDED)).get("permissions", [])
        missing = sorted(set(_NEEDED) - set(granted))
        if missing:
            yield Finding("error", "permissions", name, f"not granted: {', '.join(missing)}", ROLES)

    def _run(self, script: str) -> None:
        self._bigquery.transaction(script, (), doing="check BigQuery")

    def _tried(
        self,
        check: str,
        subject: str,
        step: Callable[[], object],
        *,
        severity: Severity = "error",
        remedy: str = "",
    ) -> Iterator[Finding]:
        """A finding when a step fails."""
        try:
            with bigquery_errors(check.replace("_", " ")):
                step()
        except WarehouseError as error:
            yield Finding(severity, check, subject, error.message, remedy or error.remedy)


@contextmanager
def _not_there() -> Iterator[None]:
    """A missing thing is None."""
    try:
        with bigquery_errors("look up a dataset"):
            yield
    except WarehouseError as error:
        if not isinstance(error.__cause__, google.NotFound):
            raise

"""The door to BigQuery: Google's client, jobs with labels, cost cap and estimate, and retries for what may pass."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import google.auth
from google.auth.credentials import AnonymousCredentials, Credentials
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from configs.settings import WarehouseSettings
from market.errors import CostCapError, WarehouseLockedError
from warehouse.bigquery_errors import GOOGLE_ERRORS, bigquery_errors, is_conflict, is_passing, named_error
from warehouse.bigquery_parameters import Bound

if TYPE_CHECKING:
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient

log = logging.getLogger(__name__)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LABELS = {"app": "tradehits"}
_TIB = 2**40
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 5.0

T = TypeVar("T")


class BigQuery:
    """Jobs on one project; connects on first use.

    Args:
        settings: Project, location, cost cap, emulator.
        labels: Of every job, beside `app: tradehits`; made fit for BigQuery.
    """

    def __init__(self, settings: WarehouseSettings, labels: Mapping[str, str] | None = None) -> None:
        """Nothing is connected yet."""
        self.settings = settings
        self.labels = LABELS | {label(key): label(value) for key, value in (labels or {}).items() if value}
        self.retry = DEFAULT_RETRY.with_timeout(settings.bigquery.retry_seconds)
        self.storage: BigQueryReadClient | None = None
        self._estimated: dict[str, int] = {}

    @property
    def can_merge(self) -> bool:
        """Whether MERGE works inside a transaction: on BigQuery it does, the emulator answers "transaction is aborted".

        The one difference between what BigQuery and the emulator are sent: without it a merge is DELETE and INSERT.
        """
        return self.settings.bigquery.emulator_host is None

    @cached_property
    def credentials(self) -> Credentials:
        """Application default credentials; anonymous ones for an emulator."""
        if self.settings.bigquery.emulator_host:
            return AnonymousCredentials()
        with bigquery_errors("connect to BigQuery"):
            return google.auth.default(scopes=[SCOPE])[0]

    @cached_property
    def client(self) -> bigquery.Client:
        """Google's client."""
        host = self.settings.bigquery.emulator_host
        return bigquery.Client(
            self.settings.project,
            credentials=self.credentials,
            location=self.settings.bigquery.location,
            client_options={"api_endpoint": host} if host else None,
        )

    def query(
        self,
        sql: str,
        parameters: Sequence[Bound] = (),
        *,
        doing: str,
        known_as: str | None = None,
        destination: str | None = None,
        page_rows: int | None = None,
    ) -> bigquery.table.RowIterator:
        """Run one statement to its end, again after an error of BigQuery's own.

        Args:
            sql: GoogleSQL.
            parameters: Bound values.
            doing: Opens an error's message.
            known_as: The text whose cost is estimated, once for all statements known by it; None: no estimate.
            destination: Table (`project.dataset.table`) that the rows replace; it may not exist yet.
            page_rows: Rows of a page when the result is read over REST.

        Raises:
            CostCapError: It would read more than `maximum_bytes_billed`; nothing ran.
            QueryError: BigQuery refused the statement.
            WarehouseError: Its subclasses say what is missing.
        """
        if known_as is not None:
            self._show_cost(sql, parameters, known_as, doing)
        config = self._config(parameters)
        if destination:
            config.destination = destination
            config.write_disposition = bigquery.WriteDisposition.WRITE_TRUNCATE

        def run() -> bigquery.table.RowIterator:
            job = self.client.query(sql, job_config=config, retry=self.retry, job_retry=None)
            return job.result(page_size=page_rows, retry=self.retry, job_retry=None)

        return self._until_it_passes(run, doing, self.settings.bigquery.retry_seconds)

    def transaction(self, script: str, parameters: Sequence[Bound], *, doing: str) -> list[dict[str, Any]]:
        """Run a script whose transaction commits or leaves nothing, again while others' transactions cancel it.

        Raises:
            WarehouseLockedError: Others kept on changing the same tables for longer than `lock_timeout_seconds`.
            WarehouseError: And its subclasses, as `query`.
        """

        def run() -> list[dict[str, Any]]:
            job = self.client.query(script, job_config=self._config(parameters), retry=self.retry, job_retry=None)
            return [dict(row.items()) for row in job.result(retry=self.retry, job_retry=None)]

        return self._until_it_passes(run, doing, self.settings.lock_timeout_seconds)

    def load(self, file: Path, table: str, schema: Sequence[bigquery.SchemaField], *, doing: str) -> None:
        """Load a parquet file into a new table."""
        options = bigquery.ParquetOptions()
        options.enable_list_inference = True
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            schema=list(schema),
            parquet_options=options,
            labels=self.labels,
        )
        with bigquery_errors(doing), file.open("rb") as source:
            job = self.client.load_table_from_file(source, table, job_config=config)
            wait = _FIRST_WAIT_SECONDS
            while not job.done(retry=self.retry):  # Google's own waiting asks once a second and then ever less often
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
            job.result()

    def dry_run(self, sql: str, parameters: Sequence[Bound] = (), *, doing: str) -> bigquery.QueryJob:
        """Let BigQuery check a statement and estimate its bytes; costs nothing."""
        config = bigquery.QueryJobConfig(
            query_parameters=list(parameters), labels=self.labels, dry_run=True, use_query_cache=False
        )
        with bigquery_errors(doing):
            return self.client.query(sql, job_config=config, retry=self.retry)

    def _show_cost(self, sql: str, parameters: Sequence[Bound], known_as: str, doing: str) -> None:
        """Say what a large statement will cost before it runs, and refuse one above the cap."""
        limits = self.settings.bigquery
        if limits.show_cost_above_bytes is None:
            return
        if known_as not in self._estimated:
            self._estimated[known_as] = int(self.dry_run(sql, parameters, doing=doing).total_bytes_processed or 0)
        size = self._estimated[known_as]
        if limits.maximum_bytes_billed is not None and size > limits.maximum_bytes_billed:
            raise CostCapError(
                f"{doing}: the statement would read {_size(size)}, the cap is {_size(limits.maximum_bytes_billed)}",
                remedy="select fewer columns or days, or raise warehouse.bigquery.maximum_bytes_billed",
            )
        if size > limits.show_cost_above_bytes:
            log.warning("%s: will read %s, about $%.2f", doing, _size(size), size / _TIB * limits.usd_per_tib)

    def _config(self, parameters: Sequence[Bound]) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(query_parameters=list(parameters), labels=self.labels)
        if self.settings.bigquery.maximum_bytes_billed is not None:
            config.maximum_bytes_billed = self.settings.bigquery.maximum_bytes_billed
        return config

    def _until_it_passes(self, run: Callable[[], T], doing: str, seconds: float) -> T:
        """Google's own repetition of jobs would also repeat a lost connection, for twenty minutes."""
        deadline = time.monotonic() + seconds
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                return run()
            except GOOGLE_ERRORS as error:
                if not (is_conflict(error) or is_passing(error)):
                    raise named_error(error, doing) from error
                if time.monotonic() + wait > deadline:
                    raise self._gave_up(error, doing) from error
            # Two writers that wait equally long would meet again.
            time.sleep(wait * random.uniform(0.5, 1.5))
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    def _gave_up(self, error: Exception, doing: str) -> Exception:
        if not is_conflict(error):
            return named_error(error, doing)
        seconds = self.settings.lock_timeout_seconds
        return WarehouseLockedError(
            f"{doing}: others have been writing to the same tables for {seconds:.0f} s",
            remedy="wait for the other command to end, or raise warehouse.lock_timeout_seconds",
        )


def label(text: str) -> str:
    """A text as BigQuery allows it in a label: lower case letters, digits, `_` and `-`, at most 63."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]


def _size(count: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"

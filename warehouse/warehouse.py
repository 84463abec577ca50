"""The warehouse protocol: what every engine must do, and nothing an engine cannot.

Tables are named by the contract's `dataset.table` (`ml_models.walk_forward_features_v2`); an engine maps datasets and
project to the configured ones. SQL is GoogleSQL. Values are bound parameters (`@name`), never spliced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import pyarrow as pa

Mode = Literal["append", "merge", "replace"]
Rows: TypeAlias = pa.Table | pa.RecordBatchReader | Path


@dataclass(frozen=True)
class Write:
    """One keyed write into one table.

    Attributes:
        table: `dataset.table` as in the contract.
        rows: Arrow data or a parquet file whose columns are the table's (missing nullable columns become NULL, unknown
            columns are a `SchemaError`); or None when `sql` gives the rows.
        sql: A GoogleSQL SELECT that gives the rows inside the engine; or None.
        parameters: Bound parameters of `sql`.
        ranges: Parameters that narrow `sql` to parts of its rows, together all of them and none twice. An engine that
            holds intermediate results in memory runs `sql` once a range (over `parameters`), another one once for all.
        mode: `append` inserts and refuses keys that exist (`DuplicateKeyError`), or skips them with `skip_existing`;
            `merge` replaces rows of the same key and inserts the others; `replace` deletes all rows matching `where`
            (all rows when it is empty) and inserts.
        where: Equality scope of `replace`, e.g. `{"asset_type": "stocks"}`; incoming rows must lie inside it.
        skip_existing: For `append`: leave rows whose key is there already.
    """

    table: str
    rows: Rows | None = None
    sql: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    ranges: Sequence[Mapping[str, Any]] = ()
    mode: Mode = "merge"
    where: Mapping[str, Any] = field(default_factory=dict)
    skip_existing: bool = False


@dataclass(frozen=True)
class WriteResult:
    """What a write changed: rows inserted, rows replaced by key, rows deleted by a `replace` scope, rows skipped."""

    table: str
    inserted: int
    updated: int
    deleted: int
    skipped: int


@dataclass(frozen=True)
class TableStatistics:
    """Size and freshness of one table; `last_modified_at` is UTC and None for a table never written."""

    table: str
    rows: int
    size_bytes: int
    last_modified_at: datetime | None


class ReadConnection(Protocol):
    """A consistent read view; several queries on it see one state of the tables."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one GoogleSQL SELECT and return all rows (TIMESTAMP comes back as timestamp[us, tz=UTC])."""
        ...

    def stream(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, batch_rows: int = 100_000
    ) -> pa.RecordBatchReader:
        """Run one GoogleSQL SELECT and return its rows in batches; the reader lives as long as the connection."""
        ...

    def export_parquet(self, sql: str, path: Path, parameters: Mapping[str, Any] | None = None) -> int:
        """Write a SELECT's rows to one parquet file (created whole by an atomic rename); returns the row count."""
        ...


class Warehouse(Protocol):
    """Tables of the platform on one engine."""

    def ensure_schema(self) -> None:
        """Create every dataset, table and view that is missing, and refresh views whose text changed. Idempotent."""
        ...

    def read(self) -> AbstractContextManager[ReadConnection]:
        """Open a read connection; close it soon, on the embedded engine a writer waits for it."""
        ...

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one SELECT on a connection of its own."""
        ...

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Apply all writes in one transaction, or none. Rows are staged before the lock is taken."""
        ...

    def statistics(self) -> list[TableStatistics]:
        """Rows, bytes and last change of every table."""
        ...

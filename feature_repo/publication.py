"""Parquet copies of the feature table for Feast, so that its readers never open the warehouse."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from filelock import ReadWriteLock, Timeout
from psutil import pid_exists

from configs.settings import Settings
from feature_repo.services import FEATURE_VIEW, KEYS, LABEL_VIEW, LABELS
from market.assets import ASSET_TYPES
from market.errors import FeatureError
from warehouse.warehouse import ReadConnection

# The event timestamp once more, as a value: Feast's SQLite store keeps event timestamps in the writer's local time.
KNOWN_AT = "bar_known_at AS known_at"
_TABLE = "`ml_models.walk_forward_features_v2`"
_LABELS = ", ".join(LABELS)
_COLUMNS = {
    FEATURE_VIEW: f"* EXCEPT ({_LABELS}), {KNOWN_AT}",
    LABEL_VIEW: f"{', '.join(KEYS)}, {_LABELS}, created_timestamp",
}
_NEWEST = f"SELECT asset_type, MAX(bar_known_at) AS newest FROM {_TABLE} GROUP BY asset_type"
_BUILDS = """
SELECT asset_type, MAX(build_number) AS build_number, MAX(built_at) AS built_at
FROM `tradehits.feature_builds`
GROUP BY asset_type
ORDER BY asset_type
"""
_RECENT = timedelta(days=7)
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_SINCE = " ".join(f"WHEN asset_type = '{name}' THEN @{name}" for name in ASSET_TYPES)
_IS_RECENT = f"bar_known_at >= CASE {_SINCE} END"


@dataclass(frozen=True)
class FeastFiles:
    """Feast's state on this machine."""

    directory: Path

    @property
    def registry(self) -> Path:
        """The SQL registry."""
        return self.directory / "registry.db"

    @property
    def online(self) -> Path:
        """The SQLite online store."""
        return self.directory / "online.db"

    @property
    def builds(self) -> Path:
        """Which feature builds the published copies hold; gone while they are replaced."""
        return self.directory / "builds.json"

    @property
    def spill(self) -> Path:
        """Where a read puts what does not fit into memory; there while it runs."""
        return self.directory / "spill"

    def parquet(self, view: str) -> Path:
        """The published copy behind a view."""
        return self.directory / f"{view}.parquet"


@dataclass(frozen=True)
class Published:
    """What readers of Feast see now: so many bars, each with its features and its label."""

    rows: int


def feast_files(settings: Settings) -> FeastFiles:
    """Where a profile keeps Feast's state."""
    return FeastFiles(settings.paths.state / "feast")


def publish(read: ReadConnection, settings: Settings) -> Published:
    """Copy features and labels to the parquet files that Feast reads.

    Both files are written aside and put in place together while no reader is in the middle of one, so that readers see
    one build of the table. On BigQuery Feast reads the table itself and nothing is copied.

    Raises:
        FeatureError: Readers held the files for longer than the warehouse's lock timeout.
    """
    if settings.warehouse.engine == "bigquery":
        (counted,) = read.query(f"SELECT COUNT(*) AS bars FROM {_TABLE}").to_pylist()
        return Published(rows=counted["bars"])
    files = feast_files(settings)
    files.directory.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(files.directory)
    staged = {view: files.directory / f".{view}.{os.getpid()}.parquet" for view in _COLUMNS}
    since, builds = _recent_since(read), _builds(read)
    staged_builds = files.directory / f".builds.{os.getpid()}.json"
    staged_builds.write_text(json.dumps(builds), encoding="utf-8")
    try:
        rows = {view: read.export_parquet(_query(view), path, since) for view, path in staged.items()}
        with _locked(settings, "write"):
            files.builds.unlink(missing_ok=True)
            for view, path in staged.items():
                path.replace(files.parquet(view))
            staged_builds.replace(files.builds)
    finally:
        for path in (*staged.values(), staged_builds):
            path.unlink(missing_ok=True)
    return Published(rows=rows[FEATURE_VIEW])


def _remove_leftovers(directory: Path) -> None:
    """Remove what a killed publication left: a copy of the whole table, which no later one would replace."""
    for path in (*directory.glob(".*.*.parquet"), *directory.glob(".builds.*.json")):
        pid = path.name.split(".")[-2]
        if pid.isdigit() and not pid_exists(int(pid)):
            path.unlink(missing_ok=True)


def is_published(read: ReadConnection, settings: Settings) -> bool:
    """Whether readers of Feast see the newest feature build of every class already."""
    if settings.warehouse.engine == "bigquery":
        return True
    files = feast_files(settings)
    if not all(files.parquet(view).exists() for view in _COLUMNS) or not files.builds.exists():
        return False
    return bool(json.loads(files.builds.read_text(encoding="utf-8")) == _builds(read))


@contextmanager
def published_files(settings: Settings) -> Iterator[FeastFiles]:
    """Hold the published files still while they are read; on BigQuery there are none.

    Raises:
        FeatureError: Nothing was published yet, or a publication took longer than the warehouse's lock timeout.
    """
    files = feast_files(settings)
    if settings.warehouse.engine == "bigquery":
        yield files
        return
    missing = [view for view in _COLUMNS if not files.parquet(view).exists()]
    if missing:
        raise FeatureError(f"no published {missing[0]} in {files.directory}", remedy="run `tradehits features` first")
    with _locked(settings, "read"):
        yield files


def _query(view: str) -> str:
    """The table in its own order, the newest days of each class behind the rest.

    A load of the newest bars then finds them side by side in the last row group; sorting the table would cost minutes.
    """
    parts = (
        f"SELECT {_COLUMNS[view]} FROM {_TABLE} WHERE {condition}" for condition in (f"NOT {_IS_RECENT}", _IS_RECENT)
    )
    return " UNION ALL ".join(parts)


def _builds(read: ReadConnection) -> list[list[str | int]]:
    """Class, number and time of each class's newest feature build, as JSON keeps them."""
    rows = read.query(_BUILDS).to_pylist()
    return [[row["asset_type"], row["build_number"], row["built_at"].isoformat()] for row in rows]


def _recent_since(read: ReadConnection) -> dict[str, datetime]:
    """The first instant of each class's newest days."""
    newest = {row["asset_type"]: row["newest"] for row in read.query(_NEWEST).to_pylist()}
    return {name: newest[name] - _RECENT if name in newest else _NEVER for name in ASSET_TYPES}


@contextmanager
def _locked(settings: Settings, mode: Literal["read", "write"]) -> Iterator[None]:
    """DuckDB opens a parquet file more than once in a query: a rename in between would mix two builds."""
    directory = feast_files(settings).directory
    directory.mkdir(parents=True, exist_ok=True)
    timeout = settings.warehouse.lock_timeout_seconds
    # Not a singleton: each thread waits for itself instead of failing on another thread's hold.
    lock = ReadWriteLock(directory / "published.lock", timeout=timeout, is_singleton=False)
    with closing(lock):
        try:
            held = lock.acquire_read() if mode == "read" else lock.acquire_write()
        except Timeout as error:
            raise FeatureError(
                f"the published features were in use for {timeout:g} s",
                remedy="look for a reader or publisher that hangs",
            ) from error
        with held:
            yield

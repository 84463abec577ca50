"""An online store for Feast in one SQLite file, one row a key.

Stock `sqlite` keeps a row for each feature of each key: 5,000 symbols of 40 features are 200,000 rows in a table and
two indexes, and reading one symbol reads 40. Here a key's features are one row, a protobuf map of Feast's own values.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from feast import Entity, FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import compute_table_id
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Map, Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from pydantic import StrictStr

from feature_repo.offline_engine import identifier

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_KEYS_A_QUERY = 10_000
"""SQLite binds at most 32,766 values in a statement."""

Found = tuple[datetime | None, dict[str, Value] | None]
StoredRow = tuple[EntityKey, int | None, int | None, bytes]
"""A key, event and creation time in microseconds since 1970, and a serialised map of its features."""


class SqliteRowsOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """The store's section in `feature_store.yaml`.

    Attributes:
        type: The store's import path.
        path: The file; made when something is applied.
        timeout_seconds: How long a writer waits for another one.
    """

    type: StrictStr = "feature_repo.online_rows.SqliteRowsOnlineStore"
    path: StrictStr
    timeout_seconds: float = 60.0


class SqliteRowsOnlineStore(OnlineStore):  # type: ignore[misc]
    """Newest features of each key. A write replaces a key's row whole; readers never wait for a writer."""

    _connection: sqlite3.Connection | None = None

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Store the features of keys in one transaction."""
        rows = (
            (key, microseconds(event), microseconds(created), Map(val=values).SerializeToString())
            for key, values, event, created in data
        )
        self.write_rows(config, table, rows)
        if progress:
            progress(len(data))

    def write_rows(self, config: RepoConfig, table: FeatureView, rows: Iterable[StoredRow]) -> None:
        """Store rows in one transaction: all of them or none."""
        stored = ((_key(config, key), *rest) for key, *rest in rows)
        with self._connect(config) as connection:
            connection.executemany(f"INSERT OR REPLACE INTO {_name(config, table)} VALUES (?, ?, ?, ?)", stored)

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Found]:
        """Event time and features of each key in the order asked for; (None, None) for an unknown key."""
        keys = [_key(config, key) for key in entity_keys]
        rows = self._rows(config, table, list(dict.fromkeys(keys)))
        wanted = None if requested_features is None else frozenset(requested_features)
        return [_found(rows[key], wanted) if key in rows else (None, None) for key in keys]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Make a table for each view, drop those of views that are gone."""
        columns = "entity_key BLOB PRIMARY KEY, event_at INTEGER NOT NULL, created_at INTEGER, features BLOB NOT NULL"
        connection = self._connect(config)
        connection.execute("PRAGMA journal_mode = WAL")
        with connection:
            for view in tables_to_keep:
                connection.execute(f"CREATE TABLE IF NOT EXISTS {_name(config, view)} ({columns}) WITHOUT ROWID")
            for view in tables_to_delete:
                connection.execute(f"DROP TABLE IF EXISTS {_name(config, view)}")

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Remove the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        path = _path(config)
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)

    def _connect(self, config: RepoConfig) -> sqlite3.Connection:
        if self._connection is None:
            path = _path(config)
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite is built to be shared by threads; Feast's reads come from several.
            self._connection = sqlite3.connect(
                path, timeout=config.online_store.timeout_seconds, check_same_thread=False
            )
        return self._connection

    def _rows(self, config: RepoConfig, table: FeatureView, keys: list[bytes]) -> dict[bytes, tuple[int, bytes]]:
        found: dict[bytes, tuple[int, bytes]] = {}
        for start in range(0, len(keys), _KEYS_A_QUERY):
            part = keys[start : start + _KEYS_A_QUERY]
            sql = (
                f"SELECT entity_key, event_at, features FROM {_name(config, table)}"
                f" WHERE entity_key IN ({', '.join('?' * len(part))})"
            )
            with closing(self._connect(config).execute(sql, part)) as cursor:
                rows: Iterable[tuple[bytes, int, bytes]] = cursor
                found.update({key: (event_at, features) for key, event_at, features in rows})
        return found


def _found(row: tuple[int, bytes], wanted: frozenset[str] | None) -> Found:
    event_at, features = row
    values = Map.FromString(features).val
    return _EPOCH + event_at * _MICROSECOND, {
        name: value for name, value in values.items() if wanted is None or name in wanted
    }


def _path(config: RepoConfig) -> Path:
    return Path(config.repo_path or ".") / str(config.online_store.path)


def _name(config: RepoConfig, view: FeatureView) -> str:
    # Stock Feast's tables of the same view, in a file that it wrote, have another layout.
    versioned = config.registry.enable_online_feature_view_versioning
    return identifier(f"rows_{compute_table_id(config.project, view, versioned)}")


def _key(config: RepoConfig, key: EntityKey) -> bytes:
    return bytes(serialize_entity_key(key, entity_key_serialization_version=config.entity_key_serialization_version))


def microseconds(value: datetime | None) -> int | None:
    """A time as microseconds since 1970; None for a missing one.

    Feast hands over times with or without a zone, in UTC both, and pandas' NaT.
    """
    if value is None or value != value:
        return None
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND

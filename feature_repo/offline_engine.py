"""DuckDB as the offline store uses it: an empty database in memory, limits from Feast's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
from feast.repo_config import RepoConfig

from market.errors import FeatureError


@dataclass(frozen=True)
class Engine:
    """Limits of one read, how many entity rows it handles at once, and where relative paths begin."""

    memory_limit: str
    threads: int
    temp_directory: str | None
    batch_rows: int
    staging_location: str | None
    folder: Path

    @classmethod
    def of(cls, config: RepoConfig) -> Engine:
        """The engine that Feast's configuration describes."""
        store = config.offline_store
        return cls(
            store.memory_limit,
            store.threads,
            store.temp_directory,
            store.batch_rows,
            store.staging_location,
            Path(config.repo_path or "."),
        )

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own, in UTC.

        Raises:
            FeatureError: A file is missing, damaged or lacks a column, or memory ran out with nowhere to spill.
        """
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self.memory_limit,
            "threads": self.threads,
        }
        if self.temp_directory:
            config["temp_directory"] = self.temp_directory
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_progress_bar = false")
            try:
                yield connection
            except duckdb.OutOfMemoryException as error:
                raise FeatureError(
                    f"the feature read needs more than {self.memory_limit}",
                    remedy="raise warehouse.memory_limit, or free space for spilling",
                ) from error
            except duckdb.Error as error:
                raise FeatureError(
                    f"the features cannot be read: {str(error).splitlines()[0]}",
                    remedy="publish them again: `tradehits features`",
                ) from error


def identifier(name: str) -> str:
    """A quoted SQL name."""
    return '"' + name.replace('"', '""') + '"'


def text(value: object) -> str:
    """A quoted SQL string."""
    return "'" + str(value).replace("'", "''") + "'"


def instant(value: datetime) -> str:
    """A SQL literal of an instant."""
    return f"TIMESTAMPTZ {text(value.isoformat())}"


def columns(names: list[str]) -> str:
    """A SQL list of names."""
    return ", ".join(identifier(name) for name in names)

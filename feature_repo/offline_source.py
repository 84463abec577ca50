"""Parquet files behind a Feast source: which ones, how their columns are called, which rows a read wants."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FileSource
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.repo_config import RepoConfig

from feature_repo.offline_engine import identifier, instant, text
from market.errors import FeatureError

ROW = "__row"
"""A row's number in a scan, all files counted through; a name that no source has."""


@dataclass(frozen=True)
class ParquetFiles:
    """A parquet file, or the files of a glob pattern in the order of their names, read as one table.

    Attributes:
        pattern: Absolute path or pattern.
        renamed: Feast's name of a column -> its name in the files, where they differ.
    """

    pattern: str
    renamed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, config: RepoConfig, source: DataSource | None) -> ParquetFiles:
        """The files of a Feast source; a relative path is one below the repository, as Feast has it.

        Raises:
            FeatureError: The source is no local parquet file.
        """
        if not (
            isinstance(source, FileSource)
            and (source.file_format is None or isinstance(source.file_format, ParquetFormat))
            and "://" not in source.path
        ):
            raise FeatureError(
                f"source '{getattr(source, 'name', None)}' is no local parquet file",
                remedy="use a FileSource of parquet files, or another offline store",
            )
        mapped = {new: old for old, new in (source.field_mapping or {}).items()}
        return cls(FileSource.get_uri_for_file_path(config.repo_path, source.path), mapped)

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """The files.

        Raises:
            FeatureError: There are none.
        """
        found = [self.pattern] if Path(self.pattern).is_file() else sorted(glob.glob(self.pattern))  # noqa: PTH207
        if not found:
            raise FeatureError(f"no parquet file at {self.pattern}", remedy="run `tradehits features` first")
        return tuple(Path(path) for path in found)

    @cached_property
    def first_rows(self) -> tuple[int, ...]:
        """The number of each file's first row when all rows are counted through."""
        starts, rows = [], 0
        for path in self.paths:
            starts.append(rows)
            rows += pq.read_metadata(path).num_rows
        return tuple(starts)

    @cached_property
    def group_starts(self) -> npt.NDArray[np.int64]:
        """The number of each row group's first row when all rows are counted through."""
        sizes = [
            metadata.row_group(group).num_rows
            for metadata in map(pq.read_metadata, self.paths)
            for group in range(metadata.num_row_groups)
        ]
        return np.cumsum([0, *sizes[:-1]], dtype=np.int64)

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of the first file under their own names."""
        return pq.read_schema(self.paths[0])

    def physical(self, name: str) -> str:
        """The name in the files of a column that Feast calls `name`.

        Raises:
            FeatureError: The files have no such column.
        """
        known = self.schema.names
        for candidate in (self.renamed.get(name, name), name):
            if candidate in known:
                return candidate
        raise FeatureError(f"{self.pattern} has no column {name}", remedy="publish it again, or mend the feature view")

    def scan(self, select: str, where: str = "TRUE", *, rows: tuple[int, int] | None = None) -> str:
        """SQL that reads expressions of the files; `ROW` in them is the row's number counted through.

        Args:
            select: Expressions over the files' columns and `ROW`.
            where: A condition over the same.
            rows: First and last row that can be asked for; files outside are left out.
        """
        ends = [*self.first_rows[1:], None]
        reads: list[str] = []
        for path, start, end in zip(self.paths, self.first_rows, ends, strict=True):
            if rows and reads and (start > rows[1] or (end is not None and end <= rows[0])):
                continue
            number = f"(file_row_number + {start})" if start else "file_row_number"
            table = f"SELECT *, {number} AS {ROW} FROM read_parquet({text(path)}, file_row_number = true)"
            reads.append(f"SELECT {select} FROM ({table}) AS source WHERE {where}")
        return "\nUNION ALL\n".join(reads)

    def microseconds(self, column: str) -> str:
        """SQL of a time column as microseconds since 1970; a time without zone is taken as UTC."""
        return f"epoch_us(CAST({identifier(column)} AS TIMESTAMPTZ))"


@dataclass(frozen=True)
class TableRead:
    """A read of whole rows, under the names they have in the files.

    Attributes:
        files: Where the rows are.
        columns: What to read.
        timestamp: Event time.
        created: When a row was written.
        start: First event time, inclusive; None: no bound.
        end: Last event time, inclusive; None: no bound.
        newest_of: Only the newest row of each of these keys.
        equal: Only rows with these values.
    """

    files: ParquetFiles
    columns: tuple[str, ...]
    timestamp: str
    created: str | None
    start: datetime | None
    end: datetime | None
    newest_of: tuple[str, ...] | None = None
    equal: tuple[tuple[str, str], ...] = ()

    def where_equal(self, column: str, value: str) -> TableRead:
        """The same read, of the rows with this value."""
        return replace(self, equal=(*self.equal, (column, value)))

    @property
    def conditions(self) -> str:
        """SQL of the window and the values; plain comparisons, so that row groups outside are never read."""
        time = f"CAST({identifier(self.timestamp)} AS TIMESTAMPTZ)"
        parts = [f"{identifier(column)} = {text(value)}" for column, value in self.equal]
        if self.start is not None:
            parts.append(f"{time} >= {instant(self.start)}")
        if self.end is not None:
            parts.append(f"{time} <= {instant(self.end)}")
        return " AND ".join(parts) or "TRUE"

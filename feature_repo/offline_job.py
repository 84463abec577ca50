"""Retrieval jobs: nothing is read before a result is asked for, and files are written without holding the result."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FileSource, OnDemandFeatureView
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.saved_dataset import SavedDatasetStorage

from feature_repo.offline_engine import Engine
from market.errors import FeatureError


class StreamedJob(RetrievalJob):  # type: ignore[misc]
    """What both kinds of read share: a result that comes in tables of a few hundred thousand rows."""

    def __init__(self, engine: Engine, *, full_feature_names: bool, metadata: RetrievalMetadata | None) -> None:
        """Nothing is read yet."""
        super().__init__()
        self._engine = engine
        self._full_feature_names = full_feature_names
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        """Whether features are named `view__feature`."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """None left to apply: on-demand features are computed batch by batch."""
        return []

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """What was asked for."""
        return self._metadata

    def batches(self) -> Iterator[pa.Table]:
        """The result in tables of one schema, at least one; rows in the order that is cheapest to read."""
        raise NotImplementedError

    def to_parquet(self, path: Path) -> int:
        """Write the result to one file, put in place whole; returns the number of rows."""
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(self.batches()) as tables:  # type: ignore[type-var]
                rows = _write(tables, beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        return rows

    def persist(self, storage: SavedDatasetStorage, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        """Write the result to a saved dataset's parquet file, on-demand features included.

        Raises:
            SavedDatasetLocationAlreadyExists: The file is there and may not be overwritten.
            FeatureError: The storage is no local file.
        """
        source = storage.to_data_source()
        if not isinstance(source, FileSource) or "://" in source.path:
            raise FeatureError("a saved dataset needs a local file", remedy="use SavedDatasetFileStorage")
        path = self._engine.folder / source.path
        if path.exists() and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=str(path))
        self.to_parquet(path)

    def supports_remote_storage_export(self) -> bool:
        """Whether a staging location is configured."""
        return self._engine.staging_location is not None

    def to_remote_storage(self) -> list[str]:
        """Write the result as parquet files of one batch each below the staging location; returns their paths.

        Raises:
            FeatureError: No staging location is configured.
        """
        if self._engine.staging_location is None:
            raise FeatureError("no staging location", remedy="set offline_store.staging_location")
        folder = self._engine.folder / self._engine.staging_location / uuid.uuid4().hex
        folder.mkdir(parents=True)
        written = []
        for number, table in enumerate(self.batches()):
            written.append(str(folder / f"{number:05d}.parquet"))
            pq.write_table(table, written[-1])
        return written

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with closing(self.batches()) as tables:  # type: ignore[type-var]
            return pa.concat_tables(list(tables))

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame


def _write(tables: Iterator[pa.Table], path: Path) -> int:
    rows = 0
    writer: Any = None
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(path, table.schema, compression="snappy", use_dictionary=_texts(table))
            writer.write_table(table)
            rows += table.num_rows
    finally:
        if writer:
            writer.close()
    return rows


def _texts(table: pa.Table) -> list[str]:
    """Dictionaries pay for text; floats seldom repeat, and trying costs as much as writing them."""
    return [field.name for field in table.schema if not pa.types.is_floating(field.type)]

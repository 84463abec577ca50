"""An offline store for Feast on DuckDB's ASOF joins: what stock `duckdb` answers, without joining whole histories.

Feast takes it by its name (`offline_store: {type: feature_repo.offline_store.DuckDBAsofOfflineStore}`); sources are
parquet files. Stock Feast joins every entity row with all of its symbol's bars and ranks the pairs; here

1. `offline_join` finds, for each entity row and view, the one source row that answers it, reading keys and times alone;
2. `offline_gather` fetches just these rows' features, some hundred thousand entity rows at a time;
3. `offline_history` hands them out as Arrow, DataFrame or a parquet file, on-demand features included.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from feast import FeatureView, OnDemandFeatureView
from feast.data_source import DataSource
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.infra.offline_stores.ibis import write_logged_features_ibis
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from pydantic import Field, StrictStr

from feature_repo.offline_append import append_batch
from feature_repo.offline_engine import Engine
from feature_repo.offline_entities import EntityFrame
from feature_repo.offline_history import HistoricalJob
from feature_repo.offline_source import ParquetFiles, TableRead
from feature_repo.offline_table import TableJob
from feature_repo.offline_views import requested_views
from market.errors import FeatureError


class DuckDBAsofOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """The store's section in `feature_store.yaml`.

    Attributes:
        type: The store's import path.
        memory_limit: DuckDB's own limit; beyond it joins spill to `temp_directory`.
        threads: Cores to use.
        temp_directory: Where DuckDB spills; None: its default, a folder in the working directory.
        batch_rows: Entity rows whose features are in memory at once when the answer is written to a file.
        staging_location: Folder of `to_remote_storage`; None: not supported.
    """

    type: StrictStr = "feature_repo.offline_store.DuckDBAsofOfflineStore"
    memory_limit: str = "3GB"
    threads: int = Field(default=2, ge=1)
    temp_directory: str | None = None
    batch_rows: int = Field(default=500_000, ge=1)
    staging_location: str | None = None


class DuckDBAsofOfflineStore(OfflineStore):  # type: ignore[misc]
    """Point-in-time joins and whole-table reads of parquet files.

    Every method answers as stock `duckdb` does; where that one is wrong or leaves the answer open,
    `docs/adr/0013-asof-offline-store.md` says what this one does.
    """

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView | OnDemandFeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **unsupported: Any,
    ) -> RetrievalJob:
        """Features as they were known at each entity row's instant, in the order of the entity rows.

        Args:
            config: Feast's configuration.
            feature_views: The views that hold the features.
            feature_refs: `view:feature`, those that on-demand features need included.
            entity_df: A DataFrame or the path of a parquet file: join keys and one time column with a zone.
            registry: Feast's registry.
            project: Feast's project.
            full_feature_names: Name features `view__feature`.
            filter_by_created_timestamp: Leave out rows written after the entity row's instant.
            unsupported: Feast's range reads without entities.

        Raises:
            FeatureError: An unusable entity frame, or a source that is no parquet file.
        """
        if entity_df is None or unsupported:
            raise FeatureError("a point-in-time read needs entity rows", remedy="give `entity_df` and no date range")
        views = requested_views(config, feature_views, feature_refs, full_feature_names=full_feature_names)
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        entities = EntityFrame.checked(
            entity_df,
            join_columns=[column for view in views for column in view.keys.values()],
            feature_columns=[name for view in views for name in view.features],
        )
        first, last = entities.time_range()
        metadata = RetrievalMetadata(
            features=feature_refs,
            keys=[name for name in entities.names if name != entities.time_column],
            min_event_timestamp=first,
            max_event_timestamp=last,
        )
        return HistoricalJob(
            engine=Engine.of(config),
            entities=entities,
            views=views,
            created_by_then=filter_by_created_timestamp,
            on_demand=on_demand,
            full_feature_names=full_feature_names,
            metadata=metadata,
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """The newest row of each key in [`start_date`, `end_date`]; of equal times the one created last."""
        return _table_job(
            config,
            data_source,
            [*join_key_columns, *feature_name_columns],
            (timestamp_field, created_timestamp_column),
            (start_date, end_date),
            newest_of=tuple(join_key_columns),
        )

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """All rows in [`start_date`, `end_date`], both open when None, in the order of the file."""
        return _table_job(
            config,
            data_source,
            [*join_key_columns, *feature_name_columns],
            (timestamp_field, created_timestamp_column),
            (start_date, end_date),
        )

    @staticmethod
    def offline_write_batch(
        config: RepoConfig, feature_view: FeatureView, table: pa.Table, progress: Callable[[int], Any] | None
    ) -> None:
        """Append rows to a view's parquet file, which is replaced whole by an atomic rename.

        Raises:
            FeatureError: Other columns than the file's, or a source that is no single parquet file.
        """
        append_batch(Engine.of(config), ParquetFiles.of(config, feature_view.batch_source), table)
        if progress:
            progress(table.num_rows)

    @staticmethod
    def write_logged_features(
        config: RepoConfig,
        data: pa.Table | Path,
        source: LoggingSource,
        logging_config: LoggingConfig,
        registry: BaseRegistry,
    ) -> None:
        """Append logged features to their folder, as stock `duckdb` does."""
        write_logged_features_ibis(
            config=config, data=data, source=source, logging_config=logging_config, registry=registry
        )


def _table_job(
    config: RepoConfig,
    source: DataSource,
    columns: list[str],
    times: tuple[str, str | None],
    between: tuple[datetime | None, datetime | None],
    *,
    newest_of: tuple[str, ...] | None = None,
) -> TableJob:
    timestamp, created = times
    start, end = (None if instant is None else instant.astimezone(UTC) for instant in between)
    names = dict.fromkeys([*columns, timestamp, *([created] if created else [])])
    read = TableRead(
        files=ParquetFiles.of(config, source),
        columns=tuple(names),
        timestamp=timestamp,
        created=created,
        start=start,
        end=end,
        newest_of=newest_of,
    )
    return TableJob(Engine.of(config), read)

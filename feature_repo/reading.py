"""Reads of the published history through Feast: whole tables and point-in-time frames."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl
from feast import BigQuerySource, FeatureStore
from feast.data_source import DataSource
from feast.infra.offline_stores.offline_store import RetrievalJob

from configs.settings import Settings
from feature_repo.connection import open_store, quiet
from feature_repo.offline_table import TableJob
from feature_repo.publication import published_files
from feature_repo.services import FEATURE_VIEW, INTERACTIONS, KEYS, LABEL_VIEW, LABELS, feature_names, stored_columns
from market.assets import AssetType
from market.errors import FeatureError, MixedVariantError

UTC_TIME = pl.Datetime("us", "UTC")
ENTITY_COLUMNS = ("asset_type", "symbol", "event_timestamp")
CHUNK_ROWS = 100_000
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def read_features(
    settings: Settings, service: str, asset_type: AssetType, *, store: FeatureStore | None = None
) -> pl.DataFrame:
    """All rows of one asset class, for training.

    Returns:
        Keys (`asset_type`, `symbol`, `datetime`, `bar_known_at`) and the service's features in their order as Float64,
        sorted by symbol and datetime; NULL where a feature is unknown, never NaN.

    Raises:
        FeatureError: Unknown service, nothing applied or nothing published yet.
        MixedVariantError: Rows were made by another indicator variant than the configured one.
    """
    names = feature_names(service)
    store = store or open_store(settings)
    frame = _pull_all(
        settings, store, FEATURE_VIEW, ("datetime", "indicator_variant", *stored_columns(service)), asset_type
    )
    refuse_other_variants(settings, frame)
    return _as_features(_with_interactions(store, frame, names), KEYS, names)


def read_labels(settings: Settings, asset_type: AssetType, *, store: FeatureStore | None = None) -> pl.DataFrame:
    """All labels of one asset class; join them to features by exact key.

    Returns:
        Keys, `target_direction`, `forward_return_pct`, `label_known_at`, `data_split`, sorted by symbol and datetime;
        the first three are NULL for a bar without a next one.

    Raises:
        FeatureError: Nothing applied or nothing published yet.
    """
    store = store or open_store(settings)
    frame = _pull_all(settings, store, LABEL_VIEW, (KEYS[2], *LABELS), asset_type)
    return frame.select(*KEYS, *LABELS).sort(KEYS[:3])


def read_historical(
    settings: Settings, service: str, entity_frame: pl.DataFrame, *, store: FeatureStore | None = None
) -> pl.DataFrame:
    """Features as they were known at given instants.

    Args:
        settings: The profile.
        service: Feature service.
        entity_frame: `asset_type`, `symbol` and an `event_timestamp` with a zone; other columns are kept. Each row gets
            the newest bar with `bar_known_at` at or before its instant and at most `feast.ttl_days` older.
        store: An open store; default: opened for this call.

    Returns:
        The entity frame's rows in its order, then the features as Float64, all NULL where no bar qualifies.

    Raises:
        FeatureError: Missing or naive columns, unknown service, nothing applied or nothing published yet.
    """
    names = feature_names(service)
    entities = _checked_entities(entity_frame, names)
    if entity_frame.is_empty():
        return entity_frame.with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)
    store = store or open_store(settings)
    # Arrow columns spare the embedded engine millions of Python strings; BigQuery's store wants NumPy's times.
    rows = entities.to_pandas(use_pyarrow_extension_array=settings.warehouse.engine == "duckdb")
    with published_files(settings), quiet():
        job = store.get_historical_features(rows, store.get_feature_service(service))
        found = pl.DataFrame(job.to_arrow())
    found = _as_features(found.with_columns(pl.col("event_timestamp").cast(UTC_TIME)), ENTITY_COLUMNS, names)
    instant = pl.col("event_timestamp").cast(UTC_TIME)
    return (
        entity_frame.with_columns(instant.alias("__instant"))
        .join(
            found.rename({"event_timestamp": "__instant"}),
            on=["asset_type", "symbol", "__instant"],
            how="left",
            maintain_order="left",
        )
        .drop("__instant")
    )


def newest_bars(store: FeatureStore) -> pl.DataFrame:
    """`asset_type`, `symbol` and the `bar_known_at` of each symbol's newest published bar.

    The caller holds the published files.
    """
    view = store.get_feature_view(FEATURE_VIEW)
    source = view.batch_source
    job = store.provider.offline_store.pull_latest_from_table_or_query(
        config=store.config,
        data_source=source,
        join_key_columns=view.join_keys,
        feature_name_columns=[],
        timestamp_field=source.timestamp_field,
        created_timestamp_column=source.created_timestamp_column,
        start_date=EARLIEST,
        end_date=LATEST,
    )
    return pl.DataFrame(job.to_arrow()).select("asset_type", "symbol", pl.col("bar_known_at").cast(UTC_TIME))


def float64(names: Sequence[str]) -> list[pl.Expr]:
    """The columns as models take them: Float64, NULL for an unknown value, never NaN."""
    return [pl.col(name).cast(pl.Float64).fill_nan(None) for name in names]


def refuse_other_variants(settings: Settings, frame: pl.DataFrame) -> None:
    """Raise `MixedVariantError` for rows of another indicator variant than the configured one."""
    configured = settings.indicators.variant
    others = sorted(set(frame["indicator_variant"].unique().drop_nulls()) - {configured})
    if others:
        raise MixedVariantError(
            f"features were made by indicator variant {', '.join(others)}, configured is {configured}",
            remedy="rebuild them: `tradehits features`",
        )


def _pull_all(
    settings: Settings, store: FeatureStore, view_name: str, columns: Sequence[str], asset_type: AssetType
) -> pl.DataFrame:
    """Stored columns of one asset class through Feast's whole-table read (point-in-time joins cost minutes here)."""
    view = store.get_feature_view(view_name)
    source = view.batch_source
    with published_files(settings), quiet():
        job = store.provider.offline_store.pull_all_from_table_or_query(
            config=store.config,
            data_source=_of_class(source, asset_type),
            join_key_columns=view.join_keys,
            feature_name_columns=list(columns),
            timestamp_field=source.timestamp_field,
            created_timestamp_column=None,
            start_date=EARLIEST,
            end_date=LATEST,
        )
        frame = pl.DataFrame(_narrowed(job, asset_type).to_arrow())
    times = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    return frame.filter(pl.col("asset_type") == asset_type).with_columns(pl.col(*times).cast(UTC_TIME))


def _of_class(source: DataSource, asset_type: AssetType) -> DataSource:
    """BigQuery's table narrowed to one class; parquet files are narrowed in the job."""
    if not isinstance(source, BigQuerySource):
        return source
    return BigQuerySource(
        name=source.name,
        query=f"SELECT * FROM ({source.query}) WHERE asset_type = '{asset_type}'",
        timestamp_field=source.timestamp_field,
        created_timestamp_column=source.created_timestamp_column,
    )


def _narrowed(job: RetrievalJob, asset_type: AssetType) -> RetrievalJob:
    return job.where_equal("asset_type", asset_type) if isinstance(job, TableJob) else job


def _with_interactions(store: FeatureStore, frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Apply the registered on-demand views' own transformations, which whole-table reads leave out."""
    for name in (name for name in names if name in INTERACTIONS):
        transform = store.get_on_demand_feature_view(name).feature_transformation.udf
        chunks = frame.select(INTERACTIONS[name]).iter_slices(CHUNK_ROWS)
        values = [pl.Series(name, transform(chunk.to_dict(as_series=False))[name], pl.Float64) for chunk in chunks]
        frame = frame.with_columns(pl.concat(values) if values else pl.lit(None, pl.Float64).alias(name))
    return frame


def _as_features(frame: pl.DataFrame, keys: Sequence[str], names: Sequence[str]) -> pl.DataFrame:
    return frame.select(*keys, *float64(names)).sort(keys)


def _checked_entities(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Distinct entity rows as Feast wants them; the caller's other columns never pass through Feast."""
    missing = [name for name in ENTITY_COLUMNS if name not in frame.columns]
    if missing:
        raise FeatureError(f"entity frame without {', '.join(missing)}", remedy=f"give {', '.join(ENTITY_COLUMNS)}")
    clashing = [name for name in names if name in frame.columns]
    if clashing:
        raise FeatureError(f"entity frame already has {', '.join(clashing)}", remedy="drop or rename these columns")
    dtype = frame.schema["event_timestamp"]
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        raise FeatureError(
            f"event_timestamp is {dtype}, not a time with a zone",
            remedy="use .dt.replace_time_zone('UTC') if it is UTC",
        )
    entities = frame.select(
        pl.col("asset_type").cast(pl.String), pl.col("symbol").cast(pl.String), pl.col("event_timestamp").cast(UTC_TIME)
    )
    empty = [name for name in ENTITY_COLUMNS if entities[name].null_count()]
    if empty:
        raise FeatureError(f"entity frame has NULL in {', '.join(empty)}", remedy="drop these rows")
    return entities.unique(maintain_order=True)

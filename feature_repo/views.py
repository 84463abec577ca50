"""What Feast knows: entities, sources, feature views, on-demand views and services, built from settings."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import timedelta
from types import FunctionType

from feast import BigQuerySource, Entity, FeatureService, FeatureView, Field, FileSource, OnDemandFeatureView
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.feature_view_projection import FeatureViewProjection
from feast.types import FeastType, Float64, Int64, String, UnixTimestamp
from feast.value_type import ValueType

from configs.settings import Settings
from feature_repo import interactions
from feature_repo.publication import KNOWN_AT, feast_files
from feature_repo.services import (
    FEATURE_VIEW,
    INTERACTIONS,
    LABEL_VIEW,
    LEVEL_WARNING,
    SCALE_FREE_SERVICES,
    SERVICES,
    stored_columns,
)

FEATURE_TABLE = "walk_forward_features_v2"

INTEGER_COLUMNS = frozenset(
    {
        "rsi_overbought",
        "rsi_oversold",
        "macd_rising",
        "macd_cross_up",
        "macd_cross",
        "pivot_high_flag",
        "pivot_low_flag",
        "in_rise_cycle",
        "rise_cycle_start",
        "golden_cross",
        "death_cross",
        "growth_score",
    }
)
STAMP_COLUMNS: dict[str, FeastType] = {
    "datetime": UnixTimestamp,
    "known_at": UnixTimestamp,
    "indicator_variant": String,
}
"""Not model inputs: what lets a reader check how fresh a row is and by which indicators it was made."""


@dataclass(frozen=True)
class Definitions:
    """Every object of the repository."""

    asset_type: Entity
    symbol: Entity
    features: FeatureView
    labels: FeatureView
    interactions: tuple[OnDemandFeatureView, ...]
    services: tuple[FeatureService, ...]

    def objects(self) -> list[Entity | FeatureView | OnDemandFeatureView | FeatureService]:
        """All objects, as `FeatureStore.apply` takes them."""
        return [self.asset_type, self.symbol, self.features, self.labels, *self.interactions, *self.services]


def definitions(settings: Settings) -> Definitions:
    """Build the repository's objects; the settings decide where the sources lie and how long a feature lives."""
    asset_type = Entity(name="asset_type", join_keys=["asset_type"], value_type=ValueType.STRING)
    symbol = Entity(name="symbol", join_keys=["symbol"], value_type=ValueType.STRING)
    features = FeatureView(
        name=FEATURE_VIEW,
        description="Features of every closed daily bar, known at the bar's close.",
        entities=[asset_type, symbol],
        ttl=timedelta(days=settings.feast.ttl_days),
        schema=_feature_fields(),
        source=batch_source(settings, FEATURE_VIEW),
        online=True,
        tags={"grain": "asset_type, symbol, datetime"},
    )
    labels = FeatureView(
        name=LABEL_VIEW,
        description="Next-bar labels, joined by exact key only: as-of, a bar would get its predecessor's label.",
        entities=[asset_type, symbol],
        ttl=timedelta(days=settings.feast.ttl_days),
        schema=_label_fields(),
        source=batch_source(settings, LABEL_VIEW),
        online=False,
        tags={"grain": "asset_type, symbol, datetime", "join": "exact key"},
    )
    on_demand = tuple(_on_demand_view(name, features) for name in INTERACTIONS)
    services = tuple(_service(name, features, on_demand) for name in SERVICES)
    return Definitions(asset_type, symbol, features, labels, on_demand, services)


def batch_source(settings: Settings, view: str) -> DataSource:
    """Where a view's rows come from: the table itself on BigQuery, its published parquet copy elsewhere."""
    if settings.warehouse.engine == "bigquery":
        warehouse = settings.warehouse
        table = f"`{warehouse.project}.{warehouse.datasets.ml_models}.{FEATURE_TABLE}`"
        return BigQuerySource(
            name=view,
            query=f"SELECT *, {KNOWN_AT} FROM {table}",
            timestamp_field="bar_known_at",
            created_timestamp_column="created_timestamp",
        )
    return FileSource(
        name=view,
        path=str(feast_files(settings).parquet(view)),
        file_format=ParquetFormat(),
        timestamp_field="bar_known_at",
        created_timestamp_column="created_timestamp",
    )


def _key_fields() -> list[Field]:
    return [Field(name="asset_type", dtype=String), Field(name="symbol", dtype=String)]


def _feature_fields() -> list[Field]:
    columns = dict.fromkeys(column for service in SERVICES for column in stored_columns(service))
    stamps = [Field(name=name, dtype=dtype) for name, dtype in STAMP_COLUMNS.items()]
    return [*_key_fields(), *stamps, *(Field(name=name, dtype=_dtype(name)) for name in columns)]


def _label_fields() -> list[Field]:
    return [
        *_key_fields(),
        Field(name="datetime", dtype=UnixTimestamp),
        Field(name="target_direction", dtype=Int64),
        Field(name="forward_return_pct", dtype=Float64),
        Field(name="label_known_at", dtype=UnixTimestamp),
        Field(name="data_split", dtype=String),
    ]


def _dtype(column: str) -> FeastType:
    return Int64 if column in INTEGER_COLUMNS else Float64


def _on_demand_view(name: str, features: FeatureView) -> OnDemandFeatureView:
    transformation: FunctionType = getattr(interactions, name)
    # A whole view as source would load every stored column for each interaction.
    narrowed: FeatureViewProjection = features[list(INTERACTIONS[name])].projection
    return OnDemandFeatureView(
        name=name,
        description=inspect.getdoc(transformation) or "",
        schema=[Field(name=name, dtype=Float64)],
        sources=[narrowed],
        mode="python",
        udf=transformation,
        udf_string=inspect.getsource(transformation),
    )


def _service(name: str, features: FeatureView, on_demand: tuple[OnDemandFeatureView, ...]) -> FeatureService:
    stored = [feature for feature in SERVICES[name] if feature not in INTERACTIONS]
    scale_free = name in SCALE_FREE_SERVICES
    return FeatureService(
        name=name,
        features=[features[stored], *(view for view in on_demand if view.name in SERVICES[name])],
        description="Scale-free features." if scale_free else LEVEL_WARNING,
        tags={"scale_free": str(scale_free).lower()} | ({} if scale_free else {"warning": "levels"}),
    )

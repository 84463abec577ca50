"""Training data of one asset class, out of Feast, as arrays in time order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from configs.settings import Settings
from feature_repo import interactions
from feature_repo.services import INTERACTIONS, feature_names, stored_columns
from market.assets import AssetType
from market.errors import IntegrityError, NotEnoughDataError
from registry.provenance import content_hash
from warehouse.warehouse import Warehouse

KEY = ("asset_type", "symbol", "datetime")
LABELS = ("target_direction", "forward_return_pct", "label_known_at", "data_split")


@dataclass(frozen=True)
class Dataset:
    """Rows of one asset class, sorted by (datetime, symbol).

    Attributes:
        asset_type: The asset class.
        features: Names of the columns of `matrix`.
        matrix: float32 (rows, features); NaN where a feature is unknown.
        label: float32 (rows,); 1 up, 0 down, NaN while the next bar is unknown.
        datetime: datetime64[us] (rows,), the bars' stamps, UTC.
        known_at: datetime64[us] (rows,), when each bar closed.
        label_known_at: datetime64[us] (rows,), NaT where there is no next bar.
        keys: The key, `bar_known_at` and the label columns of every row, in the same order.
        content_hash: SHA-256 over keys, features and labels; equal data gives an equal hash.
        steps: Rows at each step from Feast to here, as far as they were counted.
    """

    asset_type: AssetType
    features: tuple[str, ...]
    matrix: NDArray[np.float32]
    label: NDArray[np.float32]
    datetime: NDArray[np.datetime64]
    known_at: NDArray[np.datetime64]
    label_known_at: NDArray[np.datetime64]
    keys: pl.DataFrame
    content_hash: str
    steps: tuple[tuple[str, int], ...] = ()

    @property
    def rows(self) -> int:
        """Number of bars."""
        return len(self.label)


def load_dataset(settings: Settings, asset_type: AssetType) -> Dataset:
    """Read features and labels of an asset class out of Feast and join them by exact key.

    Raises:
        NotEnoughDataError: The class has no feature rows.
        IntegrityError: A key stands twice, or features and labels do not cover the same bars.
    """
    # what reads tables takes seconds and 150 MB to import, and workers that fit folds read none
    from feature_repo.store import read_features, read_labels

    features = read_features(settings, settings.training.feature_service, asset_type)
    labels = read_labels(settings, asset_type)
    if features.height == 0:
        raise NotEnoughDataError(
            f"{asset_type} has no features", remedy=f"run `tradehits ingest` and `tradehits features` for {asset_type}"
        )
    joined = join_labels(features, labels).sort("datetime", "symbol")
    steps = (("Feast features", features.height), ("Feast labels", labels.height), ("joined", joined.height))
    return replace(as_dataset(settings, asset_type, joined), steps=steps)


def training_set_as_of(
    warehouse: Warehouse, settings: Settings, asset_type: AssetType, as_of: datetime
) -> pl.DataFrame:
    """The rows that training would have had with what was known at an instant.

    Bars are those known then (`warehouse.asof`), indicators and features are computed from them, and a row has a label
    only if its next bar was known. Corrections that arrived later change nothing, and `training_set_hash` proves it.

    Args:
        warehouse: Holds every version of the bars.
        settings: Feature service, indicator variant, split dates.
        asset_type: The asset class.
        as_of: The instant, with a zone.

    Returns:
        `KEY`, `bar_known_at`, the service's features as Float64 and `LABELS`, sorted by (datetime, symbol); NULL where
        something is unknown.

    Raises:
        KnowledgeTimeError: Nobody can say what was known then.
    """
    from warehouse.asof import warehouse_as_of

    with warehouse_as_of(warehouse, settings, asset_type, as_of) as past:
        return stored_training_set(past.warehouse, settings, asset_type)


def stored_training_set(warehouse: Warehouse, settings: Settings, asset_type: AssetType) -> pl.DataFrame:
    """The same rows as `training_set_as_of` from the features of a warehouse as they stand, without Feast."""
    from warehouse.features import FEATURES_TABLE

    service = settings.training.feature_service
    columns = dict.fromkeys((*KEY, "bar_known_at", *stored_columns(service), *LABELS))
    sql = f"SELECT {', '.join(columns)} FROM `{FEATURES_TABLE}` WHERE asset_type = @asset_type"
    with warehouse.read() as read:
        frame = pl.DataFrame(read.query(f"{sql} ORDER BY datetime, symbol", {"asset_type": asset_type}))
    names = feature_names(service)
    for name in (name for name in names if name in INTERACTIONS):
        transform = getattr(interactions, name)
        values = transform(frame.select(INTERACTIONS[name]).to_dict(as_series=False))[name]
        frame = frame.with_columns(pl.Series(name, values, pl.Float64))
    return frame.select(*KEY, "bar_known_at", *(pl.col(name).cast(pl.Float64) for name in names), *LABELS)


def training_set_hash(settings: Settings, training_set: pl.DataFrame) -> str:
    """SHA-256 over keys, features and labels of a training set sorted by (datetime, symbol)."""
    return content_hash(training_set.select(*KEY, *feature_names(settings.training.feature_service), *LABELS))


def as_dataset(settings: Settings, asset_type: AssetType, joined: pl.DataFrame) -> Dataset:
    """Arrays out of rows that have features and labels, sorted by (datetime, symbol)."""
    names = feature_names(settings.training.feature_service)
    matrix = joined.select(names).cast(pl.Float32).fill_null(float("nan")).to_numpy(order="c")
    keys = joined.select(*KEY, "bar_known_at", *LABELS)
    return Dataset(
        asset_type=asset_type,
        features=tuple(names),
        matrix=np.ascontiguousarray(matrix),
        label=joined["target_direction"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        datetime=_instants(joined["datetime"]),
        known_at=_instants(joined["bar_known_at"]),
        label_known_at=_instants(joined["label_known_at"]),
        keys=keys,
        content_hash=training_set_hash(settings, joined),
    )


def join_labels(features: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Join features and labels one to one by key; anything else than one row a key is an `IntegrityError`."""
    for name, frame in (("features", features), ("labels", labels)):
        repeated = frame.height - frame.select(KEY).n_unique()
        if repeated:
            raise IntegrityError(
                f"{name}: {repeated} of {frame.height} rows repeat a key (asset_type, symbol, datetime)",
                remedy="rebuild with `tradehits features`; a join or an import has multiplied rows",
            )
    joined = features.join(labels.select(*KEY, *LABELS), on=KEY, how="inner")
    if not joined.height == features.height == labels.height:
        raise IntegrityError(
            f"features have {features.height} rows, labels {labels.height}, joined by key {joined.height}",
            remedy="features and labels are of different builds: run `tradehits features` again",
        )
    return joined


def as_utc(instant: np.datetime64) -> datetime:
    """A naive UTC numpy instant as an aware datetime."""
    value: datetime = instant.astype("datetime64[us]").item()
    return value.replace(tzinfo=UTC)


def _instants(column: pl.Series) -> NDArray[np.datetime64]:
    return column.dt.replace_time_zone(None).cast(pl.Datetime("us")).to_numpy()

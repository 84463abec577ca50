"""Training data of one asset class, out of Feast, as arrays in time order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from configs.settings import Settings
from feature_repo.services import feature_names
from feature_repo.store import read_features, read_labels
from market.assets import AssetType
from market.errors import IntegrityError, NotEnoughDataError
from registry.provenance import content_hash

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
    service = settings.training.feature_service
    names = feature_names(service)
    features = read_features(settings, service, asset_type)
    labels = read_labels(settings, asset_type)
    if features.height == 0:
        raise NotEnoughDataError(
            f"{asset_type} has no features", remedy=f"run `tradehits ingest` and `tradehits features` for {asset_type}"
        )
    joined = join_labels(features, labels).sort("datetime", "symbol")
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
        content_hash=content_hash(joined.select(*KEY, *names, *LABELS)),
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

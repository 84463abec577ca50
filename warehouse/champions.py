"""Whose record is published, and which thresholds are in force because of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import pyarrow as pa

from configs.settings import Settings
from market.assets import AssetType
from market.signals import Thresholds
from warehouse.warehouse import ReadConnection, Write

CHAMPIONS_TABLE = "tradehits.champions"


@dataclass(frozen=True)
class PublishedChampion:
    """The model whose record an asset class's published rows are.

    Attributes:
        calibration: Method of its bundle: none, platt or isotonic.
        buy_threshold: Of its bundle, like the other three.
        configured_thresholds: The configuration's when it was published, as the function of that name writes them.
        change_id: `deployment_id` of the change that published it.
        published_at: When, UTC.
    """

    asset_type: AssetType
    model_version: str
    run_id: str
    feature_service: str
    indicator_variant: str
    calibration: str
    trained_through: datetime
    buy_threshold: float
    sell_threshold: float
    high_threshold: float
    medium_threshold: float
    configured_thresholds: str
    change_id: str
    published_at: datetime

    @property
    def thresholds(self) -> Thresholds:
        """Thresholds of its bundle."""
        return Thresholds(self.buy_threshold, self.sell_threshold, self.high_threshold, self.medium_threshold)


def published_champions(read: ReadConnection) -> dict[AssetType, PublishedChampion]:
    """The published champion of every class that has one."""
    names = ", ".join(PublishedChampion.__dataclass_fields__)
    rows = read.query(f"SELECT {names} FROM `{CHAMPIONS_TABLE}`").to_pylist()
    return {row["asset_type"]: PublishedChampion(**row) for row in rows}


def champion_write(champion: PublishedChampion) -> Write:
    """The write that names the champion; it belongs into the transaction of the champion's rows."""
    stamp = pa.timestamp("us", tz="UTC")
    values = asdict(champion)
    schema = pa.schema(
        [
            (name, stamp if isinstance(value, datetime) else pa.float64() if isinstance(value, float) else pa.string())
            for name, value in values.items()
        ]
    )
    return Write(CHAMPIONS_TABLE, rows=pa.Table.from_pylist([values], schema=schema), mode="merge")


def configured_thresholds(settings: Settings, asset_type: AssetType) -> str:
    """What the configuration says about a class's thresholds, as a text that changes when it does."""
    return json.dumps(settings.thresholds.of(asset_type).model_dump(mode="json"), sort_keys=True)


def thresholds_in_force(
    settings: Settings, asset_type: AssetType, published: Mapping[AssetType, PublishedChampion]
) -> Thresholds:
    """The newest decision about a class's thresholds.

    A promotion or rollback puts the bundle's thresholds in force; a configuration that was changed since then is the
    newer decision. Without a champion it is the configuration's.
    """
    champion, configured = published.get(asset_type), settings.thresholds.of(asset_type)
    if champion is None:
        return configured.rules()
    is_unchanged = champion.configured_thresholds == configured_thresholds(settings, asset_type)
    # quantiles become numbers in a bundle only
    return champion.thresholds if is_unchanged or configured.mode == "quantile" else configured.rules()

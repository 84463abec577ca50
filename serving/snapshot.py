"""What the service answers from: rows, thresholds and models that agree, read from one file and never changed."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from market.assets import ASSET_TYPES, AssetType
from market.errors import RegistryError, SnapshotError
from market.signals import Thresholds
from registry.bundle import INFO_FILE, MODEL_FILE, Bundle
from serving.snapshot_columns import RecordColumns
from serving.snapshot_file import REMEDY, read_snapshot
from serving.snapshot_rows import RealtimeRow, WalkForwardRow

WALK_FORWARD = "walk_forward.parquet"
REALTIME = "realtime.parquet"
HISTORY_ROWS = 10
"""A symbol's newest rows that are shown as its history."""

Place = tuple[str, str]


@dataclass(frozen=True)
class RecordSummary:
    """How often predictions of known outcome were right, beside the base rate.

    Attributes:
        data_split: TRAIN (burn-in folds), TEST or VALIDATE; of HIGH confidence over TEST and VALIDATE: None.
        total_predictions: Predictions whose outcome is known.
        accuracy: `correct` of them, percent; None without any.
        base_rate: Share of the more frequent direction among the same rows, percent.
        accuracy_ci_95: Block bootstrap by date, percent.
    """

    asset_type: AssetType
    data_split: str | None
    total_predictions: int
    correct: int
    accuracy: float | None
    base_rate: float | None
    accuracy_ci_95: tuple[float, float] | None


@dataclass(frozen=True)
class ChampionInfo:
    """The model behind a class's rows.

    Attributes:
        thresholds: In force when the snapshot was made, as in the views.
        today: What "now" meant for the class then.
        as_of: Newest `bar_known_at` of its rows; None without rows.
        high_record: Its record at HIGH confidence over TEST and VALIDATE.
    """

    asset_type: AssetType
    model_version: str
    run_id: str
    feature_service: str
    features: tuple[str, ...]
    indicator_variant: str
    trained_through: datetime
    thresholds: Thresholds
    today: datetime
    as_of: datetime | None
    high_record: RecordSummary


@dataclass(frozen=True)
class Snapshot:
    """One immutable state of the platform, as the service shows it.

    Attributes:
        id: Hash of its contents.
        profile: Whose it is.
        created_at: When it was made, UTC.
        champions: By asset class; a class without a champion is missing, and has no rows.
        bundles: The champions, ready to score; one thread each.
        walk_forward: Rows of `WalkForwardRow`, newest first, then by class and symbol.
        realtime: Rows of `RealtimeRow`, likewise.
        summary: One a class and split.
        methodology: What training, testing and validation mean, in words.
    """

    id: str
    profile: str
    created_at: datetime
    champions: Mapping[AssetType, ChampionInfo]
    bundles: Mapping[AssetType, Bundle]
    walk_forward: pl.DataFrame
    realtime: pl.DataFrame
    summary: tuple[RecordSummary, ...]
    methodology: Mapping[str, str]

    @property
    def as_of(self) -> dict[AssetType, datetime | None]:
        """Newest `bar_known_at` of each class."""
        return {name: champion.as_of for name, champion in self.champions.items()}

    @property
    def model_versions(self) -> dict[AssetType, str]:
        """`model_version` of each class."""
        return {name: champion.model_version for name, champion in self.champions.items()}

    @cached_property
    def symbols(self) -> dict[AssetType, tuple[str, ...]]:
        """Symbols of each class, sorted."""
        found: dict[AssetType, list[str]] = {name: [] for name in self.champions}
        for asset_type, symbol in sorted(self.history_positions):
            found[asset_type].append(symbol)  # type: ignore[index]
        return {name: tuple(symbols) for name, symbols in found.items()}

    @cached_property
    def columns(self) -> RecordColumns:
        """`walk_forward` in the form that pages are made of."""
        return RecordColumns(self.walk_forward)

    @cached_property
    def newest_signals(self) -> dict[tuple[str, str], int]:
        """How many symbols' newest stored predictions give each signal, by class and signal."""
        newest = self.realtime[[found[0] for found in self._realtime_positions.values()]]
        counted = newest.group_by("asset_type", "signal").len()
        return {(asset_type, signal): number for asset_type, signal, number in counted.iter_rows()}

    @cached_property
    def history_positions(self) -> dict[Place, tuple[int, ...]]:
        """Where a symbol's rows are in `walk_forward`, newest first, at most `HISTORY_ROWS`."""
        return _positions(self.walk_forward, HISTORY_ROWS)

    @cached_property
    def _realtime_positions(self) -> dict[Place, tuple[int, ...]]:
        return _positions(self.realtime, 1)

    def latest_walk_forward(self, asset_type: AssetType, symbol: str) -> WalkForwardRow | None:
        """The record's newest row of a symbol, None for one that it does not hold."""
        found = self.history_positions.get((asset_type, symbol))
        return None if found is None else WalkForwardRow(**self.walk_forward.row(found[0], named=True))

    def latest_realtime(self, asset_type: AssetType, symbol: str) -> RealtimeRow | None:
        """The newest stored prediction of a symbol, None when there is none."""
        found = self._realtime_positions.get((asset_type, symbol))
        return None if found is None else RealtimeRow(**self.realtime.row(found[0], named=True))


def load_snapshot(path: Path) -> Snapshot:
    """Read a snapshot and prove that it is whole: hashes, models, and rows of one champion a class.

    Raises:
        SnapshotError: It is missing, damaged, or of another format.
    """
    identity, facts, members = read_snapshot(path)
    try:
        told = facts["champions"]
        champions = {name: _champion(told[name]) for name in ASSET_TYPES if name in told}
        walk_forward = _table(members[WALK_FORWARD], WalkForwardRow)
        realtime = _table(members[REALTIME], RealtimeRow)
        bundles = {name: _bundle(champion, members) for name, champion in champions.items()}
        summary = tuple(_summary(values) for values in facts["summary"])
        created_at = datetime.fromisoformat(facts["created_at"])
        snapshot = Snapshot(
            identity,
            facts["profile"],
            created_at,
            champions,
            bundles,
            walk_forward,
            realtime,
            summary,
            facts["methodology"],
        )
    except (KeyError, TypeError, ValueError, RegistryError, pl.exceptions.PolarsError) as error:
        raise SnapshotError(f"{path} is damaged: {error}", remedy=REMEDY) from error
    return snapshot


def model_member(asset_type: str, file: str) -> str:
    """Name of a champion's file in the snapshot."""
    return f"models/{asset_type}/{file}"


def _table(content: bytes, row: type[WalkForwardRow] | type[RealtimeRow]) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(content)).select(row.__dataclass_fields__.keys()).rechunk()


def _positions(frame: pl.DataFrame, newest: int) -> dict[Place, tuple[int, ...]]:
    keys = ("asset_type", "symbol")
    grouped = frame.select(*keys, position=pl.int_range(pl.len())).group_by(keys, maintain_order=True)
    found = grouped.agg(pl.col("position").head(newest))
    return {(asset_type, symbol): tuple(positions) for asset_type, symbol, positions in found.iter_rows()}


def _bundle(champion: ChampionInfo, members: Mapping[str, bytes]) -> Bundle:
    with tempfile.TemporaryDirectory() as scratch:
        for file in (MODEL_FILE, INFO_FILE):
            (Path(scratch) / file).write_bytes(members[model_member(champion.asset_type, file)])
        bundle = Bundle.load(Path(scratch), variant=champion.indicator_variant)  # type: ignore[arg-type]
    if bundle.info.model_version != champion.model_version:
        raise RegistryError(f"its model is {bundle.info.model_version}, its rows are of {champion.model_version}")
    return bundle


def _champion(values: dict[str, Any]) -> ChampionInfo:
    as_of = values["as_of"]
    instants = {name: datetime.fromisoformat(values[name]) for name in ("trained_through", "today")}
    return ChampionInfo(
        **{
            **values,
            **instants,
            "features": tuple(values["features"]),
            "thresholds": Thresholds(**values["thresholds"]),
            "as_of": None if as_of is None else datetime.fromisoformat(as_of),
            "high_record": _summary(values["high_record"]),
        }
    )


def _summary(values: dict[str, Any]) -> RecordSummary:
    interval = values["accuracy_ci_95"]
    return RecordSummary(**{**values, "accuracy_ci_95": None if interval is None else tuple(interval)})

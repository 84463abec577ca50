"""Making a snapshot: gather in one read, put together, write whole."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from market.assets import ASSET_TYPES, AssetType
from market.errors import NoChampionError, RegistryError
from market.signals import Thresholds, confidence, signal
from registry.bundle import INFO_FILE, MODEL_FILE, Bundle
from serving import snapshot_sql
from serving.snapshot import HISTORY_ROWS, REALTIME, WALK_FORWARD, ChampionInfo, model_member
from serving.snapshot_file import write_snapshot
from serving.snapshot_rows import RealtimeRow, WalkForwardRow
from serving.snapshot_summary import high_record, methodology, split_records
from warehouse.champions import PublishedChampion, published_champions
from warehouse.clock import wall_clock

if TYPE_CHECKING:
    from configs.settings import Settings
    from warehouse.warehouse import ReadConnection, Warehouse


def build_snapshot(warehouse: Warehouse, settings: Settings, bundles: Mapping[AssetType, Bundle]) -> Path:
    """Publish what the warehouse holds now as the snapshot that the service answers from.

    Everything is asked in one read, the champions' names included, so that rows, thresholds and models agree.

    Args:
        warehouse: Read once.
        settings: Windows, bootstrap, and where the file goes.
        bundles: The published champion of every class that has one.

    Returns:
        `settings.paths.snapshot_file`.

    Raises:
        NoChampionError: No class has a champion: there is nothing to serve.
        RegistryError: A bundle is not the champion whose rows are published; load them again.
    """
    with warehouse.read() as read:
        published = published_champions(read)
        _check(published, bundles)
        published = {name: published[name] for name in ASSET_TYPES if name in published}
        classes = {row["asset_type"]: row for row in read.query(snapshot_sql.CLASSES).to_pylist()}
        walk_forward, realtime, days = _rows(read, settings)
    thresholds = {name: _thresholds(classes[name]) for name in published}
    walk_forward = _with_signals(walk_forward, thresholds)
    champions = []
    for name, champion in published.items():
        as_of = walk_forward.filter(pl.col("asset_type") == name)["bar_known_at"].max()
        champions.append(
            ChampionInfo(
                asset_type=name,
                model_version=champion.model_version,
                run_id=champion.run_id,
                feature_service=champion.feature_service,
                features=bundles[name].info.features,
                indicator_variant=champion.indicator_variant,
                trained_through=champion.trained_through,
                thresholds=thresholds[name],
                today=classes[name]["now_at"],
                as_of=as_of,  # type: ignore[arg-type]
                high_record=high_record(days, name, settings.evaluation),
            )
        )
    facts = {
        "profile": settings.profile,
        "created_at": wall_clock().isoformat(),
        "champions": {champion.asset_type: _as_facts(champion) for champion in champions},
        "summary": [asdict(record) for record in split_records(days, list(published), settings.evaluation)],
        "methodology": methodology(settings, list(published)),
    }
    members = {WALK_FORWARD: _parquet(walk_forward), REALTIME: _parquet(realtime)}
    for name in published:
        members |= _model_files(bundles[name])
    write_snapshot(settings.paths.snapshot_file, facts, members)
    return settings.paths.snapshot_file


def _check(published: Mapping[AssetType, PublishedChampion], bundles: Mapping[AssetType, Bundle]) -> None:
    if not published:
        raise NoChampionError("no class has a published champion yet", remedy="train one: `tradehits run`")
    for name, champion in published.items():
        given = bundles[name].info.model_version if name in bundles else None
        if given != champion.model_version:
            raise RegistryError(
                f"the published champion of {name} is {champion.model_version}, given was {given or 'none'}",
                remedy="it changed meanwhile: publish the snapshot again",
            )


def _rows(read: ReadConnection, settings: Settings) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    serving = settings.serving
    record = read.query(snapshot_sql.WALK_FORWARD, {"history_days": serving.history_days, "history_rows": HISTORY_ROWS})
    realtime = read.query(snapshot_sql.REALTIME, {"signal_days": serving.signal_days})
    days = read.query(snapshot_sql.DAYS)
    return (
        pl.DataFrame(record).pipe(_newest_first),
        pl.DataFrame(realtime).select(RealtimeRow.__dataclass_fields__.keys()).pipe(_newest_first),
        pl.DataFrame(days),
    )


def _newest_first(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("datetime", "asset_type", "symbol", descending=[True, False, False])


def _thresholds(row: Mapping[str, Any]) -> Thresholds:
    return Thresholds(**{name: row[f"{name}_threshold"] for name in ("buy", "sell", "high", "medium")})


def _with_signals(rows: pl.DataFrame, thresholds: Mapping[AssetType, Thresholds]) -> pl.DataFrame:
    """Signal and confidence by each class's thresholds, in the order of `WalkForwardRow`."""
    parts = []
    for name, rules in thresholds.items():
        part = rows.filter(pl.col("asset_type") == name)
        p = part["up_probability"].to_numpy()
        levels = pl.Series("confidence_level", confidence(p, rules).tolist(), dtype=pl.String)
        parts.append(part.with_columns(levels, pl.Series("signal", signal(p, rules).tolist(), dtype=pl.String)))
    return pl.concat(parts).select(WalkForwardRow.__dataclass_fields__.keys()).pipe(_newest_first)


def _as_facts(champion: ChampionInfo) -> dict[str, Any]:
    instants = {name: getattr(champion, name) for name in ("trained_through", "today", "as_of")}
    written = {name: None if value is None else value.isoformat() for name, value in instants.items()}
    return {**asdict(champion), **written}


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
    return buffer.getvalue()


def _model_files(bundle: Bundle) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as scratch:
        bundle.save(Path(scratch))
        return {
            model_member(bundle.info.asset_type, file): (Path(scratch) / file).read_bytes()
            for file in (MODEL_FILE, INFO_FILE)
        }

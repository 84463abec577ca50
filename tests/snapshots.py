"""A snapshot made of stored predictions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from market.assets import AssetType
from market.signals import Thresholds
from serving.snapshot import ChampionInfo, RecordSummary, Snapshot
from serving.snapshot_rows import RealtimeRow, WalkForwardRow

VERSION = "walk_forward_test/1"


def realtime_row(asset_type: AssetType, symbol: str, day: datetime, **changes: Any) -> RealtimeRow:
    """A stored prediction by XGBoost alone, with few facts about its bar."""
    values: dict[str, Any] = {
        **dict.fromkeys(field.name for field in fields(RealtimeRow)),
        "prediction_id": f"{asset_type}-{symbol}",
        "created_at": day + timedelta(days=1),
        "asset_type": asset_type,
        "symbol": symbol,
        "datetime": day,
        "bar_known_at": day + timedelta(days=1),
        "close": 100.0,
        "rsi": 55.0,
        "trend_regime": "CONSOLIDATION",
        "in_rise_cycle": True,
        "xgb_up_probability": 0.52,
        "xgb_predicted_direction": "UP",
        "xgb_confidence": "LOW",
        "ensemble_up_probability": 0.52,
        "ensemble_direction": "UP",
        "ensemble_confidence": "LOW",
        "signal": "HOLD",
        "model_version": VERSION,
    }
    return RealtimeRow(**values | changes)


def snapshot_of(rows: Sequence[RealtimeRow], thresholds: Thresholds | None = None) -> Snapshot:
    """A snapshot that holds these predictions, a champion for each of their classes, and no model or record."""
    classes = sorted({row.asset_type for row in rows})
    empty = pl.DataFrame(schema={field.name: pl.String for field in fields(WalkForwardRow)})
    return Snapshot(
        id="test",
        profile="test",
        created_at=datetime(2026, 3, 3, tzinfo=UTC),
        champions={name: _champion(name, thresholds or Thresholds()) for name in classes},
        bundles={},
        walk_forward=empty,
        realtime=pl.DataFrame([asdict(row) for row in rows], infer_schema_length=None),
        summary=(),
        methodology={},
    )


def _champion(asset_type: AssetType, thresholds: Thresholds) -> ChampionInfo:
    instant = datetime(2026, 3, 3, tzinfo=UTC)
    return ChampionInfo(
        asset_type=asset_type,
        model_version=VERSION,
        run_id="r1",
        feature_service="default",
        features=("rsi",),
        indicator_variant="wilder",
        trained_through=instant,
        thresholds=thresholds,
        today=instant,
        as_of=instant,
        high_record=RecordSummary(asset_type, None, 0, 0, None, None, None),
    )

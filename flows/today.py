"""`tradehits today`: today's signals, from which model, how sure. Five lines, read from what is stored."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import polars as pl

from configs.settings import Settings
from flows.inference_report import NO_SIGNAL
from market.assets import ASSET_TYPES, AssetType
from serving.predictor_bar import bar_of
from serving.snapshot_sql import DAYS
from serving.snapshot_summary import split_records
from warehouse.clock import newest_known_at, now_of
from warehouse.engines import open_warehouse
from warehouse.warehouse import ReadConnection

TOLD_SYMBOLS = 3

_NEWEST = """
SELECT symbol, datetime, signal, ensemble_confidence, ensemble_up_probability, model_version
FROM `ml_models.realtime_predictions`
WHERE asset_type = @asset_type AND datetime <= @now
QUALIFY datetime = MAX(datetime) OVER ()
ORDER BY signal_strength DESC, symbol
"""

Rows = list[dict[str, Any]]


def today(settings: Settings) -> tuple[str, ...]:
    """A headline, a line for each asset class, and how right the models were out of sample.

    Nothing is computed or written: `tradehits predict` does that.
    """
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    with warehouse.read() as read:
        newest = newest_known_at(read)
        clocks = {name: now_of(name, settings, newest[name]) for name in ASSET_TYPES}
        classes = {name: _newest(read, name, clocks[name]) for name in ASSET_TYPES}
        days = pl.DataFrame(read.query(DAYS))
    return (
        _headline(settings, classes),
        *(
            _line(settings, name, classes[name], clocks[name], has_bars=newest[name] is not None)
            for name in ASSET_TYPES
        ),
        _how_sure(settings, days),
    )


def _newest(read: ReadConnection, asset_type: AssetType, now: datetime) -> Rows:
    rows: Rows = read.query(_NEWEST, {"asset_type": asset_type, "now": now}).to_pylist()
    return rows


def _headline(settings: Settings, classes: dict[AssetType, Rows]) -> str:
    rows = [row for one in classes.values() for row in one]
    if not rows:
        return f"no predictions yet in profile {settings.profile}: run `tradehits predict`"
    signals = Counter(row["signal"] for row in rows)
    if not signals["BUY"] + signals["SELL"]:
        return f"no signal today in profile {settings.profile}, from {len(rows):,} predictions: {NO_SIGNAL}"
    high = sum(row["ensemble_confidence"] == "HIGH" for row in rows if row["signal"] != "HOLD")
    told = f"{signals['BUY']:,} BUY and {signals['SELL']:,} SELL"
    return f"{told}, {high:,} of them HIGH, from {len(rows):,} predictions, profile {settings.profile}"


def _line(settings: Settings, asset_type: AssetType, rows: Rows, now: datetime, *, has_bars: bool) -> str:
    if not rows:
        return f"{asset_type}: {'no prediction yet' if has_bars else 'no bars'}"
    stamp = rows[0]["datetime"]
    bar = bar_of(settings, asset_type, stamp.date(), now)
    old = bar.sessions_behind if bar is not None else 0
    models = ", ".join(sorted({row["model_version"] for row in rows}))
    age = f", {old:,} session{'' if old == 1 else 's'} old" if old else ""
    return f"{asset_type}: {_signals(rows)}; bar {stamp:%Y-%m-%d}{age}; {models}"


def _signals(rows: Rows) -> str:
    probability = [row["ensemble_up_probability"] for row in rows]
    told = [row for row in rows if row["signal"] != "HOLD"]
    held = f"{len(rows) - len(told):,} HOLD, probabilities {min(probability):.3f} to {max(probability):.3f}"
    if not told:
        return f"no signal, {held}"
    named = [f"{row['signal']} {row['symbol']} {row['ensemble_up_probability']:.3f}" for row in told[:TOLD_SYMBOLS]]
    more = f" and {len(told) - len(named):,} more" if len(told) > len(named) else ""
    return f"{', '.join(named)}{more}, {held}"


def _how_sure(settings: Settings, days: pl.DataFrame) -> str:
    """Out-of-sample accuracy of the newest split beside its base rate: what a direction has been worth."""
    told = []
    for one in split_records(days, ASSET_TYPES, settings.evaluation):
        if one.data_split == "VALIDATE" and one.accuracy is not None and one.accuracy_ci_95 is not None:
            low, high = one.accuracy_ci_95
            told.append(f"{one.asset_type} {one.accuracy:.1f} ({low:.1f}-{high:.1f}), base rate {one.base_rate:.1f}")
    return f"out of sample, percent right: {'; '.join(told)}" if told else "out of sample: no outcome is known yet"
